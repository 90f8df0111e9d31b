import { connect, createServer, type Socket } from "node:net";

/** What a gate does with connections. `mute`: accepts and says nothing. `freeze`: forwards nothing, also on open ones. */
export type GateMode = "forward" | "close" | "mute" | "freeze";

/** A TCP proxy on 127.0.0.1 that a test can make misbehave. */
export interface TcpGate {
  readonly port: number;
  mode: GateMode;
  /** How many connections were made to it. */
  dials(): number;
  /** How many are open. */
  open(): number;
  /** How often a piece of text was sent by the clients. */
  sent(text: string): number;
  /** Alters the chunks that go to the client; null drops one. */
  toClient: (chunk: Buffer) => Buffer | null;
  /** Slips these bytes into what the clients say, on every open connection. */
  inject(bytes: Buffer): void;
  /** Answers new connections itself with these bytes and closes, until set to null. */
  answer: Buffer | null;
  /** Ends all open connections. */
  cut(): void;
  stop(): void;
}

/** A gate in front of `targetPort`, open. */
export async function openTcpGate(targetPort: number): Promise<TcpGate> {
  const sockets = new Set<Socket>();
  const targets = new Set<Socket>();
  const said: string[] = [];
  let dials = 0;
  const server = createServer((client) => {
    dials += 1;
    client.on("error", () => undefined);
    sockets.add(client);
    client.once("close", () => sockets.delete(client));
    if (gate.answer !== null) {
      const { answer } = gate;
      client.once("data", () => client.end(answer));
      return;
    }
    if (gate.mode === "close") {
      client.end();
      client.resume();
      return;
    }
    if (gate.mode !== "forward") {
      client.resume();
      return;
    }
    forward(client);
  });

  function forward(client: Socket): void {
    const target = connect({ port: targetPort, host: "127.0.0.1" });
    target.on("error", () => client.destroy());
    targets.add(target);
    target.once("close", () => {
      targets.delete(target);
      client.destroy();
    });
    client.once("close", () => target.destroy());
    client.on("data", (chunk: Buffer) => {
      if (gate.mode === "freeze") return;
      said.push(chunk.toString("latin1"));
      target.write(chunk);
    });
    target.on("data", (chunk: Buffer) => {
      if (gate.mode === "freeze") return;
      const passed = gate.toClient(chunk);
      if (passed !== null) client.write(passed);
    });
  }

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const address = server.address();
  const gate: TcpGate = {
    port: typeof address === "object" && address !== null ? address.port : 0,
    mode: "forward",
    dials: () => dials,
    open: () => sockets.size,
    sent: (text) => said.join("").split(text).length - 1,
    toClient: (chunk) => chunk,
    inject(bytes) {
      for (const target of targets) target.write(bytes);
    },
    answer: null,
    cut() {
      for (const socket of sockets) socket.destroy();
    },
    stop() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
  return gate;
}

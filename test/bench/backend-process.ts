/**
 * The servers behind the program under test, and the control plane, in a process of their own: what they
 * cost is not counted. Tells its parent where they listen, and ends with it.
 */
import type { Socket } from "bun";
import { frame, readVarint, string } from "../support/minecraft/wire.ts";
import { type BackendPorts, greetings, type Role, runningPrefix } from "./jobs.ts";

interface Visit {
  /** What has come of the opening; null once it is complete. */
  opening: Buffer | null;
  /** Bytes that the kernel would not take yet. */
  unsent: Buffer | null;
  /** Bytes that a download still wants, beyond `unsent`. */
  owed: number;
}

const nothing = Buffer.alloc(0);
const block = Buffer.alloc(256 * 1024, 0x5a);

const statusResponse = frame(
  0x00,
  string(
    JSON.stringify({
      version: { name: "1.21.1", protocol: 767 },
      players: { max: 100, online: 42, sample: [] },
      description: { text: "A server behind a router that is being measured" },
      enforcesSecureChat: false,
    }),
  ),
);

function write(socket: Socket<Visit>, bytes: Buffer): void {
  const visit = socket.data;
  if (visit.unsent !== null) {
    visit.unsent = Buffer.concat([visit.unsent, bytes]);
    return;
  }
  const taken = Math.max(0, socket.write(bytes));
  if (taken < bytes.length) visit.unsent = bytes.subarray(taken);
}

function flush(socket: Socket<Visit>): void {
  const rest = socket.data.unsent;
  if (rest === null) return;
  const taken = Math.max(0, socket.write(rest));
  socket.data.unsent = taken < rest.length ? rest.subarray(taken) : null;
}

function download(socket: Socket<Visit>): void {
  const visit = socket.data;
  while (visit.owed > 0) {
    const part = visit.owed < block.length ? block.subarray(0, visit.owed) : block;
    const taken = Math.max(0, socket.write(part));
    visit.owed -= taken;
    if (taken < part.length) return;
  }
  socket.shutdown();
}

/** Where the opening's two packets end; null while they are not complete. */
function openingEnd(bytes: Buffer): number | null {
  const first = readVarint(bytes, 0);
  const second = first && readVarint(bytes, first.end + first.value);
  const end = second && second.end + second.value;
  return end !== null && end <= bytes.length ? end : null;
}

function serve(role: Role, socket: Socket<Visit>, bytes: Buffer): void {
  switch (role) {
    case "echo":
    case "echo2":
    case "status":
      if (bytes.length > 0) write(socket, bytes);
      return;
    case "bulk":
      socket.data.owed = bytes.readDoubleBE(0);
      download(socket);
  }
}

function greet(role: Role, socket: Socket<Visit>): void {
  if (role === "status") write(socket, statusResponse);
  if (role === "echo" || role === "echo2") write(socket, Buffer.of(greetings[role]));
}

function listen(role: Role): number {
  return Bun.listen<Visit>({
    hostname: "127.0.0.1",
    port: 0,
    allowHalfOpen: true,
    socket: {
      open(socket) {
        socket.data = { opening: nothing, unsent: null, owed: 0 };
      },
      data(socket, chunk) {
        const visit = socket.data;
        if (visit.opening === null) {
          serve(role, socket, chunk);
          return;
        }
        const bytes = Buffer.concat([visit.opening, chunk]);
        const end = openingEnd(bytes);
        // A download's opening is followed by how much is wanted, in 8 bytes.
        if (end === null || (role === "bulk" && bytes.length < end + 8)) {
          visit.opening = bytes;
          return;
        }
        visit.opening = null;
        greet(role, socket);
        serve(role, socket, bytes.subarray(end));
      },
      drain(socket) {
        flush(socket);
        if (role === "bulk" && socket.data.owed > 0) download(socket);
      },
      end(socket) {
        socket.end();
      },
      error() {},
    },
  }).port;
}

const ports: Readonly<Record<Role, number>> = {
  echo: listen("echo"),
  echo2: listen("echo2"),
  bulk: listen("bulk"),
  status: listen("status"),
};

const controlPlane = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  async fetch(request) {
    await Bun.sleep(1);
    if (request.method === "POST") return new Response(null, { status: 202 });
    const name = new URL(request.url).pathname.split("/").at(-1) ?? "";
    return Response.json(
      name.startsWith(runningPrefix)
        ? { state: "running", address: `127.0.0.1:${ports.echo}` }
        : { state: "starting" },
    );
  },
});

const listening: BackendPorts = { roles: ports, controlPlane: controlPlane.port ?? 0 };
process.send?.(listening);
process.on("disconnect", () => process.exit(0));

/** Many clients that mean no good, in a process of their own: what they cost is not counted. */
import net from "node:net";
import type { Socket } from "bun";
import { createDice } from "../dice.ts";
import { makeMalformed } from "../minecraft/malformed.ts";
import { login } from "../minecraft/wire.ts";
import { type Order, serveJobs } from "../process/worker.ts";
import type { FloodJobs, Lives, Place } from "./flood-jobs.ts";

interface Client {
  readonly openedAt: number;
  /** Null as long as it lives. */
  lifeMs: number | null;
  received: number;
  /** Called when something has arrived, the end included. */
  heard?: () => void;
  readonly over: PromiseWithResolvers<void>;
}

type Connection = Socket<Client>;

/** How many connections are opened at once. */
const connecting = 64;

/** A connection that the other side keeps for longer than this has no deadline. */
const patienceMs = 30_000;

const held: Connection[] = [];
let dripping: Timer | null = null;

const handlers = {
  open() {},
  data(socket: Connection, chunk: Buffer) {
    socket.data.received += chunk.length;
    socket.data.heard?.();
  },
  end(socket: Connection) {
    socket.data.heard?.();
    socket.end();
  },
  close({ data: client }: Connection) {
    client.lifeMs ??= performance.now() - client.openedAt;
    client.over.resolve();
  },
  error() {},
};

const connect = (place: Place): Promise<Connection> =>
  Bun.connect<Client>({
    hostname: place.hostname,
    port: place.port,
    allowHalfOpen: true,
    data: {
      openedAt: performance.now(),
      lifeMs: null,
      received: 0,
      over: Promise.withResolvers<void>(),
    },
    socket: handlers,
  });

/** Runs `count` steps, at most `parallel` of them at a time. */
async function inParallel(
  count: number,
  parallel: number,
  step: () => Promise<void>,
): Promise<void> {
  let left = count;
  const worker = async (): Promise<void> => {
    while (left-- > 0) await step();
  };
  await Promise.all(Array.from({ length: parallel }, worker));
}

async function hold({ count, drip, ...place }: FloodJobs["hold"]["input"]): Promise<number> {
  const before = held.length;
  await inParallel(count, connecting, async () => {
    const socket = await connect(place).catch(() => null);
    if (socket !== null) held.push(socket);
  });
  if (drip !== null) {
    const bytes = Buffer.from(drip.hex, "hex");
    let at = 0;
    dripping = setInterval(() => {
      const next = bytes.subarray(at, at + drip.bytes);
      at += drip.bytes;
      for (const socket of held) if (socket.data.lifeMs === null) socket.write(next);
    }, drip.everyMs);
  }
  return held.length - before;
}

async function lives({ withinMs }: FloodJobs["lives"]["input"]): Promise<Lives> {
  const all = Promise.all(held.map(({ data }) => data.over.promise));
  await Promise.race([all, Bun.sleep(withinMs)]);
  const ended = held.flatMap(({ data }) => data.lifeMs ?? []);
  return { open: held.length - ended.length, ended };
}

function release(): Promise<null> {
  if (dripping !== null) clearInterval(dripping);
  dripping = null;
  for (const socket of held) socket.terminate();
  held.length = 0;
  return Promise.resolve(null);
}

async function junk({
  count,
  parallel,
  seed,
  ...place
}: FloodJobs["junk"]["input"]): Promise<FloodJobs["junk"]["result"]> {
  const random = createDice(seed).below;
  let longestMs = 0;
  let bytesBack = 0;
  await inParallel(count, parallel, async () => {
    const socket = await connect(place);
    socket.write(makeMalformed(random));
    // What is only the beginning of something right would be waited for, and what is right would be served.
    socket.shutdown();
    const late = setTimeout(() => socket.data.over.reject(new Error("it is kept")), patienceMs);
    await socket.data.over.promise;
    clearTimeout(late);
    longestMs = Math.max(longestMs, socket.data.lifeMs ?? 0);
    bytesBack += socket.data.received;
  });
  return { longestMs, bytesBack };
}

async function churn({
  parallel,
  seconds,
  waits,
  ...place
}: FloodJobs["churn"]["input"]): Promise<FloodJobs["churn"]["result"]> {
  const endsAt = performance.now() + seconds * 1000;
  let connections = 0;
  let failures = 0;
  await inParallel(parallel, parallel, async () => {
    while (performance.now() < endsAt) {
      const socket = await connect(place).catch(() => null);
      if (socket === null) {
        failures += 1;
        continue;
      }
      connections += 1;
      if (waits) socket.shutdown();
      else socket.end();
      await socket.data.over.promise;
    }
  });
  return { connections, failures };
}

async function resets({ count, ...place }: FloodJobs["resets"]["input"]): Promise<null> {
  await inParallel(count, connecting, async () => {
    (await connect(place)).terminate();
  });
  return null;
}

async function names({
  count,
  parallel,
  seed,
  suffix,
  ...place
}: FloodJobs["names"]["input"]): Promise<number> {
  const dice = createDice(seed);
  const word = (): string => dice.below(2 ** 32).toString(36);
  let answered = 0;
  await inParallel(count, parallel, async () => {
    const socket = await connect(place);
    socket.data.heard = () => socket.terminate();
    const host = `${word()}.${word()}.${dice.below(2) === 0 ? suffix : word()}`;
    socket.write(login({ host, name: `P${word()}` }));
    await socket.data.over.promise;
    if (socket.data.received > 0) answered += 1;
  });
  return answered;
}

/** How long a connection has to live to count as let in. */
const letInMs = 300;

async function visit({ from, hostname, port }: FloodJobs["visit"]["input"]): Promise<number> {
  const sockets = await Promise.all(
    from.map(async (localAddress) => {
      const socket = net.connect({ host: hostname, port, localAddress });
      socket.on("error", () => {});
      const { promise, resolve } = Promise.withResolvers<void>();
      socket.once("connect", resolve);
      socket.once("close", resolve);
      await promise;
      return socket;
    }),
  );
  await Bun.sleep(letInMs);
  const letIn = sockets.filter((socket) => !socket.closed && !socket.readableEnded).length;
  for (const socket of sockets) socket.resetAndDestroy();
  return letIn;
}

function run(order: Order<FloodJobs>): Promise<unknown> {
  switch (order.name) {
    case "hold":
      return hold(order.input);
    case "lives":
      return lives(order.input);
    case "release":
      return release();
    case "junk":
      return junk(order.input);
    case "churn":
      return churn(order.input);
    case "resets":
      return resets(order.input);
    case "names":
      return names(order.input);
    case "visit":
      return visit(order.input);
  }
}

serveJobs<FloodJobs>(run);

import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import type { Authenticator } from "./authentication.ts";
import { createMessageGuard } from "./message-guard.ts";

/** Bytes for postgres.js in one go: some hundred notifications or rows, a millisecond or two of work. */
const mostAtOnce = 32 * 1024;

/** What a guarded socket needs. */
export interface GuardDeps {
  readonly authenticator: Authenticator;
  /** Called with the reason when the connection was destroyed for what the server sent. */
  readonly onViolation: (reason: string) => void;
  /** Called with the body of BackendKeyData. */
  readonly onKey: (key: Buffer) => void;
  /** Called with each setting that the server reports before it is ready. */
  readonly onParameter: (name: string, value: string) => void;
}

/**
 * The connection as postgres.js sees it: everything that the server sends has passed the message guard, and
 * the authentication is done here. Destroying either end destroys both.
 */
export function guardSocket(socket: Socket, deps: GuardDeps): Duplex {
  const messages = createMessageGuard();
  const guarded = new Duplex({
    read: () => chunks.wanted(),
    write: (chunk: Buffer, _, done) => socket.write(chunk, done),
    final: (done) => socket.end(done),
    destroy(error, done) {
      chunks.stop();
      socket.destroy();
      done(error);
    },
  });
  const chunks = createChunks(socket, guarded);
  let answering = Promise.resolve();

  const violated = (reason: string): void => {
    deps.onViolation(reason);
    guarded.destroy();
  };
  const authenticate = async (request: Buffer): Promise<void> => {
    const answer = await deps.authenticator.answer(request);
    if (!answer.ok) violated(answer.error);
    else if (answer.value !== null && !socket.destroyed) socket.write(answer.value);
  };

  socket.on("data", (chunk: Buffer) => {
    const admitted = messages.admit(chunk);
    if (!admitted.ok) {
      violated(admitted.error);
      return;
    }
    const { bytes, requests, key, parameters } = admitted.value;
    for (const [name, value] of parameters) deps.onParameter(name, value);
    if (key !== null) deps.onKey(key);
    for (const request of requests) answering = answering.then(() => authenticate(request));
    if (requests.length === 0) chunks.add(bytes);
    // What stands behind the authentication counts only when the authentication was good.
    else answering = answering.then(() => chunks.add(bytes));
  });
  socket.once("end", () => chunks.finish("ended"));
  socket.once("close", () => chunks.finish("closed"));
  // postgres.js says goodbye only to what calls itself open, as a socket does.
  Object.defineProperty(guarded, "readyState", { get: () => socket.readyState });
  return guarded;
}

/**
 * Hands bytes to postgres.js, which works off what it gets in one go; the kernel hands out half a megabyte at
 * a time.
 */
function createChunks(socket: Socket, guarded: Duplex) {
  /** Admitted and not passed on; the socket is paused while there is any, but may have more to say. */
  let waiting: Buffer = Buffer.alloc(0);
  let state: "open" | "ended" | "closed" = "open";
  let next: ReturnType<typeof setImmediate> | null = null;

  function pass(): void {
    next = null;
    if (guarded.destroyed) return;
    const piece = waiting.subarray(0, mostAtOnce);
    waiting = waiting.subarray(mostAtOnce);
    const isWanted = piece.length === 0 || guarded.push(piece);
    if (waiting.length > 0 || !isWanted) socket.pause();
    if (guarded.destroyed) return;
    if (waiting.length > 0) next = setImmediate(pass);
    else if (state === "closed") guarded.destroy();
    else if (state === "ended") guarded.push(null);
    else if (isWanted) socket.resume();
  }

  return {
    wanted(): void {
      if (waiting.length === 0) socket.resume();
    },
    add(bytes: Buffer): void {
      waiting = waiting.length === 0 ? bytes : Buffer.concat([waiting, bytes]);
      if (next === null) pass();
    },
    finish(how: "ended" | "closed"): void {
      state = how;
      if (next === null) pass();
    },
    stop(): void {
      if (next !== null) clearImmediate(next);
    },
  };
}

import { type Frame, openPeer, type Peer, type PeerOptions, peerHandlers } from "../net/peer.ts";
import { login, pluginNotUnderstood, readVarint } from "./wire.ts";

/** Where a player connects to: a literal of loopback, or of a namespace that the test has made. */
export interface PlayerOptions extends PeerOptions {
  readonly port: number;
  readonly hostname?: string;
}

/** A raw connection that says what the test tells it to, as a player's client. Rejects when nobody listens; dispose resets it. */
export async function connectPlayer(options: PlayerOptions): Promise<Peer> {
  const opened = Promise.withResolvers<Peer>();
  await Bun.connect<{ peer: null }>({
    hostname: options.hostname ?? "127.0.0.1",
    port: options.port,
    allowHalfOpen: true,
    data: { peer: null },
    socket: {
      ...peerHandlers,
      open: (socket) => opened.resolve(openPeer(socket, options)),
      // The promise of Bun.connect rejects with the same error.
      connectError: () => {},
    },
  });
  return await opened.promise;
}

/** What a login for this hostname hears first, as Latin-1; empty when the connection ends without a word. */
export async function firstWord(
  { port }: { readonly port: number },
  host: string,
  timeoutMs?: number,
): Promise<string> {
  using player = await connectPlayer({ port });
  await player.send(login({ host, name: "Steve" }));
  // It rejects at the end of the connection too; one that neither speaks nor ends makes the other wait reject.
  await player.waitForLength(1, timeoutMs).catch(() => player.waitForEnd(timeoutMs));
  return player.received().toString("latin1");
}

/** What a login was kept alive with, and the first packet that was no part of it. */
export interface AfterHold {
  readonly keepalives: readonly Frame[];
  readonly frame: Frame;
}

/** How a client behaves while its login is held. */
export interface HoldOptions {
  /** False: a client that never answers a Login Plugin Request. */
  readonly answers?: boolean;
  readonly timeoutMs?: number;
}

/**
 * Reads on until something else than a keepalive arrives. Keepalives are the empty frame and the Login Plugin Request;
 * the latter is answered as vanilla does. Only for logins whose backend asks no plugin questions of its own.
 */
export async function waitThroughHold(player: Peer, options: HoldOptions = {}): Promise<AfterHold> {
  const { answers = true, timeoutMs = 100_000 } = options;
  const deadline = performance.now() + timeoutMs;
  const keepalives: Frame[] = [];
  for (;;) {
    const frame = await player.readFrame(deadline - performance.now());
    if (frame.id !== null && frame.id !== 0x04) return { keepalives, frame };
    keepalives.push(frame);
    const messageId = frame.id === null ? null : readVarint(frame.body, 0);
    if (messageId && answers) await player.send(pluginNotUnderstood(messageId.value));
  }
}

/** The text of a packet that is a Login Disconnect: its JSON component as it was sent. Throws when the packet is another. */
export function disconnectText(frame: Frame): string {
  const length = frame.id === 0x00 ? readVarint(frame.body, 0) : null;
  if (length?.value !== frame.body.length - (length?.end ?? 0)) {
    throw new Error(`not a Login Disconnect: ${frame.raw.toString("hex")}`);
  }
  return frame.body.toString("utf8", length.end);
}

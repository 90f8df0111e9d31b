import { createHash } from "node:crypto";
import type { RelayEnd } from "../../../src/net/conn.ts";
import { createDice, type Dice } from "../dice.ts";
import { until } from "../until.ts";
import type { Link, LinkBench } from "./link-bench.ts";
import type { Peer } from "./peer.ts";
import type { TestRelay, TestSession } from "./relayed.ts";

/** How one side of a session ends its direction. */
type Ending = "fin" | "reset" | "close" | "stay";

/** What one side sent, and how it ended. */
interface Side {
  readonly peer: Peer;
  readonly sent: Buffer[];
  readonly ending: Ending;
}

const largest = 1024 * 1024;

/**
 * Runs sessions through a relay until `count` are over, `parallel` at a time: each side says random chunks
 * with random stalls, and ends by FIN, by reset, by a plain close or not at all, at a random point. Throws
 * when a byte is lost, added or changed, when a count is wrong, or when a session does not end.
 */
export async function fuzzRelay(
  bench: LinkBench,
  relay: TestRelay,
  {
    seed,
    count,
    parallel,
  }: { readonly seed: number; readonly count: number; readonly parallel: number },
): Promise<void> {
  let next = 0;
  // One after the other, as the bench tells connections apart by their order.
  let opening: Promise<unknown> = Promise.resolve();
  const open = (): Promise<Link> => {
    const link = opening.then(bench.open);
    opening = link;
    return link;
  };
  const worker = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) {
      await fuzzSession(await open(), relay, createDice(seed + index));
    }
  };
  await Promise.all(Array.from({ length: parallel }, worker));
}

async function fuzzSession(opened: Link, relay: TestRelay, dice: Dice): Promise<void> {
  using link = opened;
  const session = await relay.join(link.client, link.server);
  const endings: readonly Ending[] = ["fin", "fin", "fin", "reset", "close", "stay"];
  const player: Side = { peer: link.player, sent: [], ending: dice.pick(endings) };
  const backend: Side = { peer: link.backend, sent: [], ending: dice.pick(endings) };
  await Promise.all([speak(player, dice), speak(backend, dice)]);
  const isCut = dice.next() < 0.1 && !session.isOver();
  if (isCut) session.cut();
  const end = await endOf(session, player, backend);
  try {
    await expectTrue(player, backend, end, isCut);
  } catch (cause) {
    throw new Error(`the session of seed ${dice.seed} (${player.ending}, ${backend.ending})`, {
      cause,
    });
  }
}

/** Says what there is to say in chunks, reads in fits and starts, and ends. */
async function speak({ peer, sent, ending }: Side, dice: Dice): Promise<void> {
  const chunks = dice.below(8);
  for (let index = 0; index < chunks; index += 1) {
    // The order of magnitude is what is random.
    const chunk = Buffer.alloc(Math.floor(largest ** dice.next()), dice.below(256));
    for (let at = 0; at < chunk.length; at += 997) chunk[at] = dice.below(256);
    sent.push(chunk);
    // A side that is reset meanwhile says nothing more.
    const isSent = await peer.send(chunk).then(
      () => true,
      () => false,
    );
    if (!isSent) break;
    if (dice.next() < 0.2) await stall(peer, dice);
  }
  switch (ending) {
    case "fin":
      peer.finish();
      break;
    case "reset":
      peer.reset();
      break;
    case "close":
      peer.close();
      break;
    case "stay":
  }
}

async function stall(peer: Peer, dice: Dice): Promise<void> {
  peer.pause();
  await Bun.sleep(dice.below(20));
  peer.resume();
}

/**
 * Lets a side that stays see the other's end, as a game does, and end then; where both stay, the session is
 * cut.
 */
async function endOf(session: TestSession, player: Side, backend: Side): Promise<RelayEnd> {
  if (player.ending === "stay" && backend.ending === "stay" && !session.isOver()) session.cut();
  for (const { peer, ending } of [player, backend]) {
    // Others end by themselves; a close would lose what Bun has not read yet when it tells of the FIN.
    if (ending !== "stay") continue;
    void peer
      .waitForEnd()
      .catch(() => {})
      .then(() => peer.close());
  }
  await until("the session is over", session.isOver);
  return session.ended;
}

async function expectTrue(
  player: Side,
  backend: Side,
  end: RelayEnd,
  isCut: boolean,
): Promise<void> {
  const isOrderly = player.ending === "fin" && backend.ending === "fin" && !isCut;
  const isTold = isOrderly ? isClosed : isDone;
  await until("both peers are told", () => isTold(player.peer) && isTold(backend.peer));
  expectPrefix(backend.peer, player.sent, end.toBackend);
  expectPrefix(player.peer, backend.sent, end.toClient);
  if (!isOrderly) return;
  expectLength(backend.peer, player.sent, end.toBackend);
  expectLength(player.peer, backend.sent, end.toClient);
}

const isClosed = (peer: Peer): boolean => peer.isClosed;
const isDone = (peer: Peer): boolean => peer.isClosed || peer.ending !== "open";

/** What arrived is the beginning of what was sent, and no more than was counted. */
function expectPrefix(peer: Peer, sent: readonly Buffer[], counted: number): void {
  const received = peer.received();
  const whole = Buffer.concat(sent);
  if (received.length > counted)
    throw new Error(`${received.length} bytes came, ${counted} counted`);
  if (counted > whole.length) throw new Error(`${counted} bytes counted, ${whole.length} sent`);
  if (sha256(received) !== sha256(whole.subarray(0, received.length))) {
    throw new Error(`the first ${received.length} bytes are not those that were sent`);
  }
}

function expectLength(peer: Peer, sent: readonly Buffer[], counted: number): void {
  const length = sent.reduce((sum, chunk) => sum + chunk.length, 0);
  if (peer.receivedLength !== length) {
    throw new Error(
      `${peer.receivedLength} of ${length} bytes came, counted ${counted} ${peer.ending} ${peer.isClosed}`,
    );
  }
}

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

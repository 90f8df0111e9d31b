import { figure } from "./report.ts";
import type { Row, RowId } from "./row.ts";

/** A server sends once a tick, 20 times a second, and a player as often. */
const packetsPerPlayer = 40;

/** What the figures cost a user, as a Markdown list; of rows that were not measured nothing is said. */
export function costText(rows: readonly Row[]): string {
  const found = new Map(rows.map((row) => [row.id, row]));
  const say = (
    ids: readonly RowId[],
    sentence: (...ours: readonly number[]) => string,
  ): string[] => {
    const figures = ids.map((id) => found.get(id)?.ours);
    return figures.some((ours) => ours === undefined)
      ? []
      : [`* ${sentence(...figures.map((ours) => ours ?? 0))}`];
  };
  const haproxy = found.get("packets")?.others["HAProxy"];
  return [
    ...say(["packets"], (packet = 0) => {
      const theirs = haproxy === undefined ? "" : `; HAProxy ${playersOn(haproxy.value)}`;
      return `**One core carries about ${playersOn(packet)} players${theirs}.** A server sends once a tick, 20 times a second, and a player as often: ${packetsPerPlayer} packets a second at ${figure(packet)} µs are ${figure((packetsPerPlayer * packet) / 1000)} ms of processor time.`;
    }),
    ...say(
      ["bulk-20"],
      (perGigabyte = 0) =>
        `**Worlds to load** are cheap: ${figure(perGigabyte)} s per GB, so one core moves ${figure(1 / perGigabyte)} GB a second.`,
    ),
    ...say(
      ["pings-relayed", "pings-asleep"],
      (relayed = 0, asleep = 0) =>
        `**${perCore(relayed)} pings a second** fill a core when they are relayed, ${perCore(asleep)} when the server sleeps.`,
    ),
    ...say(
      ["base", "idle", "idle-more"],
      (base = 0, idle = 0, more = 0) =>
        `**Memory** is ${figure(base)} MB, ${figure(base + (4_000 * idle) / 1e6)} MB with 4,000 players, and ${figure(more / 1000)} kB for each further one.`,
    ),
    ...say(
      ["held-more", "held-cpu"],
      (memory = 0, cpu = 0) =>
        `**A player who waits** for a server costs ${figure(memory / 1000)} kB, and ${figure(cpu)} ms of processor time a minute.`,
    ),
    ...say(
      ["rows-change", "rows-change-seed"],
      (own = 0, seed = 0) =>
        `**A change in the table** is in force within ${figure(own)} ms; with a trigger that does not say which row it was, and 100,000 rows, within ${figure(seed)} ms.`,
    ),
    ...say(
      ["rows-memory", "base"],
      (memory = 0, base = 0) =>
        `**100,000 rows** take ${figure(memory - base)} MB, ${figure((memory - base) / 100)} kB for each.`,
    ),
  ].join("\n");
}

const playersOn = (microseconds: number): string =>
  rounded(1e6 / (packetsPerPlayer * microseconds));

const perCore = (microseconds: number): string => rounded(1e6 / microseconds);

/** To two digits: what is worked out from figures that differ by a tenth from run to run. */
const rounded = (value: number): string => Number(value.toPrecision(2)).toLocaleString("en-US");

import { describe, expect, test } from "bun:test";
import { createGate } from "../../src/net/gate.ts";
import { createManualDeadlines, never } from "../support/net/link-bench.ts";

/** A gate and the names of those who were let in or sent away, in order. */
function observe(limit: number) {
  const deadlines = createManualDeadlines();
  const gate = createGate(limit, deadlines);
  const log: string[] = [];
  async function enter(name: string, ms = 1_000, signal = never): Promise<void> {
    const entered = await gate.enter(ms, signal);
    log.push(entered ? name : `not ${name}`);
  }
  return { deadlines, gate, log, enter };
}

/** Lets promises that are settled already report. */
const report = (): Promise<void> => Bun.sleep(0);

describe("a gate", () => {
  test("lets as many in at once as it has places, and the others in order as places are given back", async () => {
    const { gate, log, enter } = observe(2);
    const all = ["a", "b", "c", "d", "e"].map((name) => enter(name));
    await report();
    expect(log).toEqual(["a", "b"]);
    gate.leave();
    await report();
    expect(log).toEqual(["a", "b", "c"]);
    gate.leave();
    gate.leave();
    await Promise.all(all);
    expect(log).toEqual(["a", "b", "c", "d", "e"]);
  });

  test("gives no place to one whose time is over, and none of its places is lost by that", async () => {
    const { deadlines, gate, log, enter } = observe(1);
    const all = [enter("a"), enter("b", 100), enter("c", 1_000)];
    deadlines.advance(100);
    await report();
    expect(log).toEqual(["a", "not b"]);
    gate.leave();
    await Promise.all(all);
    expect(log).toEqual(["a", "not b", "c"]);
    gate.leave();
    expect(gate.isEmpty()).toBe(true);
    expect(deadlines.pending()).toBe(0);
  });

  test("gives no place to one whose signal aborts, before or while it waits", async () => {
    const { deadlines, gate, log, enter } = observe(1);
    const control = new AbortController();
    const all = [enter("a"), enter("b", 1_000, control.signal), enter("c")];
    control.abort();
    all.push(enter("d", 1_000, control.signal));
    await report();
    expect(log).toEqual(["a", "not b", "not d"]);
    gate.leave();
    await Promise.all(all);
    expect(log.at(-1)).toBe("c");
    gate.leave();
    await enter("e", 1_000, control.signal);
    expect(gate.isEmpty()).toBe(true);
    expect(deadlines.pending()).toBe(0);
  });

  test("does not let a newcomer overtake those who wait", async () => {
    const { gate, log, enter } = observe(1);
    const all = [enter("a"), enter("b")];
    gate.leave();
    all.push(enter("c"));
    await report();
    expect(log).toEqual(["a", "b"]);
    gate.leave();
    await Promise.all(all);
    expect(log).toEqual(["a", "b", "c"]);
  });

  test("is empty only when nobody is inside and nobody waits", async () => {
    const { gate, enter } = observe(1);
    expect(gate.isEmpty()).toBe(true);
    const all = [enter("a"), enter("b")];
    expect(gate.isEmpty()).toBe(false);
    gate.leave();
    await Promise.all(all);
    expect(gate.isEmpty()).toBe(false);
    gate.leave();
    expect(gate.isEmpty()).toBe(true);
  });
});

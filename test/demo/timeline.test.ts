import { expect, test } from "bun:test";
import { createTimeline, seconds } from "./timeline.ts";

/** What a timeline writes of one short story. */
function told(colour: boolean): string {
  let text = "";
  let nowMs = 5_000;
  const timeline = createTimeline({
    write: (part) => {
      text += part;
    },
    colour,
    now: () => nowMs,
  });
  timeline.chapter("Morning");
  nowMs += 12_345;
  timeline.tell("Robin", "wakes up");
  timeline.say("The end.");
  return text;
}

test("a timeline is plain text with the seconds since it began", () => {
  expect(told(false)).toBe("\nMorning\n  12.35 s  Robin          wakes up\nThe end.\n");
});

test("on a terminal the same text is coloured", () => {
  const coloured = told(true);
  expect(coloured).toContain("\x1b[1mMorning\x1b[0m");
  expect(Bun.stripANSI(coloured)).toBe(told(false));
});

test("durations are told in seconds with one decimal", () => {
  expect([0, 49, 50, 6_600].map(seconds)).toEqual(["0.0 s", "0.0 s", "0.1 s", "6.6 s"]);
});

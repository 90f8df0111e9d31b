import { expect, test } from "bun:test";
import type { Motd } from "../../src/routing/route.ts";
import { motdOf, refusalOf } from "../../src/session/motd.ts";

const now = Date.UTC(2026, 10, 26, 12);
const values = { now, server: "survival", reason: null, etaMs: 48_000, waiting: 3 };
const none: Motd = { asleep: "", loading: "", until: null };
const both = { asleepText: "zzz", loadingText: "soon" };
const neither = { asleepText: "", loadingText: "" };

test.each([
  ["asleep", undefined, both, "zzz"],
  ["waking", undefined, both, "soon"],
  ["waking", undefined, { ...both, loadingText: "" }, "zzz"],
  ["asleep", undefined, neither, ""],
  ["waking", undefined, neither, ""],
  ["asleep", { ...none, asleep: "mine" }, both, "mine"],
  ["asleep", { ...none, loading: "mine" }, both, "zzz"],
  ["waking", { ...none, loading: "mine" }, both, "mine"],
  ["waking", { ...none, asleep: "mine" }, both, "soon"],
  ["waking", { ...none, asleep: "mine" }, neither, "mine"],
] as const)("%s, with %j and %j: %j", (state, motd, defaults, text) => {
  expect(motdOf(state, motd === undefined ? {} : { motd }, defaults, values)).toBe(text);
});

test.each([
  ["a minute and something", 65_000, "1m5s"],
  ["less than a minute", 45_400, "45s"],
  ["half a second", 500, "1s"],
  ["less than that", 499, "0s"],
  ["it is over", 0, "now"],
  ["it is long over", -1, "now"],
  ["nobody says", null, "now"],
] as const)("{duration} when %s", (_, leftMs, text) => {
  const motd = {
    ...none,
    asleep: "{duration}, $&, {duration}",
    until: leftMs === null ? null : now + leftMs,
    refusal: "up in {duration}",
  };
  expect(refusalOf({ motd }, values)).toBe(`up in ${text}`);
  expect(motdOf("asleep", { motd }, both, values)).toBe(`${text}, $&, ${text}`);
  const withoutText = { motd: { ...motd, asleep: "" } };
  expect(motdOf("asleep", withoutText, { ...both, asleepText: "{duration}" }, values)).toBe(text);
});

test("the server, its usual time and the clients that wait are named, and the rest of a text stays", () => {
  const defaults = { asleepText: "{server} sleeps {x}", loadingText: "{waiting} wait, {eta}" };
  expect(motdOf("asleep", {}, defaults, values)).toBe("survival sleeps {x}");
  expect(motdOf("waking", {}, defaults, values)).toBe("3 wait, 48 s");
  const usual = { ...defaults, loadingText: "Starting: usually {eta}" };
  expect(motdOf("waking", {}, usual, { ...values, etaMs: null })).toBe("Starting");
});

test("a route without words for a refusal leaves them to the router", () => {
  expect(refusalOf({}, values)).toBe("");
  expect(refusalOf({ motd: { ...none, asleep: "mine" } }, values)).toBe("");
});

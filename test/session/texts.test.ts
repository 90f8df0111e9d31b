import { describe, expect, test } from "bun:test";
import { asSentence, fillText, noValues, withCodes } from "../../src/session/texts.ts";

describe("a text for players", () => {
  const rows = [
    { text: "{server}: {reason}", filled: "survival: refuses connections" },
    { text: "usually {eta}, {waiting} waiting", filled: "usually 48 s, 2 waiting" },
    { text: "{server}{server} {other} {", filled: "survivalsurvival {other} {" },
    { text: "$& {server} $1", filled: "$& survival $1" },
  ];
  const values = { server: "survival", reason: "refuses connections", etaMs: 47_200, waiting: 2 };
  test.each(rows)("$text reads $filled", ({ text, filled }) => {
    expect(fillText(text, values)).toBe(filled);
  });

  test("has nothing where nothing is known, and a server's name is not a placeholder", () => {
    expect(fillText("[{server}{reason}{eta}{waiting}]", noValues)).toBe("[]");
    expect(fillText("{server}", { ...noValues, server: "{reason}" })).toBe("{reason}");
  });

  test("leaves the clause with the usual time out before there is one", () => {
    const text = "{server} is still starting: usually {eta}. Please join again in a moment.";
    const known = { ...noValues, server: "survival" };
    expect(asSentence(text, fillText(text, known))).toBe(
      "Survival is still starting. Please join again in a moment.",
    );
    expect(asSentence(text, fillText(text, { ...known, etaMs: 48_000 }))).toBe(
      "Survival is still starting: usually 48 s. Please join again in a moment.",
    );
    expect(asSentence("{server}: full", "survival: full")).toBe("survival: full");
  });

  test("may have colour codes with & instead of §", () => {
    expect(withCodes("&aGreen &lBold §cRed &R & you & x&z &")).toBe(
      "§aGreen §lBold §cRed §R & you & x&z &",
    );
  });
});

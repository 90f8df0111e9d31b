import { expect, test } from "bun:test";
import { toIcon } from "../../src/session/icon.ts";
import { faviconOf, greyPng } from "../support/minecraft/icon.ts";

const png = greyPng(64);
const favicon = faviconOf(png);

test("an icon is its PNG file, also where its text is broken into lines", () => {
  const icon = toIcon(favicon);
  expect(icon && Buffer.from(icon.png).equals(png)).toBe(true);
  const [head = "", text = ""] = favicon.split(",");
  const broken = `${head},${text.replace(/.{76}/g, "$&\n")}`;
  expect(broken).toContain("\n");
  expect(toIcon(broken)).toEqual(icon);
});

test("the version of an icon changes with it", () => {
  const other = Buffer.from(png);
  other[other.length - 20] = 1;
  expect(toIcon(favicon)?.version).toBe(toIcon(faviconOf(Buffer.from(png)))?.version);
  expect(toIcon(faviconOf(other))?.version).not.toBe(toIcon(favicon)?.version);
});

test.each([
  { name: "another address", text: "https://example.com/icon.png" },
  { name: "another kind of picture", text: favicon.replace("png", "svg+xml") },
  { name: "nothing", text: "data:image/png;base64," },
  { name: "no base64", text: `${favicon}<script>` },
  { name: "no PNG", text: faviconOf(Buffer.alloc(100, "<svg>")) },
  { name: "a PNG cut short", text: faviconOf(png.subarray(0, 20)) },
  { name: "a larger picture", text: faviconOf(greyPng(128)) },
])("is no icon: $name", ({ text }) => {
  expect(toIcon(text)).toBeNull();
});

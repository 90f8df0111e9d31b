import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { zoneOfFile } from "../../src/system/time-zone.ts";

const now = new Date("2026-07-01T00:00:00Z");

/** A zone file of version 2 that has nothing but a rule (RFC 9636). */
const fileWith = (rule: string): Uint8Array =>
  Buffer.concat([header, header, Buffer.from(`\n${rule}\n`)]);

const header = Buffer.concat([Buffer.from("TZif2"), Buffer.alloc(39)]);

/** Local time in a zone, as `2026-07-01 02:00`. */
const timeIn = (timeZone: string | null, at: string): string =>
  new Intl.DateTimeFormat("sv-SE", {
    timeZone: timeZone ?? "none",
    dateStyle: "short",
    timeStyle: "short",
  }).format(new Date(at));

describe("a zone that keeps the time of the system's zone file", () => {
  test.each([
    ["UTC0", "UTC"],
    ["CET-1CEST,M3.5.0,M10.5.0/3", "Europe/Berlin"],
    ["EST5EDT,M3.2.0,M11.1.0", "America/New_York"],
    ["NST3:30NDT,M3.2.0,M11.1.0", "America/St_Johns"],
    ["AEST-10AEDT,M10.1.0,M4.1.0/3", "Australia/Sydney"],
    ["<+0545>-5:45", "Asia/Kathmandu"],
    ["<-03>3", "America/Sao_Paulo"],
    ["IST-1GMT0,M10.5.0,M3.5.0/1", "Europe/Dublin"],
    ["<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "America/Nuuk"],
  ])("%s is that of %s", (rule, name) => {
    const zone = zoneOfFile(fileWith(rule), now);
    for (const at of [
      "2026-01-15T12:00:00Z",
      "2026-03-29T00:59:00Z",
      "2026-03-29T01:01:00Z",
      "2026-07-15T12:00:00Z",
      "2026-10-25T00:59:00Z",
      "2026-10-25T01:01:00Z",
    ]) {
      expect({ at, time: timeIn(zone, at) }).toEqual({ at, time: timeIn(name, at) });
    }
  });

  test.each([
    ["no zone file", Buffer.from("hello\n")],
    ["no rule", fileWith("")],
    ["a rule that no zone has", fileWith("ABC-13:37")],
    ["nonsense", fileWith("CET-1CEST,M99,x")],
    ["nothing", Buffer.alloc(0)],
    ["a header alone", header],
    ["counts without what is counted", Buffer.concat([header, Buffer.alloc(44, 0xff)])],
  ])("is none for %s", (_, bytes) => {
    expect(zoneOfFile(bytes, now)).toBeNull();
  });
});

/** The machine's own zone files; a bare one has none. */
const folder = "/usr/share/zoneinfo";

test("the system's own files, where it has any, are read as what they are called", () => {
  for (const name of ["Europe/Berlin", "America/New_York", "Africa/Casablanca", "Asia/Tehran"]) {
    const path = join(folder, name);
    if (!existsSync(path)) continue;
    const zone = zoneOfFile(readFileSync(path), now);
    for (const at of ["2026-02-25T12:00:00Z", "2026-07-15T12:00:00Z"]) {
      expect({ name, time: timeIn(zone, at) }).toEqual({ name, time: timeIn(name, at) });
    }
  }
});

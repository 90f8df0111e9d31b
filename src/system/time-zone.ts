/** The file that holds this machine's time zone: localtime(5). */
export const localTimeFile = "/etc/localtime";

/**
 * A time zone of the runtime that keeps the same time this year as a zone file of the system does; null when
 * the file is none, or none keeps that time. The runtime goes by the file's name, which says nothing where
 * the file is mounted over another one, as containers do it.
 */
export function zoneOfFile(bytes: Uint8Array, now: Date): string | null {
  const rule = ruleOf(Buffer.from(bytes));
  if (rule === null) return null;
  const instants = halfMonths(now.getUTCFullYear());
  const own = new Intl.DateTimeFormat().resolvedOptions().timeZone;
  const zones = [own, "UTC", ...Intl.supportedValuesOf("timeZone")];
  return zones.find((zone) => keeps(zone, rule, instants)) ?? null;
}

/** How far local time is ahead of UTC, minutes, at an instant in ms since 1970. */
type Rule = (at: number) => number;

/** Two instants a month: every daylight saving time shows at some of them. */
const halfMonths = (year: number): readonly number[] =>
  Array.from({ length: 24 }, (_, half) => Date.UTC(year, half >> 1, half % 2 === 0 ? 2 : 16));

function keeps(zone: string, rule: Rule, instants: readonly number[]): boolean {
  const format = new Intl.DateTimeFormat("en-US", { timeZone: zone, timeZoneName: "longOffset" });
  return instants.every((at) => offsetIn(format, at) === rule(at));
}

/** From a name such as `GMT+02:00`; `GMT` alone is 0. */
function offsetIn(format: Intl.DateTimeFormat, at: number): number {
  const name = format.formatToParts(at).find(({ type }) => type === "timeZoneName")?.value ?? "";
  const [, sign, hours = "0", minutes = "0"] = /([+-])(\d+):(\d+)/.exec(name) ?? [];
  return (sign === "-" ? -1 : 1) * (Number(hours) * 60 + Number(minutes));
}

const headerBytes = 44;

/** What a zone file says: its transitions, and a rule for what follows them (RFC 9636, section 3). */
function ruleOf(file: Buffer): Rule | null {
  if (file.length < headerBytes || file.toString("latin1", 0, 4) !== "TZif") return null;
  // The first block has times of 32 bits, for old readers.
  const block = headerBytes + blockBytes(countsAt(file, 0), 4);
  if (file.length < block + headerBytes) return null;
  const counts = countsAt(file, block);
  const footer = block + headerBytes + blockBytes(counts, 8);
  const rule = readRule(file.toString("latin1", footer).replace(/^\n|\n$/g, ""));
  if (rule === null || file.length < footer) return null;
  const times = block + headerBytes;
  const types = times + counts.times * 8;
  const records = types + counts.times;
  return (at) => {
    let index = counts.times - 1;
    const isBefore = (each: number): boolean =>
      Number(file.readBigInt64BE(times + each * 8)) * 1_000 > at;
    // Those of this year are among the last ones. After the very last one the rule is in force.
    if (index < 0 || !isBefore(index)) return rule(at);
    while (index >= 0 && isBefore(index)) index -= 1;
    const type = index < 0 ? 0 : file.readUInt8(types + index);
    return Math.trunc(file.readInt32BE(records + type * 6) / 60);
  };
}

interface Counts {
  readonly times: number;
  readonly types: number;
  readonly letters: number;
  readonly leaps: number;
  readonly indicators: number;
}

function countsAt(file: Buffer, start: number): Counts {
  const count = (index: number): number => file.readUInt32BE(start + 20 + index * 4);
  return {
    indicators: count(0) + count(1),
    leaps: count(2),
    times: count(3),
    types: count(4),
    letters: count(5),
  };
}

const blockBytes = (
  { times, types, letters, leaps, indicators }: Counts,
  timeBytes: number,
): number => times * (timeBytes + 1) + types * 6 + letters + leaps * (timeBytes + 4) + indicators;

const zoneName = "(?:[A-Za-z]{3,}|<[+\\-A-Za-z0-9]{3,}>)";
const zoneOffset = "([+-]?\\d{1,3}(?::\\d{2}){0,2})";
const zoneText = new RegExp(
  `^${zoneName}${zoneOffset}(?:${zoneName}${zoneOffset}?,([^,]+),([^,]+))?$`,
);

/**
 * The rule of a `TZ` text (POSIX, "Environment Variables"), as far as zone files have such; null for any
 * other.
 */
function readRule(text: string): Rule | null {
  const [, standard, summer, start, end] = zoneText.exec(text) ?? [];
  if (standard === undefined) return null;
  // In a TZ text what lies west of Greenwich is positive.
  const offset = -minutesOf(standard);
  if (start === undefined || end === undefined) return () => offset;
  const summerOffset = summer === undefined ? offset + 60 : -minutesOf(summer);
  const [begins, ends] = [readDay(start), readDay(end)];
  if (begins === null || ends === null) return null;
  return (at) => {
    const year = new Date(at + offset * 60_000).getUTCFullYear();
    const from = begins(year) - offset * 60_000;
    const to = ends(year) - summerOffset * 60_000;
    const isSummer = from < to ? at >= from && at < to : at >= from || at < to;
    return isSummer ? summerOffset : offset;
  };
}

/**
 * The local time of a year at which daylight saving time begins or ends, as if it were UTC, ms since 1970.
 */
type DayRule = (year: number) => number;

/** `M3.5.0/2`: month, week (5 is the last one), weekday and time; or the number of a day. */
function readDay(text: string): DayRule | null {
  const [day = "", time = "2"] = text.split("/");
  const timeMs = minutesOf(time) * 60_000;
  const [, month, week, weekday] = /^M(\d+)\.(\d)\.(\d)$/.exec(day) ?? [];
  if (month !== undefined) {
    return (year) => weekdayIn(year, Number(month) - 1, Number(week), Number(weekday)) + timeMs;
  }
  const [, julian, number] = /^(J?)(\d+)$/.exec(day) ?? [];
  if (number === undefined) return null;
  // Days with a J are counted from 1 and leave the 29th of February out.
  return (year) => {
    const isLeap = new Date(Date.UTC(year, 1, 29)).getUTCMonth() === 1;
    const skips = julian === "J" ? Number(isLeap && Number(number) > 59) - 1 : 0;
    return Date.UTC(year, 0, 1 + Number(number) + skips) + timeMs;
  };
}

function weekdayIn(year: number, month: number, week: number, weekday: number): number {
  const first = new Date(Date.UTC(year, month, 1)).getUTCDay();
  const days = new Date(Date.UTC(year, month + 1, 0)).getUTCDate();
  const date = 1 + ((weekday - first + 7) % 7) + (week - 1) * 7;
  return Date.UTC(year, month, date > days ? date - 7 : date);
}

function minutesOf(text: string): number {
  const [hours = "0", minutes = "0"] = text.replace(/^[+-]/, "").split(":");
  return (text.startsWith("-") ? -1 : 1) * (Number(hours) * 60 + Number(minutes));
}

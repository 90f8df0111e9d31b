/** How much a log line matters, from most to least. */
export type Level = "error" | "warn" | "info" | "debug" | "trace";

/** Every level, from the most to the least urgent. */
export const levels: readonly Level[] = ["error", "warn", "info", "debug", "trace"];

/**
 * How a log line is written: `key=value` pairs, one JSON object, or for a person at a terminal: the time of
 * day, the level and the message, with what varies behind.
 */
export type LogFormat = "logfmt" | "json" | "terminal" | "colours";

/**
 * What a line says besides its message, in this order. Null and undefined leave a field out; none is named
 * time, level or msg.
 */
export type Fields = Readonly<Record<string, FieldValue>>;

type FieldValue = string | number | bigint | boolean | null | undefined;

/** One log line as data. `time` is RFC 3339 text, null or absent for none. */
interface LogEntry {
  readonly time?: string | null;
  readonly level: Level;
  /** A constant phrase; what varies belongs in a field. */
  readonly message: string;
  readonly fields: Fields;
}

/** Syslog priorities (RFC 5424, 6.2.1) that journald reads from `<N>` in front of a line: sd-daemon(3). */
const priorities: Readonly<Record<Level, number>> = {
  error: 3,
  warn: 4,
  info: 6,
  debug: 7,
  trace: 7,
};

/**
 * Characters that steer a terminal, a log viewer or a chat window instead of being shown: controls (with
 * ANSI's escape), format characters (bidi, zero width, tags), line and paragraph separators, lone surrogates,
 * and Minecraft's colour code.
 */
const steering = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}§]/gu;

/** Text that needs no quotes in logfmt: logrus's set, so that lines read as mc-router's did. */
const plain = /^[A-Za-z0-9\-._/@^+]+$/;

/** Longest text of a client's own choosing that a line holds, in UTF-16 units. */
const longestClientText = 64;

/** Text that a client chose (a hostname, a player's name), cut to 64 characters; `logLine` escapes it. */
export const clientText = (text: string): string => cutText(text, longestClientText);

function cutText(text: string, longest: number): string {
  if (text.length <= longest) return text;
  // A pair of surrogates is kept or left out as a whole.
  const splitsPair = (text.codePointAt(longest - 2) ?? 0) > 0xffff;
  return `${text.slice(0, longest - (splitsPair ? 2 : 1))}…`;
}

/** Longest line, bytes: what Docker's log drivers and syslog take in one piece is 8 to 16 KiB. */
const longestLine = 8 * 1024;
/** Longest texts of a line, in UTF-16 units; the next one is tried where the line is too long. */
const longestTexts = [500, 100, 20];
/** How many times longer a stack may be: its first lines are what counts. */
const stackFactor = 8;

/**
 * The entry as one line that ends in a line feed, whatever its values hold. Under journald the line starts
 * with its priority and has no time, since the journal keeps its own; it never starts with text of a client,
 * which could pose as a priority. Texts are cut at 500 characters, and shorter where the line would exceed 8
 * KiB.
 */
export function logLine(entry: LogEntry, format: LogFormat, journald: boolean): string {
  for (const longest of longestTexts) {
    const line = lineOf(entry, format, journald, longest);
    if (Buffer.byteLength(line) <= longestLine) return line;
  }
  const { time, level, message } = entry;
  const brief = { ...(time !== undefined && { time }), level, message, fields: {} };
  return lineOf(brief, format, journald, longestTexts.at(-1) ?? 0);
}

function lineOf(entry: LogEntry, format: LogFormat, journald: boolean, longest: number): string {
  const prefix = journald ? `<${priorities[entry.level]}>` : "";
  const time = journald ? null : entry.time;
  const values = { time, level: entry.level, msg: entry.message, ...entry.fields };
  const present = Object.entries(values)
    .filter(([, value]) => value !== null && value !== undefined)
    .map(([name, value]) => {
      if (typeof value !== "string") return [name, value] as const;
      return [name, cutText(value, name === "stack" ? longest * stackFactor : longest)] as const;
    });

  if (format === "json") {
    const members = present.map(([name, value]) => `${quoted(name)}:${jsonValue(value)}`);
    return `${prefix}{${members.join(",")}}\n`;
  }
  const pairs = present.map(([name, value]) => `${name}=${logfmtValue(name, value)}`);
  if (format === "logfmt") return `${prefix}${pairs.join(" ")}\n`;
  const varying = pairs.filter((pair) => !/^(time|level|msg|event)=/.test(pair));
  return terminalLine(entry, varying.join(" "), format === "colours");
}

/** The colour of each level (ECMA-48, SGR). */
const colours: Readonly<Record<Level, number>> = {
  error: 31,
  warn: 33,
  info: 32,
  debug: 36,
  trace: 90,
};
const grey = 90;

function terminalLine(
  { time, level, message }: LogEntry,
  varying: string,
  isColoured: boolean,
): string {
  const paint = (colour: number, text: string): string =>
    isColoured && text !== "" ? `\u001b[${colour}m${text}\u001b[0m` : text;
  const clock = time === null || time === undefined ? "" : timeOfDay(time);
  const words = [
    paint(grey, clock),
    paint(colours[level], level.toUpperCase().padEnd(5)),
    quoted(message).slice(1, -1),
    paint(grey, varying),
  ];
  return `${words.filter((word) => word !== "").join(" ")}\n`;
}

/** The local time of day, as the clock beside the terminal shows it. */
const timeOfDay = (time: string): string => new Date(time).toTimeString().slice(0, 8);

function jsonValue(value: FieldValue): string {
  if (typeof value === "string") return quoted(value);
  if (typeof value === "number" && !Number.isFinite(value)) return "null";
  return String(value);
}

/** The time and the message are always quoted, as logrus does it. */
function logfmtValue(name: string, value: FieldValue): string {
  const text = String(value);
  return plain.test(text) && name !== "msg" && name !== "time" ? text : quoted(text);
}

/** A JSON string literal in which nothing steers; logfmt readers know the same escapes. */
const quoted = (text: string): string => JSON.stringify(text).replace(steering, escaped);

function escaped(character: string): string {
  let escapes = "";
  for (let index = 0; index < character.length; index++) {
    escapes += `\\u${character.charCodeAt(index).toString(16).padStart(4, "0")}`;
  }
  return escapes;
}

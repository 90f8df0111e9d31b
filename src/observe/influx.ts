import { messageOf } from "../base/thrown.ts";
import { type Labels, seriesLimit } from "./family.ts";
import { mcRouterMetrics, type Recorder } from "./recorder.ts";

/** What happens to points on their way to InfluxDB. */
export type InfluxEvent =
  /** Points do not get there. The newest are kept and sent later. Emitted once until some arrive again. */
  | { readonly kind: "influx-lost"; readonly reason: string }
  /** They do again; `dropped` were lost meanwhile, or refused for good. */
  | { readonly kind: "influx-back"; readonly dropped: number };

/** Where points go, and what they carry. */
export interface InfluxOptions {
  /** Base URL, without user and password. */
  readonly url: string;
  readonly database: string;
  /** Empty for the database's own. */
  readonly retentionPolicy: string;
  /** Empty for no authentication. */
  readonly username: string;
  readonly password: string;
  /** Tags of every point. */
  readonly tags: Labels;
  /** Between two flushes, ms; above 0. */
  readonly intervalMs: number;
}

/** What a recorder for InfluxDB needs. */
export interface InfluxDeps extends InfluxOptions {
  /** The wall clock, ms since 1970. */
  now(): number;
  emit(event: InfluxEvent): void;
  /** How long one flush may take, ms; 10 s. */
  readonly timeoutMs?: number;
  /** Most bytes that are kept for later; 4 MiB. */
  readonly keptBytes?: number;
}

/** mc-router's metrics on their way to InfluxDB. */
export interface InfluxRecorder extends Recorder {
  /** Points that will never arrive. */
  readonly dropped: number;
  /**
   * Sends what is left and stops. Resolves when that is done or has failed, or at once when the signal
   * aborts.
   */
  stop(signal: AbortSignal): Promise<void>;
}

/** The points of one interval as they are sent. */
interface Batch {
  readonly body: Buffer;
  readonly points: number;
}

/** Null when it arrived. `isFinal` when trying again would not help. */
type Failure = { readonly reason: string; readonly isFinal: boolean } | null;

/** Longest explanation of InfluxDB's that is passed on, characters. */
const longestReason = 200;

/**
 * Sends every interval what has changed in it: of a counter the sum, of a gauge the last value. Uses
 * InfluxDB 1's API:
 * https://docs.influxdata.com/influxdb/v1/tools/api/#write-http-endpoint
 */
export function createInfluxRecorder(deps: InfluxDeps): InfluxRecorder {
  const { timeoutMs = 10_000, keptBytes = 4 * 1024 * 1024 } = deps;
  const url = writeUrl(deps);
  const headers = writeHeaders(deps);
  /** By measurement and tags, as the line protocol spells them. */
  const points = new Map<string, { readonly field: string; value: number }>();
  /** What has not arrived, oldest first. */
  const batches: Batch[] = [];
  let flushing: Promise<void> | null = null;
  let request: AbortController | null = null;
  let isLost = false;
  let dropped = 0;
  let droppedBefore = 0;

  const timer = setInterval(() => {
    // It never rejects. One that still runs takes this interval's points along next time.
    if (flushing === null) void flush();
  }, deps.intervalMs);
  timer.unref();

  function record(
    metric: keyof typeof mcRouterMetrics,
    labels: Labels,
    next: (value: number) => number,
  ): void {
    const { influx, type } = mcRouterMetrics[metric];
    const key = `${influx}${tagText({ ...deps.tags, ...labels })}`;
    const point = points.get(key);
    if (point !== undefined) {
      point.value = next(point.value);
    } else if (points.size < seriesLimit) {
      points.set(key, { field: type === "counter" ? "count" : "value", value: next(0) });
    } else {
      dropped += 1;
    }
  }

  function flush(): Promise<void> {
    flushing = send().finally(() => {
      flushing = null;
    });
    return flushing;
  }

  async function send(): Promise<void> {
    gather();
    const limit = new AbortController();
    request = limit;
    const late = setTimeout(() => limit.abort(), timeoutMs);
    for (let batch = batches[0]; batch !== undefined; batch = batches[0]) {
      const failure = await post(batch, limit.signal);
      if (failure === null) {
        arrived();
      } else {
        lost(failure.reason);
        if (!failure.isFinal && batch.points > 0) break;
        dropped += batch.points;
      }
      batches.shift();
    }
    clearTimeout(late);
    forgetOldest();
  }

  /**
   * Turns what has changed into a batch. Without changes it is empty, and sent all the same, as by mc-router.
   */
  function gather(): void {
    if (points.size === 0 && batches.length > 0) return;
    // One time for all, in nanoseconds.
    const time = `${Math.floor(deps.now())}000000`;
    const lines = [...points].map(
      ([key, { field, value }]) => `${key} ${field}=${value} ${time}\n`,
    );
    batches.push({ body: Buffer.from(lines.join("")), points: lines.length });
    points.clear();
  }

  async function post({ body }: Batch, signal: AbortSignal): Promise<Failure> {
    try {
      const response = await fetch(url, {
        method: "POST",
        headers,
        body,
        redirect: "manual",
        // As by mc-router: HTTP_PROXY is for what is outside.
        proxy: false,
        signal,
      });
      const text = await firstChunk(response);
      const { status } = response;
      if (status === 200 || status === 204) return null;
      const reason = `status ${status}: ${text.trim().slice(0, longestReason)}`;
      // 400: malformed points; 413: more than it takes at once. The same bytes would be refused again.
      return { reason, isFinal: status === 400 || status === 413 };
    } catch (cause) {
      return {
        reason: signal.aborted ? `no answer within ${timeoutMs / 1000} s` : messageOf(cause),
        isFinal: false,
      };
    }
  }

  function lost(reason: string): void {
    if (!isLost) deps.emit({ kind: "influx-lost", reason });
    isLost = true;
  }

  function arrived(): void {
    if (isLost) deps.emit({ kind: "influx-back", dropped: dropped - droppedBefore });
    isLost = false;
    droppedBefore = dropped;
  }

  function forgetOldest(): void {
    let bytes = batches.reduce((sum, { body }) => sum + body.length, 0);
    while (bytes > keptBytes) {
      const oldest = batches.shift();
      bytes -= oldest?.body.length ?? 0;
      dropped += oldest?.points ?? 0;
    }
  }

  async function stop(signal: AbortSignal): Promise<void> {
    clearInterval(timer);
    const cut = (): void => request?.abort();
    signal.addEventListener("abort", cut, { once: true });
    if (signal.aborted) cut();
    await flushing;
    if (!signal.aborted) await flush();
    signal.removeEventListener("abort", cut);
  }

  return {
    add: (metric, labels, amount) => record(metric, labels, (value) => value + amount),
    set: (metric, labels, value) => record(metric, labels, () => value),
    get dropped() {
      return dropped;
    },
    stop,
  };
}

function writeUrl({ url, database, retentionPolicy }: InfluxOptions): string {
  const query = { consistency: "", db: database, precision: "ns", rp: retentionPolicy };
  return `${url.replace(/\/+$/, "")}/write?${new URLSearchParams(query)}`;
}

function writeHeaders({ username, password }: InfluxOptions): Record<string, string> {
  const agent = { "user-agent": "InfluxDBClient" };
  if (username === "") return agent;
  const credentials = Buffer.from(`${username}:${password}`).toString("base64");
  return { ...agent, authorization: `Basic ${credentials}` };
}

/**
 * Tags as they follow a measurement, sorted; those without a name or a value are left out.
 * Syntax: https://docs.influxdata.com/influxdb/v1/write_protocols/line_protocol_reference/
 */
function tagText(tags: Labels): string {
  return Object.entries(tags)
    .map(([name, value]) => [escaped(name), escaped(value)] as const)
    .filter(([name, value]) => name !== "" && value !== "")
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `,${name}=${value}`)
    .join("");
}

/**
 * A line feed would begin another point, and a backslash at the end would escape the separator behind it;
 * neither can be escaped.
 */
const escaped = (text: string): string =>
  text
    .replace(/\p{Cc}/gu, "\ufffd")
    .replace(/\\+$/, "")
    .replace(/[,= ]/g, "\\$&");

/** Where an answer has an explanation it is at its beginning. Leaves nothing unread behind. */
async function firstChunk(response: Response): Promise<string> {
  if (response.body === null) return "";
  const reader = response.body.getReader();
  const { value } = await reader.read();
  await reader.cancel();
  return value === undefined ? "" : Buffer.from(value).toString("utf8");
}

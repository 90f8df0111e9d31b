import { proxyFor } from "../base/http.ts";
import { escapeLikeGo } from "../base/json.ts";
import { messageOf } from "../base/thrown.ts";
import type { Observer } from "./bus.ts";
import type { RouterEvent } from "./events.ts";
import { connected, ended, type Notice, routed } from "./notices.ts";

/** Sends notices to the operator's web server. */
export interface Notifier {
  readonly observe: Observer;
  /**
   * Resolves when every notice has been sent, or when the signal aborts: those left then are counted as
   * missed, and no more are sent.
   */
  flush(signal: AbortSignal): Promise<void>;
}

/** What a notifier needs. */
export interface NotifierDeps {
  readonly url: string;
  readonly events: ReadonlySet<string>;
  /** No notices of connections without a player. */
  readonly requireUser: boolean;
  /** For one request, ms; 0 for no limit. */
  readonly timeoutMs: number;
  /** The wall clock. */
  now(): Date;
  /** Takes what went wrong, once per outage. */
  emit(event: RouterEvent): void;
}

/** What a notice is about. */
type Topic = "connection" | "route";

/**
 * Most notices that wait or are under way; one beyond that is dropped, and counted. Routes have a limit of
 * their own, so that reading a large table leaves the connections their room.
 */
const limits: Readonly<Record<Topic, number>> = { connection: 1_000, route: 10_000 };
/** Requests under way at once. */
const parallel = 32;

/**
 * Notices that must arrive in order, those of one connection or of the routes; the first one is under way.
 */
interface Line {
  readonly topic: Topic;
  readonly key: string;
  readonly notices: Notice[];
}

/**
 * The notices of one connection are sent in order, and different connections do not wait for each other. A
 * notice is tried once. Redirects are followed as Go follows them: 307 and 308 repeat the POST, 301, 302 and
 * 303 make it a GET without a body.
 */
export function createNotifier(deps: NotifierDeps): Notifier {
  const proxy = proxyFor(deps.url);
  const lines = new Map<string, Line>();
  /** Lines of which nothing is under way yet. */
  const ready: Line[] = [];
  const held: Record<Topic, number> = { connection: 0, route: 0 };
  const requests = new Set<AbortController>();
  const flushing = new Set<() => void>();
  let working = 0;
  let missed = 0;
  let isLost = false;
  let isOver = false;

  function observe(event: RouterEvent): void {
    switch (event.kind) {
      case "session-relaying":
        tell("connection", `${event.session.id}`, connected(event.session, deps.now()));
        return;
      case "session-ended":
        for (const notice of ended(event.session, event.outcome, deps.now())) {
          tell("connection", `${event.session.id}`, notice);
        }
        return;
      case "routes-changed":
        for (const notice of routed(event, deps.now())) tell("route", "routes", notice);
        return;
      default:
        return;
    }
  }

  function tell(topic: Topic, key: string, notice: Notice): void {
    if (isOver || !deps.events.has(notice.event)) return;
    if (deps.requireUser && notice.client !== undefined && notice.player === undefined) return;
    if (held[topic] >= limits[topic]) {
      miss(`more than ${limits[topic]} notices wait`);
      return;
    }
    held[topic] += 1;
    const known = lines.get(key);
    if (known !== undefined) {
      known.notices.push(notice);
      return;
    }
    const line: Line = { topic, key, notices: [notice] };
    lines.set(key, line);
    ready.push(line);
    work();
  }

  function work(): void {
    while (working < parallel) {
      const line = ready.shift();
      if (line === undefined) return;
      working += 1;
      // It never rejects: a request that fails is a notice missed.
      void tellLine(line);
    }
  }

  async function tellLine({ topic, key, notices }: Line): Promise<void> {
    for (let notice = notices[0]; notice !== undefined && !isOver; notice = notices[0]) {
      await post(notice);
      notices.shift();
      held[topic] -= 1;
    }
    lines.delete(key);
    working -= 1;
    work();
    if (lines.size === 0) for (const resolve of flushing) resolve();
  }

  async function post(notice: Notice): Promise<void> {
    const request = new AbortController();
    requests.add(request);
    const { timeoutMs } = deps;
    const timer = timeoutMs > 0 ? setTimeout(() => request.abort(), timeoutMs) : null;
    try {
      const response = await fetch(deps.url, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: escapeLikeGo(JSON.stringify(notice)),
        decompress: false,
        signal: request.signal,
        ...proxy,
      });
      judge(response.status);
      // Only the status counts: the body may be long, or never come.
      response.body?.cancel().catch(() => {});
    } catch (cause) {
      if (!isOver)
        miss(request.signal.aborted ? `no answer within ${timeoutMs} ms` : phrase(cause));
    } finally {
      if (timer !== null) clearTimeout(timer);
      requests.delete(request);
    }
  }

  function judge(status: number): void {
    if (status >= 400) miss(`the receiver answered with status ${status}`);
    else delivered();
  }

  function miss(reason: string, count = 1): void {
    missed += count;
    if (!isLost) deps.emit({ kind: "notifier-lost", reason });
    isLost = true;
  }

  /** A receiver that is too slow takes a notice now and then: it is back when half of what waits is gone. */
  function delivered(): void {
    const isCrowded = held.connection > limits.connection / 2 || held.route > limits.route / 2;
    if (!isLost || isCrowded) return;
    deps.emit({ kind: "notifier-back", missed });
    isLost = false;
    missed = 0;
  }

  function giveUp(): void {
    if (isOver) return;
    isOver = true;
    const left = held.connection + held.route;
    if (left > 0) miss(`${left} notices were still waiting at the end`, left);
    ready.length = 0;
    for (const request of requests) request.abort();
  }

  function flush(signal: AbortSignal): Promise<void> {
    if (signal.aborted) giveUp();
    if (lines.size === 0 || isOver) return Promise.resolve();
    return new Promise((resolve) => {
      const settle = (): void => {
        flushing.delete(settle);
        signal.removeEventListener("abort", onAbort);
        resolve();
      };
      const onAbort = (): void => {
        giveUp();
        settle();
      };
      flushing.add(settle);
      signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  return { observe, flush };
}

/** Why a request failed, in one phrase. Bun appends the URL, which may hold a secret, and advice. */
function phrase(cause: unknown): string {
  const [first = "no connection"] = messageOf(cause).split(/\. | fetching /);
  return first;
}

import { patternText } from "../routing/pattern.ts";
import type { Claim } from "../routing/table.ts";
import type { SessionFacts } from "../session/event.ts";
import type { Outcome } from "../session/outcome.ts";
import type { Observer } from "./bus.ts";
import type { RouteEvent, RouterEvent } from "./events.ts";

/** The names by which an operator chooses what is told. */
export const webhookEvents = [
  "connect",
  "disconnect",
  "route-added",
  "route-removed",
  "default-route-set",
  "default-route-removed",
] as const;

/** One of those names. */
export type WebhookEvent = (typeof webhookEvents)[number];

/** What is posted, with the members in the order in which they are written; mc-router's format. */
interface Notice {
  readonly event: WebhookEvent;
  readonly timestamp: string;
  readonly status: "success" | "missing-backend" | "failed-backend-connection";
  readonly client?: { readonly host: string; readonly port: number };
  readonly server: string;
  readonly player?: { readonly name: string; readonly uuid: string };
  readonly backend?: string;
  readonly error?: string;
}

/** Tells a web server of the operator's what happens. */
export interface Notifier {
  readonly observe: Observer;
  /** Resolves when everything that was to be told has been, or when the signal aborts. */
  flush(signal: AbortSignal): Promise<void>;
}

/** What a notifier needs. */
export interface NotifierDeps {
  readonly url: string;
  readonly events: ReadonlySet<string>;
  /** Connections without a player are not told. */
  readonly requireUser: boolean;
  /** For one request, ms; 0 for no limit. */
  readonly timeoutMs: number;
  /** The wall clock. */
  now(): Date;
  /** Told what went wrong; never told again about the same outage. */
  emit(event: RouterEvent): void;
}

/** Notices held back while the receiver is slow. A notice beyond that is dropped, and counted. */
const queueLimit = 1_000;
/** Requests under way at once. */
const parallel = 8;

const noUuid = "00000000-0000-0000-0000-000000000000";

/** What is told about one connection is told in order; different connections do not wait for each other. */
export function createNotifier(deps: NotifierDeps): Notifier {
  /** Notices by what they are about: a session, or the routes. Each list is told from its head. */
  const lines = new Map<string, Notice[]>();
  const ready: string[] = [];
  let queued = 0;
  let underWay = 0;
  let missed = 0;
  let isLost = false;
  let onIdle: (() => void) | null = null;

  function observe(event: RouterEvent): void {
    switch (event.kind) {
      case "session-relaying":
        tell(`${event.session.id}`, connected(event.session, deps.now()));
        return;
      case "session-ended":
        for (const notice of ended(event.session, event.outcome, deps.now())) {
          tell(`${event.session.id}`, notice);
        }
        return;
      case "routes-changed":
        for (const notice of routed(event, deps.now())) tell("routes", notice);
        return;
      default:
        return;
    }
  }

  function tell(about: string, notice: Notice): void {
    if (!deps.events.has(notice.event)) return;
    if (deps.requireUser && notice.client !== undefined && notice.player === undefined) return;
    if (queued >= queueLimit) {
      miss(`more than ${queueLimit} notices wait`);
      return;
    }
    queued += 1;
    const line = lines.get(about);
    if (line !== undefined) {
      line.push(notice);
      return;
    }
    lines.set(about, [notice]);
    ready.push(about);
    work();
  }

  function work(): void {
    while (underWay < parallel) {
      const about = ready.shift();
      if (about === undefined) return;
      underWay += 1;
      void tellLine(about);
    }
  }

  async function tellLine(about: string): Promise<void> {
    const line = lines.get(about) ?? [];
    for (let notice = line[0]; notice !== undefined; notice = line[0]) {
      await post(notice);
      line.shift();
      queued -= 1;
    }
    lines.delete(about);
    underWay -= 1;
    work();
    if (queued === 0) onIdle?.();
  }

  async function post(notice: Notice): Promise<void> {
    try {
      const response = await fetch(deps.url, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: goJson(notice),
        ...(deps.timeoutMs > 0 ? { signal: AbortSignal.timeout(deps.timeoutMs) } : {}),
      });
      await response.body?.cancel();
      if (response.status >= 400) miss(`the receiver answered with status ${response.status}`);
      else delivered();
    } catch (cause) {
      miss(cause instanceof Error ? cause.message : String(cause));
    }
  }

  function miss(reason: string): void {
    missed += 1;
    if (!isLost) deps.emit({ kind: "notifier-lost", reason });
    isLost = true;
  }

  function delivered(): void {
    if (isLost) deps.emit({ kind: "notifier-back", missed });
    isLost = false;
    missed = 0;
  }

  function flush(signal: AbortSignal): Promise<void> {
    if (queued === 0 || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      onIdle = resolve;
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
  }

  return { observe, flush };
}

function connected(session: SessionFacts, now: Date): Notice {
  return { ...about("connect", "success", session, now), ...backendOf(session) };
}

/** The notices at the end of a session: why there was no connection, if there was none, and that it is over. Connections that named no server are not told of. */
function ended(session: SessionFacts, outcome: Outcome, now: Date): readonly Notice[] {
  const isUnknown = outcome.kind === "dropped" && outcome.why === "unknown-host";
  if (session.route === null && !isUnknown) return [];
  const notices: Notice[] = [];
  if (isUnknown || isUndialled(session, outcome)) {
    const notice = about("connect", "missing-backend", session, now);
    notices.push({ ...notice, error: "No backend found" });
  } else if (isUnreached(outcome)) {
    const notice = about("connect", "failed-backend-connection", session, now);
    notices.push({ ...notice, ...backendOf(session), error: reasonOf(outcome) });
  }
  const over = about("disconnect", "success", session, now);
  return [...notices, { ...over, ...backendOf(session) }];
}

/** A ping that was answered without asking the backend. */
const isUndialled = (session: SessionFacts, outcome: Outcome): boolean =>
  isUnreached(outcome) && session.backend === null;

const isUnreached = (outcome: Outcome): boolean =>
  (outcome.kind === "answered" && ["asleep", "waking", "unreachable"].includes(outcome.answer)) ||
  (outcome.kind === "dropped" && outcome.why === "no-answer");

const reasonOf = (outcome: Outcome): string =>
  outcome.kind === "relayed" ? "" : (outcome.reason ?? "no connection");

function about(
  event: WebhookEvent,
  status: Notice["status"],
  session: SessionFacts,
  now: Date,
): Notice {
  const { client, player, rawHost } = session;
  return {
    event,
    timestamp: localTime(now),
    status,
    client: { host: client.ip, port: client.port },
    server: rawHost ?? "",
    ...(player === null ? {} : { player: { name: player.name, uuid: player.uuid ?? noUuid } }),
  };
}

const backendOf = ({ backend }: SessionFacts): { readonly backend?: string } =>
  backend === null ? {} : { backend };

/** A changed route is one that goes and one that comes. */
function routed({ changes }: RouteEvent, now: Date): readonly Notice[] {
  const gone = [...changes.removed, ...changes.changed.map((change) => change.before)];
  const come = [...changes.added, ...changes.changed.map((change) => change.after)];
  const notices: Notice[] = [];
  for (const claim of gone) {
    // A default that has a successor is set, not removed.
    if (claim.pattern.kind === "default" && come.some(isDefault)) continue;
    const event = isDefault(claim) ? "default-route-removed" : "route-removed";
    notices.push(aboutRoute(event, claim, now));
  }
  for (const claim of come) {
    const event = isDefault(claim) ? "default-route-set" : "route-added";
    notices.push({ ...aboutRoute(event, claim, now), backend: claim.route.address.text });
  }
  return notices;
}

const isDefault = (claim: Claim): boolean => claim.pattern.kind === "default";

const aboutRoute = (event: WebhookEvent, claim: Claim, now: Date): Notice => ({
  event,
  timestamp: localTime(now),
  status: "success",
  server: isDefault(claim) ? "" : patternText(claim.pattern),
});

/** RFC 3339 in local time, without trailing zeros in the fraction. */
export function localTime(time: Date): string {
  const offset = -time.getTimezoneOffset();
  const local = new Date(time.getTime() + offset * 60_000).toISOString();
  const trimmed = local.replace(/\.?0*Z$/, "");
  if (offset === 0) return `${trimmed}Z`;
  const pad = (value: number): string => String(value).padStart(2, "0");
  const size = Math.abs(offset);
  return `${trimmed}${offset < 0 ? "-" : "+"}${pad(Math.floor(size / 60))}:${pad(size % 60)}`;
}

/** JSON with the characters escaped that Go escapes. They stand only inside of strings. */
const goJson = (value: unknown): string =>
  JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );

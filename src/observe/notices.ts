import { writtenPattern } from "../routing/pattern.ts";
import type { Claim } from "../routing/table.ts";
import type { SessionFacts } from "../session/event.ts";
import type { Answer, Outcome } from "../session/outcome.ts";
import type { RouteEvent } from "./events.ts";
import type { WebhookEvent } from "./webhook-events.ts";

/** What is posted, with the members in the order in which they are written; mc-router's format. */
export interface Notice {
  readonly event: WebhookEvent;
  readonly timestamp: string;
  readonly status: "success" | "missing-backend" | "failed-backend-connection";
  readonly client?: { readonly host: string; readonly port: number };
  readonly server: string;
  readonly player?: { readonly name: string; readonly uuid: string };
  readonly backend?: string;
  readonly error?: string;
}

const noUuid = "00000000-0000-0000-0000-000000000000";

/** The notice of a session that has reached its backend. */
export function connected(session: SessionFacts, now: Date): Notice {
  return { ...about("connect", "success", session, now), ...backendOf(session) };
}

/**
 * The notices at the end of a session: why there was no connection, if there was none, and that it is over.
 * Sessions without a hostname have none.
 */
export function ended(session: SessionFacts, outcome: Outcome, now: Date): readonly Notice[] {
  const isUnknown = isUnknownHost(outcome);
  if (session.route === null && !isUnknown) return [];
  const notices: Notice[] = [];
  if (outcome.kind === "answered" && outcome.answer === "running") {
    notices.push(connected(session, now));
  } else if (isUnknown || isUndialled(session, outcome)) {
    const notice = about("connect", "missing-backend", session, now);
    notices.push({ ...notice, error: "No backend found" });
  } else if (isUnreached(outcome)) {
    const notice = about("connect", "failed-backend-connection", session, now);
    notices.push({ ...notice, ...backendOf(session), error: reasonOf(outcome) });
  }
  const over = about("disconnect", "success", session, now);
  return [...notices, { ...over, ...backendOf(session) }];
}

const isUnknownHost = (outcome: Outcome): boolean =>
  (outcome.kind === "answered" && outcome.answer === "unknown-host") ||
  (outcome.kind === "dropped" && outcome.why === "unknown-host");

/** A ping that was answered without dialling the backend. */
const isUndialled = (session: SessionFacts, outcome: Outcome): boolean =>
  isUnreached(outcome) && session.backend === null;

const unreached: ReadonlySet<Answer> = new Set(["asleep", "waking", "unreachable", "wake-denied"]);

const isUnreached = (outcome: Outcome): boolean =>
  (outcome.kind === "answered" && unreached.has(outcome.answer)) ||
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

/**
 * A changed route is one removed and one added; a changed default is only set. Lazily, as a table may be
 * large.
 */
export function* routed({ changes }: RouteEvent, now: Date): Generator<Notice> {
  for (const claim of changes.removed) yield removed(claim, now);
  for (const { before } of changes.changed) if (!isDefault(before)) yield removed(before, now);
  for (const { after } of changes.changed) yield added(after, now);
  for (const claim of changes.added) yield added(claim, now);
}

const removed = (claim: Claim, now: Date): Notice =>
  aboutRoute(isDefault(claim) ? "default-route-removed" : "route-removed", claim, now);

const added = (claim: Claim, now: Date): Notice => ({
  ...aboutRoute(isDefault(claim) ? "default-route-set" : "route-added", claim, now),
  backend: claim.route.address.text,
});

const isDefault = (claim: Claim): boolean => claim.pattern.kind === "default";

const aboutRoute = (event: WebhookEvent, claim: Claim, now: Date): Notice => ({
  event,
  timestamp: localTime(now),
  status: "success",
  // As the operator wrote it: a receiver may look it up by that.
  server: writtenPattern(claim.pattern),
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

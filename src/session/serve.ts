import type { Opening } from "../protocol/opening.ts";
import { statusResponse } from "../protocol/status.ts";
import { type Hostname, toHostname } from "../routing/hostname.ts";
import { patternText } from "../routing/pattern.ts";
import type { Claim, RouteTable } from "../routing/table.ts";
import { type AdmissionDeps, admit, refusalNow } from "./admission.ts";
import { answerPing, kick, kickLegacy } from "./answer.ts";
import type { ServeResult } from "./backend.ts";
import type { SessionFacts } from "./event.ts";
import { type LoginDeps, login } from "./login.ts";
import { openingMs, readOpening } from "./opening.ts";
import { answered, dropped, type Outcome } from "./outcome.ts";
import { type PingDeps, ping } from "./ping.ts";
import type { Session } from "./session.ts";
import { fillText, noValues } from "./texts.ts";

/** What every session needs. */
export interface SessionDeps extends AdmissionDeps, LoginDeps, PingDeps {
  readonly table: RouteTable;
  /** Cut what follows the first dash in the hostname of an SRV target; mc-router's SIMPLIFY_SRV. */
  readonly simplifySrv: boolean;
  /**
   * What clients of unknown hostnames read, in the server list and when they join; empty: they are closed
   * without a word.
   */
  readonly unknownTexts: { readonly motd: string; readonly kick: string };
}

/** How long a client may take to say what it wants when all it gets is that the router is full, ms. */
const overLimitMs = 1_000;

/**
 * One client's connection up to the relay, or to its end where there is no relay: the client is then closed,
 * or about to be. The relay is not awaited: that would keep everything here in memory for as long as the
 * player plays.
 */
export async function serve(session: Session, deps: SessionDeps): Promise<ServeResult> {
  const { client } = session;
  const until = deps.deadlines.now() + (session.isOverLimit ? overLimitMs : openingMs);

  const refused = await admit(session, until, deps);
  if (refused !== null) return refused;

  const opened = await readOpening(client, until, deps.deadlines);
  if (opened.kind === "refused") return opened.outcome;
  deps.limiter.opened(session.place);

  const { opening, end: openingLength } = opened;
  const hostname = noteOpening(session, opening, deps.simplifySrv);
  if (opening.kind === "legacy-login") return refuseLegacyLogin(session, deps);

  const claim = deps.table.resolve(hostname);
  if (claim === null) return answerUnknown(session, opening, deps);
  noteClaim(session, claim);

  const request = { hostname, route: claim.route, openingLength };
  return opening.kind === "login"
    ? login(session, { ...request, opening }, deps)
    : ping(session, { ...request, opening }, deps);
}

/**
 * Notes what the client said, and returns the hostname that it is routed by: empty, as the default route's,
 * where there is none.
 */
function noteOpening(
  { facts, fixedHostname }: Session,
  opening: Opening,
  simplifySrv: boolean,
): Hostname {
  const { intent, protocol, rawHost } = sharedFields(opening);
  facts.intent = intent;
  facts.protocol = protocol;
  facts.player = opening.kind === "login" ? opening.player : null;
  facts.rawHost = rawHost?.split("\0", 1)[0] ?? null;
  const hostname = fixedHostname ?? toHostname(rawHost ?? "", simplifySrv);
  facts.hostname = rawHost === null ? fixedHostname : hostname;
  return hostname;
}

/**
 * Notes the claim that matched. Equal texts become the claim's own string, which all its players then share.
 */
function noteClaim({ facts }: Session, { pattern, route }: Claim): void {
  facts.route = patternText(pattern);
  facts.row = route.source === "env" ? null : route.id;
  if (facts.hostname === facts.route) facts.hostname = facts.route;
  if (facts.rawHost === facts.route) facts.rawHost = facts.route;
}

/** What every kind of opening has; null where the client's version does not send it. */
function sharedFields(opening: Opening): {
  readonly intent: SessionFacts["intent"];
  readonly protocol: number | null;
  readonly rawHost: string | null;
} {
  switch (opening.kind) {
    case "status":
    case "login":
      return opening.handshake;
    case "legacy-ping":
      return { intent: opening.kind, protocol: opening.protocol, rawHost: opening.rawHost };
    case "legacy-login":
      return { intent: opening.kind, protocol: null, rawHost: null };
  }
}

/** No route claims the hostname: silence, so that scanners learn nothing, or the operator's words. */
async function answerUnknown(
  session: Session,
  opening: Exclude<Opening, { readonly kind: "legacy-login" }>,
  deps: SessionDeps,
): Promise<Outcome> {
  const { client, facts } = session;
  const { unknownTexts, deadlines } = deps;
  const isLogin = opening.kind === "login";
  const words = isLogin ? unknownTexts.kick : unknownTexts.motd;
  const what = isLogin ? "login" : "status";
  if (words === "" || refusalNow(session, what, deps) !== null) return dropped("unknown-host");
  const text = fillText(words, { ...noValues, server: facts.hostname });
  if (isLogin) {
    kick(client, text, deadlines);
  } else {
    const protocol = facts.protocol ?? 0;
    await answerPing(
      client,
      opening,
      { text, status: statusResponse({ protocol, text }) },
      deadlines,
    );
  }
  return answered("unknown-host");
}

/** A login from before Minecraft 1.7 names no hostname, so no backend can be found for it. */
function refuseLegacyLogin(session: Session, deps: SessionDeps): Outcome {
  const answer = refusalNow(session, "login", deps) === "throttled" ? "throttled" : "too-old";
  kickLegacy(session.client, fillText(deps.texts[answer], noValues), deps.deadlines);
  return answered(answer);
}

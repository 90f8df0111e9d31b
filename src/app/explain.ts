import { isIP } from "node:net";
import { createDeadlines } from "../base/deadlines.ts";
import {
  flagOf,
  listOf,
  type Members,
  membersOf,
  numberOf,
  textOf,
  textsOf,
  within,
} from "../base/members.ts";
import { ok, type Result } from "../base/result.ts";
import type { Config } from "../config/config.ts";
import { createEgress } from "../limits/egress.ts";
import type { Observer } from "../observe/bus.ts";
import { createStaticRoutes } from "../providers/static/static-routes.ts";
import { superviseSources } from "../providers/supervisor.ts";
import { isNowhere, placesOf } from "../routing/address.ts";
import { toHostname } from "../routing/hostname.ts";
import { patternText } from "../routing/pattern.ts";
import { type Route, type WakeTarget, wakeName } from "../routing/route.ts";
import { type Candidate, createRouteTable } from "../routing/table.ts";
import type { RunningRouter } from "./cli/running-router.ts";
import { createPlatforms, sourcesOf } from "./providers.ts";

/** How long the sources may take to be read, ms. */
const readMs = 15_000;

const standings: Readonly<Record<Candidate["standing"], string>> = {
  wins: "gets the players",
  "less-specific": "less specific",
  "later-source": "its source comes later in the order of precedence",
  "larger-id": "its name comes later in the same source",
};

const wakerNames: Readonly<Record<WakeTarget["kind"], string>> = {
  "control-plane": "control plane",
  webhook: "webhook",
  docker: "Docker engine",
  swarm: "Swarm",
  kubernetes: "Kubernetes API",
};

/** Where a hostname leads, in words for the operator. */
export interface Explanation {
  readonly hostname: string;
  /** How one of several addresses is chosen; null for one address, or where that is not known. */
  readonly balance: string | null;
  /** The hostname whose route takes logins while the backend is down; null: none, or that is not known. */
  readonly fallback: string | null;
  /** How the server is doing at the moment; null where that is not known. */
  readonly state: string | null;
  /** What an operator should know besides. */
  readonly warnings: readonly string[];
  /** Every claim on the hostname; the first one gets the players. */
  readonly claims: readonly ExplainedClaim[];
}

/** One claim on a hostname. */
interface ExplainedClaim {
  readonly pattern: string;
  /** Empty for a backend that has no address while it sleeps. */
  readonly backend: string;
  readonly source: string;
  readonly row: string;
  /** How the backend is started: a phrase. */
  readonly wake: string;
  readonly standing: string;
}

/** The explanation for a terminal. */
export function explanationText(explanation: Explanation): string {
  const { hostname, balance, fallback, state, warnings, claims } = explanation;
  const [winner] = claims;
  const shown = (backend: string): string => backend || "none while it sleeps";
  const route =
    winner === undefined
      ? ["route     none: such a client is disconnected without a word"]
      : [
          `route     ${winner.pattern}, from ${winner.source} ${winner.row}`,
          `backend   ${shown(winner.backend)}`,
          ...(balance === null ? [] : [`balance   ${balance}`]),
          `wake      ${winner.wake}`,
          ...(state === null ? [] : [`state     ${state}`]),
          ...(fallback === null ? [] : [`fallback  ${fallback}, for logins while it is down`]),
        ];
  const lines = [
    `hostname  ${hostname === "" ? "(empty)" : hostname}`,
    ...route,
    ...warnings.map((warning) => `warning   ${warning}`),
    ...claims.map(
      ({ pattern, backend, source, row, standing }) =>
        `claim     ${pattern} -> ${shown(backend)} (${source} ${row}): ${standing}`,
    ),
  ];
  return `${lines.join("\n")}\n`;
}

/**
 * Reads every source of this configuration once and tells where a hostname leads and why. The error is one
 * readable phrase.
 */
export async function explain(
  config: Config,
  raw: string,
  emit: Observer,
): Promise<Result<Explanation, string>> {
  const deadlines = createDeadlines();
  const table = createRouteTable();
  const { simplifySrv } = config;
  const { path } = config.routesFile;
  const staticRoutes = createStaticRoutes({ path, watch: false, simplifySrv, emit });
  const loaded = await staticRoutes.load();
  if (!loaded.ok) return loaded;
  const supervisor = superviseSources(
    sourcesOf(withoutSnapshot(config), createPlatforms(config), staticRoutes, emit),
    {
      table,
      changed: (source, changes) => {
        if (changes.conflicts.length > 0) {
          const conflicts = { added: [], removed: [], changed: [], conflicts: changes.conflicts };
          emit({ kind: "routes-changed", source, changes: conflicts });
        }
      },
      fault: (error) => emit({ kind: "fault", error }),
    },
  );
  const patience = new AbortController();
  const late = deadlines.after(readMs, () => patience.abort());
  await supervisor.firstRoutes(patience.signal);
  late.cancel();
  await supervisor.stop();

  const hostname = toHostname(raw, simplifySrv);
  const candidates = table.explain(hostname);
  const warnings: string[] = [];
  if (patience.signal.aborted) {
    warnings.push("not every source could be read in time; what is shown may be incomplete");
  }
  const [winner] = candidates;
  const forbidden = winner === undefined ? [] : refusals(winner.claim.route, config);
  warnings.push(...forbidden.map((refusal) => `never dialled: ${refusal}`));
  return ok({
    hostname,
    balance: winner === undefined ? null : balanceText(winner.claim.route, config),
    fallback: winner?.claim.route.fallback ?? config.fallback,
    state: null,
    warnings,
    claims: candidates.map(({ claim: { pattern, route }, standing }) => ({
      pattern: patternText(pattern),
      backend: route.address.text,
      source: route.source,
      row: route.id,
      wake: wakeText(route),
      standing: standings[standing],
    })),
  });
}

/** Asks the running router where a hostname leads. The error is one readable phrase. */
export async function explainRunning(
  router: RunningRouter,
  host: string,
): Promise<Result<Explanation, string>> {
  const answer = await router.read(`/explain?host=${encodeURIComponent(host)}`);
  if (!answer.ok) return answer;
  const explained = membersOf(answer.value) ?? {};
  const claims = listOf(explained, "claims");
  const servers = await router.read("/servers");
  const pattern = textOf(claims[0] ?? {}, "pattern");
  return ok({
    hostname: textOf(explained, "hostname") ?? "",
    balance: null,
    fallback: null,
    state: servers.ok && pattern !== null ? stateOf(servers.value, pattern) : null,
    warnings: [],
    claims: claims.map((claim) => ({
      pattern: textOf(claim, "pattern") ?? "",
      backend: textOf(claim, "backend") ?? "",
      source: textOf(claim, "source") ?? "",
      row: textOf(claim, "row") ?? "",
      wake: wakeTextOf(claim),
      standing: standingText(textOf(claim, "standing") ?? ""),
    })),
  });
}

/** What the API says of the server behind a pattern, in one phrase; null where it does not know it. */
function stateOf(servers: unknown, pattern: string): string | null {
  const server = listOf({ servers }, "servers").find(({ hostnames }) =>
    textsOf(hostnames).includes(pattern),
  );
  if (server === undefined) return null;
  const state = textOf(server, "state");
  const failure = textOf(server, "lastFailure");
  const parts = [
    // A server that the router cannot start has no states.
    ...(state === null || state === "fixed" ? [] : [state]),
    `${numberOf(server, "players") ?? 0} players`,
    `${numberOf(server, "waiting") ?? 0} waiting`,
    ...(failure === null ? [] : [`last failure: ${failure}`]),
  ];
  return parts.join(", ");
}

const standingText = (name: string): string =>
  Object.entries(standings).find(([standing]) => standing === name)?.[1] ?? name;

/** What `wakeText` says, of a claim in the API's words. */
function wakeTextOf(claim: Members): string {
  const wake = membersOf(claim["wake"]);
  const kind = wake === null ? null : textOf(wake, "kind");
  const waker = Object.entries(wakerNames).find(([known]) => known === kind)?.[1];
  const isForbidden = wake !== null && "scaling" in wake && !flagOf(within(wake, "scaling"), "up");
  if (wake === null || waker === undefined || isForbidden) {
    return neverText(textOf(claim, "backend") === null);
  }
  const names = ["server", "name", "backend", "service"].map((name) => textOf(wake, name));
  return `by the ${waker}, as ${JSON.stringify(names.find((name) => name !== null) ?? "")}`;
}

/**
 * The snapshot belongs to the router that runs: it may be older than the table, and must not be written with
 * another user's rights.
 */
const withoutSnapshot = (config: Config): Config =>
  config.postgres === null
    ? config
    : { ...config, postgres: { ...config.postgres, snapshot: null } };

/**
 * The places of the route's address that are never dialled, and why. A name is judged where it leads at that
 * moment.
 */
function refusals({ address }: Route, { egress }: Config): readonly string[] {
  return placesOf(address).flatMap(({ host, port }) => {
    const reason = isIP(host) === 0 ? null : createEgress(egress).refusal(host, port);
    return reason === null ? [] : [`${host} ${reason}`];
  });
}

const balanceTexts: Readonly<Record<Config["balance"], string>> = {
  first: "the first address that answers, in this order",
  least: "the address with the fewest of the router's players",
  random: "any address, by chance",
};

/** How one of several addresses is chosen; null for one address. */
const balanceText = ({ address }: Route, { balance }: Config): string | null =>
  placesOf(address).length > 1 ? `${balanceTexts[balance]}; those that are down come last` : null;

function wakeText({ wake, address }: Route): string {
  if (wake !== null && isWakeable(wake)) {
    return `by the ${wakerNames[wake.kind]}, as ${JSON.stringify(wakeName(wake))}`;
  }
  return neverText(isNowhere(address));
}

const neverText = (isAsleep: boolean): string =>
  isAsleep
    ? "never: no player gets in until it is started by other means"
    : "never: it is dialled as it is";

function isWakeable(target: WakeTarget): boolean {
  switch (target.kind) {
    case "control-plane":
    case "webhook":
      return true;
    case "docker":
    case "swarm":
    case "kubernetes":
      return target.scaling.up;
  }
}

import { isIP } from "node:net";
import { createDeadlines } from "../base/deadlines.ts";
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

/** Reads every source once and tells, for the operator, where a hostname leads and why. The error is one readable phrase. */
export async function explain(
  config: Config,
  raw: string,
  emit: Observer,
): Promise<Result<string, string>> {
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
  const lines = [`hostname  ${hostname === "" ? "(empty)" : hostname}`];
  if (patience.signal.aborted) {
    lines.push("warning   not every source could be read in time; what follows may be incomplete");
  }
  const candidates = table.explain(hostname);
  const [winner] = candidates;
  if (winner === undefined) {
    lines.push("route     none: such a client is disconnected without a word");
  } else {
    lines.push(...routeLines(winner.claim.route, patternText(winner.claim.pattern)));
    lines.push(...balanceLines(winner.claim.route, config));
    for (const refusal of refusals(winner.claim.route, config)) {
      lines.push(`warning   never dialled: ${refusal}`);
    }
  }
  for (const { claim, standing } of candidates) {
    const { route } = claim;
    lines.push(
      `claim     ${patternText(claim.pattern)} -> ${addressText(route)} (${route.source} ${route.id}): ${standings[standing]}`,
    );
  }
  return ok(`${lines.join("\n")}\n`);
}

/** The snapshot belongs to the router that runs: it may be older than the table, and must not be written with another user's rights. */
const withoutSnapshot = (config: Config): Config =>
  config.postgres === null
    ? config
    : { ...config, postgres: { ...config.postgres, snapshot: null } };

/** The places of the route's address that are never dialled, and why. A name is judged where it leads at that moment. */
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

/** How one of several addresses is chosen; nothing for one address. */
const balanceLines = ({ address }: Route, { balance }: Config): readonly string[] =>
  placesOf(address).length > 1
    ? [`balance   ${balanceTexts[balance]}; those that are down come last`]
    : [];

const addressText = ({ address }: Route): string => address.text || "none while it sleeps";

function routeLines(route: Route, pattern: string): readonly string[] {
  return [
    `route     ${pattern}, from ${route.source} ${route.id}`,
    `backend   ${addressText(route)}`,
    `wake      ${wakeText(route)}`,
  ];
}

function wakeText({ wake, address }: Route): string {
  if (wake !== null && isWakeable(wake)) {
    return `by the ${wakerNames[wake.kind]}, as ${JSON.stringify(wakeName(wake))}`;
  }
  if (isNowhere(address)) return "never: nobody gets in until somebody else starts it";
  return "never: it is dialled as it is";
}

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

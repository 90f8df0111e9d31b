import type { Hostname } from "./hostname.ts";
import { longestPattern, type Pattern, patternText } from "./pattern.ts";
import { type Route, type SourceName, sameRoute, sameTarget, sourceNames } from "./route.ts";
import type { Delta } from "./source.ts";

/** One pattern as one route claims it. */
export interface Claim {
  readonly pattern: Pattern;
  readonly route: Route;
}

/** Two routes claim the same pattern: the winner gets its players, the loser gets none by this name. */
export interface Conflict {
  readonly pattern: Pattern;
  readonly winner: Route;
  readonly loser: Route;
}

/**
 * What a publication did to the effective table, that is, to who owns each pattern. A claim that
 * another one outranks is no part of it. Nothing is listed for a pattern whose owner is the same
 * route with the same target, whatever else that route claims now.
 */
export interface Changes {
  readonly added: readonly Claim[];
  readonly removed: readonly Claim[];
  readonly changed: readonly { readonly before: Claim; readonly after: Claim }[];
  /** Only pairs of winner and loser that were not at odds over the pattern before. */
  readonly conflicts: readonly Conflict[];
}

/** One claim on a hostname, and why it gets the players or does not. */
export interface Candidate {
  readonly claim: Claim;
  readonly standing: "wins" | "less-specific" | "later-source" | "larger-id";
}

/** How many routes each source has published, and how many patterns have an owner. */
interface TableSize {
  readonly routes: ReadonlyMap<SourceName, number>;
  readonly claims: number;
}

/**
 * Who gets the players of a hostname. Everything happens within the call, so no look-up sees half a
 * change.
 */
export interface RouteTable {
  /** Sets the source's routes, all of which name it as theirs; of two with one id the last counts. */
  replace(source: SourceName, routes: readonly Route[]): Changes;
  /** Alters the source's routes. Costs the size of the delta, however large the table. */
  patch(source: SourceName, delta: Delta): Changes;
  /** The claim that gets the hostname's players; null when no route claims it and there is no default. */
  resolve(hostname: Hostname): Claim | null;
  /** Every claim on the hostname, in the order that `resolve` tries them; the first one wins. */
  explain(hostname: Hostname): readonly Candidate[];
  /** The owner's claim of each pattern, sorted by the pattern's text. Costs the whole table. */
  entries(): readonly Claim[];
  size(): TableSize;
}

/** The claims of one source on patterns of one kind, by hostname or suffix. */
interface Claims {
  /** The best claim on each key. Look-ups read nothing else. */
  readonly owners: Map<string, Claim>;
  /** All claims on a key by route id, for the rare keys that several routes claim. */
  readonly rivals: Map<string, Map<string, Claim>>;
}

/**
 * What one source has published. Each source has its own, so that a large one never slows the
 * others down.
 */
interface Holdings extends Readonly<Record<Pattern["kind"], Claims>> {
  readonly source: SourceName;
  readonly routes: Map<string, Route>;
}

/** The claims on a pattern that a publication touches, best first. */
interface Standing {
  readonly pattern: Pattern;
  readonly before: readonly Claim[];
  after: readonly Claim[];
}

const noClaims: readonly Claim[] = [];

/** A table without routes. */
export function createRouteTable(): RouteTable {
  /** The sources that have published, in order of precedence. */
  let holdings: readonly Holdings[] = [];
  let claimCount = 0;
  let hasWildcards = false;

  function holdingsOf(source: SourceName): Holdings {
    const known = holdings.find((held) => held.source === source);
    if (known !== undefined) return known;
    const fresh = createHoldings(source);
    holdings = [...holdings, fresh].sort((a, b) => rankOf(a.source) - rankOf(b.source));
    return fresh;
  }

  function best(kind: Pattern["kind"], key: string): Claim | null {
    for (const held of holdings) {
      const owner = held[kind].owners.get(key);
      if (owner !== undefined) return owner;
    }
    return null;
  }

  /** All claims on one pattern, best first. */
  function contenders(kind: Pattern["kind"], key: string): readonly Claim[] {
    let all = noClaims;
    for (const held of holdings) {
      const claims = claimsOn(held[kind], key);
      if (claims.length > 0) all = all.length === 0 ? claims : [...all, ...claims];
    }
    return all;
  }

  function patch(source: SourceName, delta: Delta): Changes {
    const held = holdingsOf(source);
    const touched = new Map<string, Standing>();

    function touch(pattern: Pattern): void {
      const text = patternText(pattern);
      if (touched.has(text)) return;
      const before = contenders(pattern.kind, keyOf(pattern));
      touched.set(text, { pattern, before, after: before });
    }

    function put(id: string, route: Route | null): void {
      const former = held.routes.get(id) ?? null;
      if (former !== null && route !== null && sameRoute(former, route)) return;
      for (const pattern of former?.patterns ?? []) {
        touch(pattern);
        withdraw(held[pattern.kind], keyOf(pattern), id);
      }
      if (route === null) {
        held.routes.delete(id);
        return;
      }
      held.routes.set(id, route);
      for (const pattern of route.patterns) {
        touch(pattern);
        enter(held[pattern.kind], keyOf(pattern), { pattern, route });
      }
    }

    for (const id of delta.remove) put(id, null);
    for (const route of delta.upsert) put(route.id, route);

    for (const standing of touched.values()) {
      const { kind } = standing.pattern;
      const key = keyOf(standing.pattern);
      electOwner(held[kind], key);
      standing.after = contenders(kind, key);
    }
    const changes = changesBetween(touched.values());
    claimCount += changes.added.length - changes.removed.length;
    hasWildcards = holdings.some(({ wildcard }) => wildcard.owners.size > 0);
    return changes;
  }

  return {
    replace(source, routes) {
      const ids = new Set(routes.map((route) => route.id));
      const gone = [...holdingsOf(source).routes.keys()].filter((id) => !ids.has(id));
      return patch(source, { upsert: routes, remove: gone });
    },

    patch,

    resolve(hostname) {
      const exact = best("exact", hostname);
      if (exact !== null) return exact;
      if (hasWildcards) {
        for (let dot = firstDot(hostname); dot !== -1; dot = hostname.indexOf(".", dot + 1)) {
          const wildcard = best("wildcard", hostname.slice(dot + 1));
          if (wildcard !== null) return wildcard;
        }
      }
      return best("default", "");
    },

    explain(hostname) {
      const tried = [contenders("exact", hostname)];
      for (let dot = firstDot(hostname); dot !== -1; dot = hostname.indexOf(".", dot + 1)) {
        tried.push(contenders("wildcard", hostname.slice(dot + 1)));
      }
      tried.push(contenders("default", ""));
      const claims = tried.flat();
      return claims.map((claim) => ({ claim, standing: standingOf(claim, claims[0] ?? claim) }));
    },

    entries() {
      const owners = new Map<string, Claim>();
      for (const held of holdings) {
        for (const claims of [held.exact, held.wildcard, held.default]) {
          for (const claim of claims.owners.values()) {
            const text = patternText(claim.pattern);
            if (!owners.has(text)) owners.set(text, claim);
          }
        }
      }
      return [...owners].sort(([a], [b]) => byCodeUnits(a, b)).map(([, claim]) => claim);
    },

    size: () => ({
      routes: new Map(holdings.map(({ source, routes }) => [source, routes.size])),
      claims: claimCount,
    }),
  };
}

const createClaims = (): Claims => ({ owners: new Map(), rivals: new Map() });

const createHoldings = (source: SourceName): Holdings => ({
  source,
  routes: new Map(),
  exact: createClaims(),
  wildcard: createClaims(),
  default: createClaims(),
});

/** What a pattern is filed under among those of its kind. */
function keyOf(pattern: Pattern): string {
  switch (pattern.kind) {
    case "exact":
      return pattern.hostname;
    case "wildcard":
      return pattern.suffix;
    case "default":
      return "";
  }
}

/**
 * Files a claim. Who owns a key that has rivals is not known again before `electOwner`, which looks at
 * each key once, however many claims change.
 */
function enter(claims: Claims, key: string, claim: Claim): void {
  const owner = claims.owners.get(key);
  const rivals = claims.rivals.get(key);
  if (rivals !== undefined) {
    rivals.set(claim.route.id, claim);
  } else if (owner === undefined) {
    claims.owners.set(key, claim);
  } else {
    const both = [owner, claim].map((each) => [each.route.id, each] as const);
    claims.rivals.set(key, new Map(both));
  }
}

/**
 * Takes back a claim that was filed; twice does no harm, since a route may name a pattern twice.
 * See `enter` for rivals.
 */
function withdraw(claims: Claims, key: string, id: string): void {
  const rivals = claims.rivals.get(key);
  if (rivals !== undefined) rivals.delete(id);
  else claims.owners.delete(key);
}

/** Makes the smallest id among rivals the owner, and forgets the rivalry when at most one is left. */
function electOwner(claims: Claims, key: string): void {
  const rivals = claims.rivals.get(key);
  if (rivals === undefined) return;
  const owner = claimsOn(claims, key)[0];
  if (owner === undefined) claims.owners.delete(key);
  else claims.owners.set(key, owner);
  if (rivals.size < 2) claims.rivals.delete(key);
}

/** One source's claims on a key, smallest id first. */
function claimsOn(claims: Claims, key: string): readonly Claim[] {
  const rivals = claims.rivals.get(key);
  if (rivals !== undefined) {
    return [...rivals.values()].sort((a, b) => byCodeUnits(a.route.id, b.route.id));
  }
  const owner = claims.owners.get(key);
  return owner === undefined ? noClaims : [owner];
}

function changesBetween(standings: Iterable<Standing>): Changes {
  const added: Claim[] = [];
  const removed: Claim[] = [];
  const changed: { before: Claim; after: Claim }[] = [];
  const conflicts: Conflict[] = [];
  for (const standing of standings) {
    const before = standing.before[0];
    const after = standing.after[0];
    if (before === undefined && after !== undefined) added.push(after);
    if (before !== undefined && after === undefined) removed.push(before);
    if (before !== undefined && after !== undefined && !sameOwnership(before, after)) {
      changed.push({ before, after });
    }
    for (const conflict of newConflicts(standing)) conflicts.push(conflict);
  }
  return { added, removed, changed, conflicts };
}

/** The pairs of winner and loser that were not at odds over the pattern before. */
function newConflicts({ before, after }: Standing): readonly Conflict[] {
  const winner = after[0];
  if (winner === undefined || after.length === 1) return [];
  const isSameWinner = before[0] !== undefined && sameOwner(before[0].route, winner.route);
  const known = new Set(isSameWinner ? before.map(({ route }) => ownerText(route)) : []);
  return after
    .slice(1)
    .filter(({ route }) => !known.has(ownerText(route)))
    .map(({ pattern, route }) => ({ pattern, winner: winner.route, loser: route }));
}

function standingOf(claim: Claim, winner: Claim): Candidate["standing"] {
  if (claim === winner) return "wins";
  if (patternText(claim.pattern) !== patternText(winner.pattern)) return "less-specific";
  return claim.route.source === winner.route.source ? "larger-id" : "later-source";
}

/** True if owner and target are unchanged. */
const sameOwnership = (a: Claim, b: Claim): boolean =>
  sameOwner(a.route, b.route) && sameTarget(a.route, b.route);

const sameOwner = (a: Route, b: Route): boolean => a.source === b.source && a.id === b.id;

/** One text per source and id; no source's name has a space. */
const ownerText = (route: Route): string => `${route.source} ${route.id}`;

const rankOf = (source: SourceName): number => sourceNames.indexOf(source);

const byCodeUnits = (a: string, b: string): number => (a < b ? -1 : Number(a > b));

/**
 * The dot before the longest suffix worth a look-up; -1 when there is none. Longer ones cannot be
 * patterns, and a client's 32,767 dots must not become as many look-ups.
 */
const firstDot = (hostname: Hostname): number =>
  hostname.indexOf(".", Math.max(0, hostname.length - longestPattern));

import { err, ok, type Result } from "../../base/result.ts";
import { inChunks } from "../../base/wait.ts";
import { dialableAddress } from "../../routing/address.ts";
import type { Hostname } from "../../routing/hostname.ts";
import { matchablePattern, parsePatterns } from "../../routing/pattern.ts";
import { type Route, sameRoute } from "../../routing/route.ts";
import { longestValue, type ServerRow } from "./reader.ts";

/** What rows become. */
interface RowRules {
  /** True: every route is woken through the control plane, by its row's name. */
  readonly wakeable: boolean;
  /** Passed to routing: SRV prefixes are cut off hostnames. */
  readonly simplifySrv: boolean;
  /** A row that cannot be used, wholly or in part; called once for each new complaint about a row. */
  readonly onComplaint: (row: string, reason: string) => void;
}

/** What rows changed about the routes: these now read so, those are gone. */
export interface RowChanges {
  readonly upsert: readonly Route[];
  readonly removed: readonly Route[];
}

/** A read of everything, as it arrives. */
interface FullRead {
  /** Takes some rows; changes nothing yet. */
  add(rows: readonly ServerRow[]): void;
  /** How many routes the read would remove. */
  losses(): number;
  /** Makes the read the held state, piece by piece, and gives what that changes. */
  commit(): Promise<RowChanges>;
}

/** The rows the router holds, and what new ones change about its routes. */
export interface ServerRows {
  /** Begins a read of everything and drops the one before. Without `commit` nothing changes. */
  beginFull(): FullRead;
  /** How many routes `applyNamed` would remove. */
  lossesAmong(names: readonly string[], rows: readonly ServerRow[]): number;
  /** Takes the rows found among `names`; a name without a row is gone. */
  applyNamed(names: readonly string[], rows: readonly ServerRow[]): RowChanges;
  /** How many routes are held. */
  routeCount(): number;
  /** The rows that the held routes are made of. */
  goodRows(): readonly ServerRow[];
}

/**
 * One row as it was read last, and the route that is served. It is one flat object, replaced when the row
 * changes: further objects for each row of a large table would lengthen the pauses of the garbage collector.
 */
interface HeldRow extends ServerRow {
  readonly proxyProtocol: boolean | null;
  readonly fallback: string | null;
  /** Null: no version of the row could ever be used. */
  readonly route: Route | null;
  /** The older version that the route is made of, when this one cannot be used. */
  readonly older: ServerRow | null;
  /** What is wrong with this version, "" when nothing is. */
  readonly complaint: string;
  /** The last read of everything that has found the row. */
  seenBy: number;
}

/** All that is held. */
interface Held {
  readonly rules: RowRules;
  readonly rows: Map<string, HeldRow>;
  routeCount: number;
  /** How many reads of everything have begun. */
  reads: number;
}

/** Holds nothing at first. */
export function createServerRows(rules: RowRules): ServerRows {
  const held: Held = { rules, rows: new Map(), routeCount: 0, reads: 0 };
  return {
    beginFull: () => beginFull(held),
    lossesAmong(names, rows) {
      const found = new Set(rows.map(({ name }) => name));
      const isLost = (name: string) =>
        !found.has(name) && (held.rows.get(name)?.route ?? null) !== null;
      return names.filter(isLost).length;
    },
    applyNamed: (names, rows) => applyNamed(held, names, rows),
    routeCount: () => held.routeCount,
    goodRows() {
      const rows: ServerRow[] = [];
      for (const row of held.rows.values()) if (row.route !== null) rows.push(row.older ?? row);
      return rows;
    },
  };
}

/** What changes is put aside until `commit`, so that a read that fails half way has changed nothing. */
function beginFull(held: Held): FullRead {
  held.reads += 1;
  const read = held.reads;
  const changed = new Map<string, HeldRow>();
  let seen = 0;
  let kept = 0;
  return {
    add(rows) {
      for (const row of rows) {
        const old = held.rows.get(row.name);
        if (old !== undefined && old.seenBy !== read) {
          old.seenBy = read;
          seen += 1;
          if (old.route !== null) kept += 1;
        }
        if (old === undefined || !isSameRow(old, row)) {
          changed.set(row.name, toHeld(held, row, old));
        } else if (changed.size > 0) {
          changed.delete(row.name);
        }
      }
    },
    losses: () => held.routeCount - kept,
    async commit() {
      const isGone = ({ seenBy }: HeldRow) => seenBy !== read;
      const gone = seen < held.rows.size ? [...held.rows.values()].filter(isGone) : [];
      const removed: Route[] = [];
      for await (const piece of inChunks(gone)) {
        for (const row of piece) drop(held, row, removed);
      }
      const upsert: Route[] = [];
      for await (const piece of inChunks([...changed.values()])) {
        for (const row of piece) hold(held, row, upsert);
      }
      return { upsert, removed };
    },
  };
}

function applyNamed(held: Held, names: readonly string[], rows: readonly ServerRow[]): RowChanges {
  const upsert: Route[] = [];
  const removed: Route[] = [];
  const gone = new Set(names);
  for (const row of rows) {
    gone.delete(row.name);
    const old = held.rows.get(row.name);
    if (old === undefined || !isSameRow(old, row)) hold(held, toHeld(held, row, old), upsert);
  }
  for (const name of gone) {
    const old = held.rows.get(name);
    if (old !== undefined) drop(held, old, removed);
  }
  return { upsert, removed };
}

/** A row that does not read as the held one does, as it is to be held. */
function toHeld({ rules, reads }: Held, row: ServerRow, old: HeldRow | undefined): HeldRow {
  const { name, domain, address, proxyProtocol = null, fallback = null } = row;
  const { route, complaint } = toRoute(row, rules);
  const before = old?.route ?? null;
  const isKept = route === null && before !== null;
  const isSame = route !== null && before !== null && sameRoute(before, route);
  return {
    name,
    domain,
    // One string for both where they are equal, as in nearly all rows.
    address: route?.address.text === address ? route.address.text : address,
    proxyProtocol,
    fallback,
    route: isKept || isSame ? before : route,
    older: isKept ? (old?.older ?? old ?? null) : null,
    complaint: isKept ? `${complaint}; its last usable version stays` : complaint,
    seenBy: reads,
  };
}

/**
 * Holds a row instead of its older version. Its route is added to `upsert` if players can tell the
 * difference.
 */
function hold(held: Held, row: HeldRow, upsert: Route[]): void {
  const { name, route, complaint } = row;
  const old = held.rows.get(name);
  if (complaint !== "" && complaint !== old?.complaint) held.rules.onComplaint(name, complaint);
  held.rows.set(name, row);
  const before = old?.route ?? null;
  if (route === null || route === before) return;
  if (before === null) held.routeCount += 1;
  upsert.push(route);
}

/** Forgets a row. Its route, if it had one, is added to `removed`. */
function drop(held: Held, { name, route }: HeldRow, removed: Route[]): void {
  held.rows.delete(name);
  if (route === null) return;
  held.routeCount -= 1;
  removed.push(route);
}

/** True for two versions of one row that read the same. */
const isSameRow = (a: HeldRow, b: ServerRow): boolean =>
  a.domain === b.domain &&
  a.address === b.address &&
  a.proxyProtocol === (b.proxyProtocol ?? null) &&
  a.fallback === (b.fallback ?? null);

/** Names that a URL cannot hold as a part of its path (RFC 3986, section 5.2.4). */
const pathless: ReadonlySet<string> = new Set(["", ".", ".."]);

/** The row's route, null when it has none, and what is wrong with it, "" when nothing is. */
function toRoute(
  row: ServerRow,
  rules: RowRules,
): { readonly route: Route | null; readonly complaint: string } {
  const tooLong = lengthProblem(row);
  if (tooLong !== null) return { route: null, complaint: tooLong };
  const { patterns, problems } = parsePatterns(row.domain, rules.simplifySrv);
  const address = dialableAddress(row.address);
  const complaints = problems.map(({ text, reason }) => `the hostname ${quoted(text)} ${reason}`);
  if (patterns.length === 0 && problems.length === 0) complaints.push("it names no hostname");
  if (!address.ok) complaints.push(`the address ${quoted(row.address)} ${address.error}`);
  const fallback = readFallback(row.fallback ?? "");
  if (fallback !== null && !fallback.ok) complaints.push(fallback.error);
  const isNameless = rules.wakeable && pathless.has(row.name);
  if (isNameless) complaints.push("its name has no path of its own at the control plane");
  const complaint = complaints.join("; ");
  if (patterns.length === 0 || !address.ok || isNameless) return { route: null, complaint };
  const route: Route = {
    source: "postgres",
    id: row.name,
    patterns,
    address: address.value,
    wake: rules.wakeable ? { kind: "control-plane", server: row.name } : null,
  };
  const { proxyProtocol } = row;
  return {
    route: {
      ...route,
      ...(typeof proxyProtocol === "boolean" && { proxyProtocol }),
      ...(fallback?.ok && { fallback: fallback.value }),
    },
    complaint,
  };
}

/** The hostname in the column `fallback`; null for an empty one. The error is a clause. */
function readFallback(text: string): Result<Hostname, string> | null {
  if (text.trim() === "") return null;
  const pattern = matchablePattern(text);
  if (pattern.ok && pattern.value.kind === "exact") return ok(pattern.value.hostname);
  const reason = pattern.ok ? "is a pattern, expected one hostname" : pattern.error;
  return err(`the fallback ${quoted(text)} ${reason}`);
}

/** Enough of a value to recognise it in a log line. */
const quoted = (text: string): string =>
  text.length > 60 ? `"${text.slice(0, 60)}..."` : `"${text}"`;

/** What is too long to be used; null: nothing. Longer values arrive cut one character behind their limit. */
function lengthProblem(row: ServerRow): string | null {
  for (const column of ["name", "domain", "address"] as const) {
    const most = longestValue[column];
    if (row[column].length > most) return `its ${column} is longer than ${most} characters`;
  }
  return null;
}

import { parseAddress } from "../routing/address.ts";
import { parsePatterns } from "../routing/pattern.ts";
import { type Route, sameRoute } from "../routing/route.ts";
import type { ServerRow } from "./postgres-reader.ts";

/** What rows become. */
export interface RowRules {
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
export interface FullRead {
  /** Takes some rows; changes nothing yet. */
  add(rows: readonly ServerRow[]): void;
  /** How many routes the read would remove. */
  losses(): number;
  /** Makes the read the held state, and gives what that changes. */
  commit(): RowChanges;
}

/** The rows the router holds, and what new ones change about its routes. */
export interface ServerRows {
  /** Begins a read of everything. Dropping it without `commit` leaves everything as it was. */
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

/** One row. `good` is its newest usable version, which serves on while what was `read` last cannot be used. */
interface HeldRow {
  readonly read: ServerRow;
  readonly good: { readonly row: ServerRow; readonly route: Route } | null;
  readonly complaint: string;
}

/** Holds nothing at first. */
export function createServerRows(rules: RowRules): ServerRows {
  let held = new Map<string, HeldRow>();
  let routeCount = 0;

  /** The row as it will be held, and its route if players can tell it from what was there. */
  function take(row: ServerRow): { readonly next: HeldRow; readonly upsert: Route | null } {
    const old = held.get(row.name);
    if (old !== undefined && isSameRow(old.read, row)) {
      return { next: old, upsert: null };
    }
    const { route, complaint } = toRoute(row, rules);
    if (route === null) {
      const good = old?.good ?? null;
      const kept = good === null ? "" : "; its last usable version stays";
      return { next: { read: row, good, complaint: complaint + kept }, upsert: null };
    }
    const before = old?.good?.route;
    const isSame = before !== undefined && sameRoute(before, route);
    const good = { row, route: isSame ? before : route };
    return { next: { read: row, good, complaint }, upsert: isSame ? null : route };
  }

  const hasRoute = (name: string) => (held.get(name)?.good ?? null) !== null;

  function complain(next: HeldRow): void {
    const { complaint, read } = next;
    if (complaint === "" || complaint === held.get(read.name)?.complaint) return;
    rules.onComplaint(read.name, complaint);
  }

  return {
    beginFull() {
      // The new state grows beside the old one, so that a read that fails half way has changed nothing.
      const next = new Map<string, HeldRow>();
      const upsert: Route[] = [];
      let goodCount = 0;
      let keptCount = 0;
      return {
        add(rows) {
          for (const row of rows) {
            const taken = take(row);
            if (taken.upsert !== null) upsert.push(taken.upsert);
            if (taken.next.good !== null && !next.has(row.name)) {
              goodCount += 1;
              if (hasRoute(row.name)) keptCount += 1;
            }
            next.set(row.name, taken.next);
          }
        },
        losses: () => routeCount - keptCount,
        commit() {
          const removed: Route[] = [];
          if (routeCount > keptCount) {
            for (const [name, { good }] of held) {
              if (good !== null && !next.has(name)) removed.push(good.route);
            }
          }
          for (const row of next.values()) if (row.complaint !== "") complain(row);
          held = next;
          routeCount = goodCount;
          return { upsert, removed };
        },
      };
    },
    lossesAmong(names, rows) {
      const found = new Set(rows.map(({ name }) => name));
      return names.filter((name) => !found.has(name) && hasRoute(name)).length;
    },
    applyNamed(names, rows) {
      const upsert: Route[] = [];
      const removed: Route[] = [];
      const gone = new Set(names);
      for (const row of rows) {
        gone.delete(row.name);
        const taken = take(row);
        if (taken.upsert !== null) upsert.push(taken.upsert);
        complain(taken.next);
        if (taken.next.good !== null && !hasRoute(row.name)) routeCount += 1;
        held.set(row.name, taken.next);
      }
      for (const name of gone) {
        const good = held.get(name)?.good ?? null;
        if (good !== null) removed.push(good.route);
        held.delete(name);
      }
      routeCount -= removed.length;
      return { upsert, removed };
    },
    routeCount: () => routeCount,
    goodRows() {
      const rows: ServerRow[] = [];
      for (const { good } of held.values()) if (good !== null) rows.push(good.row);
      return rows;
    },
  };
}

/** True for two versions of one row that read the same. */
const isSameRow = (a: ServerRow, b: ServerRow): boolean =>
  a.domain === b.domain && a.address === b.address && a.proxyProtocol === b.proxyProtocol;

/** The row's route, null when it has none, and what is wrong with it, "" when nothing is. */
function toRoute(
  row: ServerRow,
  rules: RowRules,
): { readonly route: Route | null; readonly complaint: string } {
  const { patterns, problems } = parsePatterns(row.domain, rules.simplifySrv);
  const address = parseAddress(row.address);
  const complaints = problems.map(({ text, reason }) => `the hostname ${quoted(text)} ${reason}`);
  if (patterns.length === 0 && problems.length === 0) complaints.push("it names no hostname");
  if (!address.ok) complaints.push(`the address ${quoted(row.address)} ${address.error}`);
  const complaint = complaints.join("; ");
  if (patterns.length === 0 || !address.ok) return { route: null, complaint };
  return {
    route: {
      source: "postgres",
      id: row.name,
      patterns,
      address: address.value,
      wake: rules.wakeable ? { kind: "control-plane", server: row.name } : null,
      ...(row.proxyProtocol !== undefined && { proxyProtocol: row.proxyProtocol }),
    },
    complaint,
  };
}

/** Enough of a value to recognise it in a log line. */
const quoted = (text: string): string =>
  text.length > 60 ? `"${text.slice(0, 60)}..."` : `"${text}"`;

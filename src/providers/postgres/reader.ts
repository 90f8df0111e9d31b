import type postgres from "postgres";
import { err, ok, type Result } from "../../base/result.ts";
import { yieldToLoop } from "../../base/wait.ts";
import type { PostgresClient } from "./client.ts";
import type { PostgresFailure } from "./failure.ts";
import { explainLock } from "./lock.ts";
import { inspectTable, type TableColumn, type TableFacts } from "./table.ts";
import type { PostgresTimings } from "./timings.ts";

/**
 * One row of the table `servers`, as the router reads it: every column is text, but for the optional ones.
 */
export interface ServerRow {
  readonly name: string;
  readonly domain: string;
  readonly address: string;
  /** The optional column `proxy_protocol`; left out where the table has none. */
  readonly proxyProtocol?: boolean | null;
  /** The optional column `fallback`; left out where the table has none. */
  readonly fallback?: string | null;
}

/** Longer values are cut one character behind this, so that a row with one cannot be mistaken for another. */
export const longestValue = { name: 1_000, domain: 65_536, address: 4_096, fallback: 255 };

/** Reads the table over one connection, one query at a time. */
export interface RowReader {
  /**
   * All routed rows, in pieces with room for other work between them, and the table's facts. After an error,
   * no row counts.
   */
  readAll(
    onPiece: (rows: readonly ServerRow[]) => void,
  ): Promise<Result<TableFacts, PostgresFailure>>;
  /** The routed rows among these names. A name that is not in the answer has none. */
  readNamed(names: readonly string[]): Promise<Result<readonly ServerRow[], PostgresFailure>>;
  /** True while a statement is under way, or was given up. */
  isBusy(): boolean;
}

/** Rows per piece: some milliseconds of work. */
const pieceSize = 1_000;

/**
 * A reader on an open client. Every piece must arrive within `readMs`; a lock on the table is waited for
 * `lockMs`.
 */
export function createRowReader(client: PostgresClient, timings: PostgresTimings): RowReader {
  const { readMs, lockMs } = timings;
  let selection = selectionOf([]);
  let isBusy = false;

  const ask = <T>(promise: PromiseLike<T>) => client.within(readMs, promise);

  /** Settings of the transaction, because a pooler may hand the session to another client. */
  const begin = `BEGIN READ ONLY; SET LOCAL lock_timeout = ${Math.ceil(lockMs)}; SET LOCAL statement_timeout = ${Math.ceil(readMs * 0.9)}`;

  /** Runs the work in a transaction that waits for no lock and no slow disk for long. */
  async function bounded<T>(
    work: () => Promise<Result<T, PostgresFailure>>,
  ): Promise<Result<T, PostgresFailure>> {
    isBusy = true;
    const begun = await ask(client.sql.unsafe(begin));
    const done = begun.ok ? await work() : begun;
    if (!done.ok && done.error.kind === "lost") return done;
    const ended = await ask(client.sql.unsafe(done.ok ? "COMMIT" : "ROLLBACK"));
    if (!ended.ok && ended.error.kind === "lost") return ended;
    isBusy = false;
    return done.ok ? done : err(await explainLock(client, done.error, readMs));
  }

  async function readPieces(
    onPiece: (rows: readonly ServerRow[]) => void,
  ): Promise<Result<void, PostgresFailure>> {
    // A cursor: one statement, hence one state of the table, however long it takes.
    const query = client.sql.unsafe(selection.all).cursor(pieceSize);
    const pieces = query[Symbol.asyncIterator]();
    for (;;) {
      const piece = await ask(pieces.next());
      if (!piece.ok) return piece;
      if (piece.value.done === true) return ok(undefined);
      onPiece(piece.value.value.map(toRow));
      await yieldToLoop();
    }
  }

  return {
    async readAll(onPiece) {
      // Columns come and go in a table that is in use, and no notification tells of it.
      const facts = await inspectTable(client, readMs);
      if (!facts.ok) return facts;
      selection = selectionOf(facts.value.columns);
      const read = await bounded(() => readPieces(onPiece));
      return read.ok ? facts : read;
    },
    async readNamed(names) {
      const query = () => ask(client.sql.unsafe(selection.named, [arrayLiteral(names)]));
      const rows = await bounded(query);
      return rows.ok ? ok(rows.value.map(toRow)) : rows;
    },
    isBusy: () => isBusy,
  };
}

/** The queries for a table with these columns. */
function selectionOf(columns: readonly TableColumn[]): {
  readonly all: string;
  readonly named: string;
} {
  const typeOf = (name: string) => columns.find((column) => column.name === name);
  const [name, domain, address] = ["name", "domain", "address"].map((column) =>
    asText(column, typeOf(column)),
  );
  const { name: longestName, domain: longestDomain, address: longestAddress } = longestValue;
  const selected = [
    `left(${name}, ${longestName + 1}) AS name`,
    `left(${domain}, ${longestDomain + 1}) AS domain`,
    `left(${address}, ${longestAddress + 1}) AS address`,
  ];
  const proxyProtocol = typeOf("proxy_protocol");
  if (proxyProtocol?.type === "bool" && proxyProtocol.isReadable) {
    selected.push('proxy_protocol AS "proxyProtocol"');
  }
  const fallback = typeOf("fallback");
  if (fallback?.isReadable) {
    selected.push(
      `left(${asText("fallback", fallback)}, ${longestValue.fallback + 1}) AS fallback`,
    );
  }
  const all = `SELECT ${selected.join(", ")} FROM servers WHERE ${domain} != '' AND ${address} != ''`;
  return { all, named: `${all} AND ${name} = ANY($1)` };
}

/** The column as text, whatever its type; plain text stays as it is, so that its index serves. */
function asText(name: string, column: TableColumn | undefined): string {
  if (column === undefined || column.type === "text" || column.type === "varchar") return name;
  if (column.isArray) return `array_to_string(${name}, ',')`;
  return column.type === "inet" || column.type === "cidr" ? `host(${name})` : `${name}::text`;
}

/**
 * Rows are taken as they come: a large table would else be made twice, and the garbage collector would hold
 * sessions up. A name that is NULL, in a table without a primary key, counts as "null".
 */
function toRow(row: postgres.Row): ServerRow {
  const { name, domain, address } = row;
  if (typeof name === "string" && typeof domain === "string" && typeof address === "string") {
    return row as ServerRow;
  }
  const { proxyProtocol = null, fallback = null } = row;
  const texts = { name: String(name), domain: String(domain), address: String(address) };
  return { ...texts, proxyProtocol, fallback };
}

/** PostgreSQL's text form of an array: elements quoted, quotes and backslashes escaped. */
const arrayLiteral = (names: readonly string[]): string =>
  `{${names.map((name) => `"${name.replace(/["\\]/g, "\\$&")}"`).join(",")}}`;

import type postgres from "postgres";
import { err, ok, type Result } from "../../base/result.ts";
import { yieldToLoop } from "../../base/wait.ts";
import type { PostgresClient } from "./client.ts";
import type { PostgresFailure } from "./failure.ts";

/** One row of the table `servers`, as the router reads it. */
export interface ServerRow {
  readonly name: string;
  readonly domain: string;
  readonly address: string;
  /** The optional column `proxy_protocol`; left out where the table has none. */
  readonly proxyProtocol?: boolean | null;
}

/** Reads the table over one connection, one query at a time. */
export interface RowReader {
  /** All usable rows, in pieces with room for other work between them. After an error, no row counts. */
  readAll(onPiece: (rows: readonly ServerRow[]) => void): Promise<Result<void, PostgresFailure>>;
  /** The usable rows among these names. A name that is not in the answer has none. */
  readNamed(names: readonly string[]): Promise<Result<readonly ServerRow[], PostgresFailure>>;
}

/** The columns of every table, and of one that has `proxy_protocol`. */
const columns = {
  plain: "name, domain, address",
  full: 'name, domain, address, proxy_protocol AS "proxyProtocol"',
};
const rowsOf = (selected: string): string =>
  `SELECT ${selected} FROM servers WHERE domain != '' AND address != ''`;
/** A row where the table that a SELECT finds has the optional column. */
const findsColumn = `SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass('servers')
  AND attname = 'proxy_protocol' AND atttypid = 'boolean'::regtype AND NOT attisdropped`;
/** Rows per piece: some milliseconds of work. */
const pieceSize = 1_000;

/** A reader on an open client. Every piece must arrive within `limitMs`. */
export function createRowReader(client: PostgresClient, limitMs: number): RowReader {
  let selected = columns.plain;

  /** Operators add the column to a table that is in use, and no notification tells of it. */
  async function findColumns(): Promise<Result<void, PostgresFailure>> {
    const found = await client.within(limitMs, client.sql.unsafe(findsColumn));
    if (!found.ok) return found;
    selected = found.value.length > 0 ? columns.full : columns.plain;
    return ok(undefined);
  }

  return {
    async readAll(onPiece) {
      const found = await findColumns();
      if (!found.ok) return found;
      // A cursor: one statement, hence one state of the table, however long it takes.
      const pieces = client.sql.unsafe(rowsOf(selected)).cursor(pieceSize)[Symbol.asyncIterator]();
      for (;;) {
        const piece = await client.within(limitMs, pieces.next());
        if (!piece.ok) return piece;
        if (piece.value.done === true) return ok(undefined);
        onPiece(piece.value.value.map(toRow));
        await yieldToLoop();
      }
    },
    async readNamed(names) {
      const query = client.sql.unsafe(`${rowsOf(selected)} AND name = ANY($1)`, [
        arrayLiteral(names),
      ]);
      const rows = await client.within(limitMs, query);
      return rows.ok ? ok(rows.value.map(toRow)) : err(rows.error);
    },
  };
}

/**
 * Whatever types the operator's columns have, their text is what counts; the optional one is a boolean. Rows of text columns, which are
 * nearly all, are taken as they come: a large table would else be made twice, and the collector of the garbage holds sessions up.
 */
function toRow(row: postgres.Row): ServerRow {
  const { name, domain, address } = row;
  if (typeof name === "string" && typeof domain === "string" && typeof address === "string") {
    return row as ServerRow;
  }
  const { proxyProtocol = null } = row;
  return { name: String(name), domain: String(domain), address: String(address), proxyProtocol };
}

/** PostgreSQL's text form of an array: elements quoted, quotes and backslashes escaped. */
const arrayLiteral = (names: readonly string[]): string =>
  `{${names.map((name) => `"${name.replace(/["\\]/g, "\\$&")}"`).join(",")}}`;

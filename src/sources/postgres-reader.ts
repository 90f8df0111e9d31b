import { err, ok, type Result } from "../result.ts";
import type { PostgresClient, PostgresFailure } from "./postgres-client.ts";
import { yieldToLoop } from "./wait.ts";

/** One row of the table `servers`, as the router reads it. */
export interface ServerRow {
  readonly name: string;
  readonly domain: string;
  readonly address: string;
}

/** Reads the table over one connection, one query at a time. */
export interface RowReader {
  /** All usable rows, handed over in pieces with room for other work between them. Of an error, no row counts. */
  readAll(onPiece: (rows: readonly ServerRow[]) => void): Promise<Result<void, PostgresFailure>>;
  /** The usable rows among these names. A name that is not in the answer has none. */
  readNamed(names: readonly string[]): Promise<Result<readonly ServerRow[], PostgresFailure>>;
}

const allRows = "SELECT name, domain, address FROM servers WHERE domain != '' AND address != ''";
const namedRows = `${allRows} AND name = ANY($1)`;
/** Rows per piece: some milliseconds of work. */
const pieceSize = 1_000;

/** A reader on an open client. Every piece must arrive within `limitMs`. */
export function createRowReader(client: PostgresClient, limitMs: number): RowReader {
  return {
    async readAll(onPiece) {
      // A cursor: one statement, hence one state of the table, however long it takes.
      const pieces = client.sql.unsafe(allRows).cursor(pieceSize)[Symbol.asyncIterator]();
      for (;;) {
        const piece = await client.settle(limitMs, pieces.next());
        if (!piece.ok) return piece;
        if (piece.value.done === true) return ok(undefined);
        onPiece(piece.value.value.map(toRow));
        await yieldToLoop();
      }
    },
    async readNamed(names) {
      const query = client.sql.unsafe(namedRows, [arrayLiteral(names)]);
      const rows = await client.settle(limitMs, query);
      return rows.ok ? ok(rows.value.map(toRow)) : err(rows.error);
    },
  };
}

/** Whatever types the operator's columns have, their text is what counts. */
const toRow = (row: Readonly<Record<string, unknown>>): ServerRow => ({
  name: String(row["name"]),
  domain: String(row["domain"]),
  address: String(row["address"]),
});

/** PostgreSQL's text form of an array: elements quoted, quotes and backslashes escaped. */
const arrayLiteral = (names: readonly string[]): string =>
  `{${names.map((name) => `"${name.replace(/["\\]/g, "\\$&")}"`).join(",")}}`;

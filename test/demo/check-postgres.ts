import { expect } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
// biome-ignore lint/correctness/noUndeclaredDependencies: the very package that src uses
import postgres from "postgres";
import type { PostgresOrigin } from "../support/postgres/binaries.ts";
import { own } from "../support/postgres/postgres.ts";
import { startDemoPostgres } from "./postgres.ts";

/** Expects that such a server delivers notifications, refuses a wrong password, and ends. */
export async function checkDemoPostgres(origin: PostgresOrigin): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "automc-demo-postgres-"));
  own(folder);
  try {
    const server = await startDemoPostgres(join(folder, "postgres"), origin);
    expect(server.version).toMatch(/^\d+\.\d+$/);

    const listener = postgres(server.dsn, { max: 1 });
    const heard = Promise.withResolvers<string>();
    await listener.listen("channel", heard.resolve);
    await server.sql`SELECT pg_notify('channel', 'word')`;
    expect(await heard.promise).toBe("word");
    await listener.end();

    const wrong = new URL(server.dsn);
    wrong.password = "wrong";
    const stranger = postgres(wrong.href, { max: 1 });
    await expect(stranger`SELECT 1`.execute()).rejects.toThrow("password authentication failed");
    await stranger.end();

    await server[Symbol.asyncDispose]();
    const late = postgres(server.dsn, { max: 1 });
    await expect(late`SELECT 1`.execute()).rejects.toThrow("ECONNREFUSED");
    await late.end();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { requireProgram } from "../process/debian.ts";
import { untilOpen } from "../process/e2e-process.ts";
import { serverAccount } from "./account.ts";
import { freePort, own, type TestPostgres, writeOwned } from "./postgres.ts";

/** A real PgBouncer on 127.0.0.1. Dispose ends it and removes its files. */
export interface PgBouncer extends AsyncDisposable {
  readonly port: number;
}

/** Starts a pooler in front of that server; resolves when it takes connections. */
export async function startPgBouncer(
  server: Pick<TestPostgres, "port">,
  mode: "transaction" | "session" = "transaction",
): Promise<PgBouncer> {
  const folder = mkdtempSync(join(tmpdir(), "automc-pooler-"));
  own(folder);
  const port = await freePort();
  const settings = `
[databases]
* = host=127.0.0.1 port=${server.port} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = ${mode}
default_pool_size = 3
`;
  const path = writeOwned(join(folder, "pgbouncer.ini"), settings);
  const child = Bun.spawn([requireProgram("pgbouncer", "pgbouncer"), "--quiet", path], {
    ...serverAccount,
    cwd: tmpdir(),
    stdio: ["ignore", "ignore", "ignore"],
  });
  await untilOpen(port);
  return {
    port,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

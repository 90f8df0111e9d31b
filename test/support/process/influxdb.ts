import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../postgres/postgres.ts";
import { until } from "../until.ts";
import { requireProgram } from "./debian.ts";

/** A point as InfluxDB gives it back: tags, fields and `time` in nanoseconds. */
export type InfluxPoint = Readonly<Record<string, string | number | null>>;

/** An InfluxDB 1 server with the database `mc`, which belongs to the user `automc`. Dispose ends it and removes its files. */
export interface InfluxDb extends AsyncDisposable {
  /** Every point of the measurement, oldest first. */
  points(measurement: string): Promise<readonly InfluxPoint[]>;
}

/** Starts a server on that port of 127.0.0.1 with one user, whose password is this. */
export async function startInfluxDb(port: number, password: string): Promise<InfluxDb> {
  const folder = mkdtempSync(join(tmpdir(), "automc-influxdb-"));
  const config = join(folder, "influxdb.conf");
  writeFileSync(
    config,
    `reporting-disabled = true
bind-address = "127.0.0.1:${await freePort()}"
[meta]
  dir = "${folder}/meta"
[data]
  dir = "${folder}/data"
  wal-dir = "${folder}/wal"
  query-log-enabled = false
[http]
  bind-address = "127.0.0.1:${port}"
  auth-enabled = true
  log-enabled = false
`,
  );
  const child = Bun.spawn([requireProgram("influxd", "influxdb"), "-config", config], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const said = child.stderr.text();
  const url = `http://127.0.0.1:${port}`;
  const [username, database] = ["automc", "mc"];

  async function query(statement: string, isSignedIn = true): Promise<unknown> {
    const credentials = btoa(`${username}:${password}`);
    const response = await fetch(`${url}/query?db=${database}&epoch=ns`, {
      method: "POST",
      headers: isSignedIn ? { authorization: `Basic ${credentials}` } : {},
      body: new URLSearchParams({ q: statement }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(text);
    return JSON.parse(text);
  }

  async function dispose(): Promise<void> {
    child.kill("SIGKILL");
    await child.exited;
    rmSync(folder, { recursive: true, force: true });
  }

  try {
    await until(
      "InfluxDB is ready",
      async () => {
        if (child.exitCode !== null) throw new Error(await said);
        return await fetch(`${url}/ping`).then(
          ({ ok }) => ok,
          () => false,
        );
      },
      30_000,
    );
    // The first user is made by nobody.
    await query(`CREATE USER ${username} WITH PASSWORD '${password}' WITH ALL PRIVILEGES`, false);
    await query(`CREATE DATABASE ${database}`);
  } catch (error) {
    await dispose();
    throw error;
  }

  return {
    async points(measurement) {
      const answer = (await query(`SELECT * FROM "${measurement}"`)) as {
        results: { series?: { columns: string[]; values: (string | number | null)[][] }[] }[];
      };
      const series = answer.results[0]?.series?.[0];
      if (series === undefined) return [];
      return series.values.map((values) =>
        Object.fromEntries(series.columns.map((name, index) => [name, values[index] ?? null])),
      );
    },
    [Symbol.asyncDispose]: dispose,
  };
}

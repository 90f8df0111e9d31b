import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../postgres/postgres.ts";
import { until } from "../until.ts";
import { requireProgram } from "./debian.ts";

/** How promtool took what it was given, and what it said. */
export interface Promtool {
  readonly code: number;
  readonly output: string;
}

/** Runs promtool with this on its standard input. */
export async function promtool(words: readonly string[], stdin = ""): Promise<Promtool> {
  const child = Bun.spawn([requireProgram("promtool", "prometheus"), ...words], {
    stdin: Buffer.from(stdin),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, errors] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, output: out + errors };
}

/** One series of an answer. */
export interface PrometheusSeries {
  readonly metric: Readonly<Record<string, string>>;
  /** Time and number. */
  readonly value: readonly [number, string];
}

/** A Prometheus server that scrapes one target each second. Dispose ends it and removes its files. */
export interface Prometheus extends AsyncDisposable {
  /** The answer to a query; throws with Prometheus' own words when it does not understand it. */
  query(expression: string): Promise<readonly PrometheusSeries[]>;
  /** The rules that it has loaded, by name. */
  rules(): Promise<readonly string[]>;
}

/** Starts a server whose job automc-router scrapes that `host:port`, with these rule files. */
export async function startPrometheus(
  target: string,
  ruleFiles: readonly string[] = [],
): Promise<Prometheus> {
  const folder = mkdtempSync(join(tmpdir(), "automc-prometheus-"));
  const config = join(folder, "prometheus.yml");
  // JSON is YAML.
  const job = { job_name: "automc-router", static_configs: [{ targets: [target] }] };
  const settings = {
    global: { scrape_interval: "1s" },
    rule_files: ruleFiles,
    scrape_configs: [job],
  };
  writeFileSync(config, JSON.stringify(settings));
  const port = await freePort();
  const child = Bun.spawn(
    [
      requireProgram("prometheus", "prometheus"),
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
      "--log.level=warn",
    ],
    { stdin: "ignore", stdout: "ignore", stderr: "pipe" },
  );
  const said = child.stderr.text();

  async function get(path: string): Promise<{ readonly data: unknown }> {
    const response = await fetch(`http://127.0.0.1:${port}${path}`);
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
      "Prometheus is ready",
      async () => {
        if (child.exitCode !== null) throw new Error(await said);
        return await fetch(`http://127.0.0.1:${port}/-/ready`).then(
          ({ ok }) => ok,
          () => false,
        );
      },
      30_000,
    );
  } catch (error) {
    await dispose();
    throw error;
  }

  return {
    async query(expression) {
      const { data } = await get(`/api/v1/query?query=${encodeURIComponent(expression)}`);
      return (data as { result: PrometheusSeries[] }).result;
    },
    async rules() {
      const { data } = await get("/api/v1/rules");
      const { groups } = data as { groups: { rules: { name: string }[] }[] };
      return groups.flatMap(({ rules }) => rules.map(({ name }) => name));
    },
    [Symbol.asyncDispose]: dispose,
  };
}

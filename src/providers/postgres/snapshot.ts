import { readFile } from "node:fs/promises";
import { err, ok, type Result } from "../../base/result.ts";
import { codeOf, messageOf } from "../../base/thrown.ts";
import { inChunks } from "../../base/wait.ts";
import { replaceFile } from "../../base/write-file.ts";
import type { ServerRow } from "./reader.ts";

/** The last good rows, and when they were written. */
export interface Snapshot {
  readonly savedAt: Date;
  readonly rows: readonly ServerRow[];
}

const version = 1;

/** The snapshot at `path`; null when there is none yet. The error says why the file cannot be used. */
export async function loadSnapshot(path: string): Promise<Result<Snapshot | null, string>> {
  try {
    return toSnapshot(JSON.parse(await readFile(path, "utf8")));
  } catch (error) {
    if (codeOf(error) === "ENOENT") return ok(null);
    return err(error instanceof SyntaxError ? "it is no JSON" : messageOf(error));
  }
}

/** Writes a snapshot now and then. */
export interface SnapshotWriter {
  /** The rows have changed: they are written at once, or as soon as the last write is long enough ago. */
  changed(): void;
  /** Writes what has changed since the last write, and resolves when nothing is under way any more. */
  stop(): Promise<void>;
}

/** What a writer needs. */
interface SnapshotWriterDeps {
  readonly path: string;
  /** At least this long between two writes. */
  readonly everyMs: number;
  readonly rows: () => readonly ServerRow[];
  /** Called when a write fails after one that did not, or as the first. */
  readonly onFailure: (reason: string) => void;
}

/** A writer that has nothing to write yet. It never throws and never rejects. */
export function createSnapshotWriter(deps: SnapshotWriterDeps): SnapshotWriter {
  let isChanged = false;
  let hasFailed = false;
  let nextAt = -Infinity;
  let timer: ReturnType<typeof setTimeout> | null = null;
  let writing: Promise<void> = Promise.resolve();

  async function write(): Promise<void> {
    isChanged = false;
    const rows = deps.rows();
    const failure = await replaceFile(deps.path, () => snapshotText(rows), { mode: 0o600 });
    if (failure !== null && !hasFailed) deps.onFailure(failure);
    hasFailed = failure !== null;
    if (hasFailed) isChanged = true; // so that it is tried again
    nextAt = performance.now() + deps.everyMs;
  }

  /** One write after the other, each when its time has come. */
  function schedule(): void {
    timer = setTimeout(
      () => {
        writing = write().then(() => {
          timer = null;
          if (isChanged) schedule();
        });
      },
      Math.max(0, nextAt - performance.now()),
    );
  }

  return {
    changed() {
      isChanged = true;
      if (timer === null) schedule();
    },
    async stop() {
      if (timer !== null) clearTimeout(timer);
      await writing;
      if (timer !== null) clearTimeout(timer);
      if (isChanged) await write();
    },
  };
}

/** The text of a snapshot: one row a line, valid JSON that people can read too. */
async function* snapshotText(rows: readonly ServerRow[]): AsyncGenerator<string, void> {
  yield `{"version":${version},"savedAt":"${new Date().toISOString()}","servers":[`;
  let separator = "\n";
  for await (const chunk of inChunks(rows)) {
    yield separator + chunk.map(toLine).join(",\n");
    separator = ",\n";
  }
  yield "\n]}\n";
}

const toLine = ({ name, domain, address, proxyProtocol, fallback }: ServerRow): string =>
  JSON.stringify({
    name,
    domain,
    address,
    proxyProtocol: proxyProtocol ?? undefined,
    fallback: fallback ?? undefined,
  });

function toSnapshot(json: unknown): Result<Snapshot, string> {
  if (!isRecord(json) || json["version"] !== version) return err(`it is not of version ${version}`);
  const { savedAt, servers } = json;
  const writtenAt = new Date(typeof savedAt === "string" ? savedAt : "");
  if (Number.isNaN(writtenAt.getTime())) return err("it does not say when it was written");
  if (!Array.isArray(servers) || !servers.every(isServerRow)) return err("its rows are damaged");
  return ok({ savedAt: writtenAt, rows: servers });
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null;

const isServerRow = (value: unknown): value is ServerRow =>
  isRecord(value) &&
  ["name", "domain", "address"].every((column) => typeof value[column] === "string") &&
  ["boolean", "undefined"].includes(typeof value["proxyProtocol"]) &&
  ["string", "undefined"].includes(typeof value["fallback"]);

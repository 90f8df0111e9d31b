import { createEntryProblems, type EntryProblems } from "../entry-problems.ts";
import type { SourceEvent } from "../event.ts";

/** What a reporter of the routes file needs. */
interface FileReporterDeps {
  /** Null: there is none, and nothing is told. */
  readonly path: string | null;
  /** Whether changes of the file are routed as they come, and not only at a reload. */
  readonly watch: boolean;
  readonly emit: (event: SourceEvent) => void;
}

/** Emits what an operator needs to know of the routes file, each thing once. */
interface FileReporter {
  /** The source has started; told unless the file was missing. */
  started(routes: number): void;
  /** The file has been read; told after it was lost. */
  live(routes: number): void;
  /**
   * The file cannot be read. Told again only at a reload that the operator asked for, or with
   * another reason.
   */
  lost(reason: string, asked: boolean, routes: number): void;
  /** There is no file at the start. */
  missing(): void;
  /** What is wrong with its entries. */
  readonly problems: EntryProblems;
  /** A save is over; null: it went well. Told when one fails after one that did not. */
  saved(failure: string | null): void;
}

/** Nothing has been told yet. */
export function createFileReporter({ path, watch, emit }: FileReporterDeps): FileReporter {
  const source = "file";
  const mode = watch ? "notify" : "reload";
  let outage: { readonly reason: string; readonly since: number } | null = null;
  let hasSaveFailed = false;

  return {
    started(routes) {
      if (outage === null) emit({ kind: "source-live", source, routes, mode, awayMs: 0 });
    },
    live(routes) {
      if (outage === null) return;
      const awayMs = Math.round(performance.now() - outage.since);
      outage = null;
      emit({ kind: "source-live", source, routes, mode, awayMs });
    },
    lost(reason, asked, routes) {
      if (asked || outage?.reason !== reason) emit({ kind: "source-lost", source, reason, routes });
      outage = { reason, since: outage?.since ?? performance.now() };
    },
    missing() {
      outage = { reason: `${path}: it does not exist`, since: performance.now() };
      const then = watch ? "as soon as it does" : "at a reload (SIGHUP)";
      const message = `the routes file ${path} does not exist yet; it is read ${then}`;
      emit({ kind: "source-warning", source, message });
    },
    problems: createEntryProblems(source, emit),
    saved(failure) {
      if (failure !== null && !hasSaveFailed) {
        const message = `changes by the API are in force but cannot be saved to ${path}: ${failure}`;
        emit({ kind: "source-warning", source, message });
      }
      hasSaveFailed = failure !== null;
    },
  };
}

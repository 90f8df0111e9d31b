/**
 * A process that logs to its fd 2 as its parent commands, and answers over IPC, so that the log's reader may do what it likes.
 * Each line is `line N` and padding; the line about dropped ones is `dropped N`.
 */
import { readFileSync } from "node:fs";
import { createLineWriter } from "../../src/observe/writer.ts";

/** What the parent may ask for. */
export type Command =
  | { readonly kind: "write"; readonly count: number; readonly bytes: number }
  | { readonly kind: "flush"; readonly withinMs: number }
  | { readonly kind: "status" };

/** What it is told in return, once the command is done. */
export interface Status {
  /** Turns of a timer so far: as long as it grows, the event loop runs. */
  readonly ticks: number;
  readonly written: number;
  readonly dropped: number;
  /** Flags of the open file description behind fd 2, octal; empty where there is no /proc. */
  readonly flags: string;
  /** Whether the last flush ended before its time. */
  readonly isFlushed: boolean;
}

const writer = createLineWriter({ fd: 2, droppedLine: (count) => `dropped ${count}\n` });
let ticks = 0;
let written = 0;
let isFlushed = false;
setInterval(() => {
  ticks += 1;
}, 5);

async function obey(command: Command): Promise<void> {
  switch (command.kind) {
    case "write":
      for (let index = 0; index < command.count; index++) {
        writer.write(`${`line ${written} `.padEnd(command.bytes - 1, "x")}\n`);
        written += 1;
      }
      break;
    case "flush": {
      const deadline = AbortSignal.timeout(command.withinMs);
      await writer.flush(deadline);
      isFlushed = !deadline.aborted;
      break;
    }
    case "status":
      break;
  }
  const status: Status = { ticks, written, dropped: writer.dropped, flags: flagsOf(2), isFlushed };
  process.send?.(status);
}

function flagsOf(fd: number): string {
  try {
    return /flags:\s*(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))?.[1] ?? "";
  } catch {
    return "";
  }
}

process.on("message", (command: Command) => void obey(command));
process.on("disconnect", () => process.exit(0));

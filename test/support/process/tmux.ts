import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../until.ts";

/** A real terminal with a program in it. Dispose ends the program. */
export interface Screen extends Disposable {
  /** The lines that the terminal shows now, without spaces and empty lines at the end. */
  lines(): readonly string[];
  /** Waits until some line of the screen matches; rejects with the screen. */
  shows(line: RegExp): Promise<void>;
  /** The same with what colours the text: SGR sequences of ECMA-48. */
  coloured(): string;
}

/** Starts a program with these settings alone in a terminal of that size, which tmux emulates. */
export function openScreen(
  command: readonly string[],
  env: Readonly<Record<string, string>>,
  size = { columns: 100, rows: 30 },
): Screen {
  const folder = mkdtempSync(join(tmpdir(), "automc-tmux-"));
  const tmux = (...words: readonly string[]): string => {
    const run = Bun.spawnSync(["tmux", "-S", join(folder, "socket"), "-f", "/dev/null", ...words], {
      cwd: folder,
      env: {
        PATH: process.env["PATH"] ?? "",
        HOME: folder,
        TERM: "xterm-256color",
        LC_ALL: "C.UTF-8",
      },
    });
    if (run.exitCode !== 0) throw new Error(`tmux ${words[0]}: ${run.stderr.toString()}`);
    return run.stdout.toString();
  };
  const settings = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  // What the program printed last stays to be read when it ends.
  tmux(
    ...["set-option", "-g", "remain-on-exit", "on", ";"],
    ...["new-session", "-d", "-x", String(size.columns), "-y", String(size.rows)],
    ...["env", ...settings, ...command],
  );
  const capture = (...flags: readonly string[]): string => tmux("capture-pane", "-p", ...flags);
  const lines = (): readonly string[] => capture().trimEnd().split("\n");
  return {
    lines,
    async shows(line) {
      await until(`the screen shows ${line}`, () => lines().some((text) => line.test(text))).catch(
        (cause: unknown) => {
          throw new Error(capture(), { cause });
        },
      );
    },
    coloured: () => capture("-e"),
    [Symbol.dispose]() {
      tmux("kill-server");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

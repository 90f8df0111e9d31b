import type { Subprocess } from "bun";

/** A program of this folder that runs beside the test and speaks JSON, one value a line. Dispose kills it. */
export interface Child extends Disposable {
  readonly process: Subprocess<"ignore", "pipe", "inherit">;
  /** The next line that it prints. Rejects when there is none. */
  next(): Promise<unknown>;
}

/** Starts `test/support/<name>.ts` with these arguments. */
export function startChild(name: string, ...args: readonly (string | number)[]): Child {
  const child = Bun.spawn(
    [process.execPath, `${import.meta.dir}/${name}.ts`, ...args.map(String)],
    {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "inherit",
    },
  );
  const lines = linesOf(child.stdout);
  return {
    process: child,
    async next() {
      const { value, done } = await lines.next();
      if (done) throw new Error(`${name} ended with ${await child.exited} and said nothing`);
      return JSON.parse(value);
    },
    [Symbol.dispose]: () => child.kill("SIGKILL"),
  };
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of stream) {
    text += decoder.decode(bytes, { stream: true });
    const lines = text.split("\n");
    text = lines.pop() ?? "";
    yield* lines;
  }
}

/** What a process can be asked to do: each job's input and result by its name. */
export type JobTable<Jobs> = { readonly [Name in keyof Jobs]: { input: unknown; result: unknown } };

/** A job on its way to the process that does it. */
export type Order<Jobs extends JobTable<Jobs>> = {
  readonly [Name in keyof Jobs]: {
    readonly id: number;
    readonly name: Name;
    readonly input: Jobs[Name]["input"];
  };
}[keyof Jobs];

/** How a job went. */
interface Report {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
}

/** A process of its own that does jobs; what it costs is not counted where somebody else is measured. Dispose kills it. */
export interface Worker<Jobs extends JobTable<Jobs>> extends AsyncDisposable {
  /** Has that job done. Rejects with what went wrong. */
  run<Name extends keyof Jobs>(
    name: Name,
    input: Jobs[Name]["input"],
  ): Promise<Jobs[Name]["result"]>;
}

/** Starts the worker in that file, which calls `serveJobs`; `within` is put in front of its command, such as `nsenter …`. */
export function startWorker<Jobs extends JobTable<Jobs>>(
  path: string,
  within: readonly string[] = [],
): Worker<Jobs> {
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  let lastId = 0;
  const child = Bun.spawn([...within, process.execPath, path], {
    ipc(report: Report) {
      const job = waiting.get(report.id);
      waiting.delete(report.id);
      if (report.error === undefined) job?.resolve(report.result);
      else job?.reject(new Error(report.error));
    },
    serialization: "json",
    stdin: "ignore",
    stdout: "inherit",
    stderr: "inherit",
  });
  void child.exited.then(() => {
    for (const job of waiting.values()) job.reject(new Error(`${path} has ended`));
  });
  return {
    run<Name extends keyof Jobs>(name: Name, input: Jobs[Name]["input"]) {
      lastId += 1;
      const job = Promise.withResolvers<unknown>();
      waiting.set(lastId, job);
      // Whoever waits for it hears of it; when a test has ended for another reason, nobody does.
      void job.promise.catch(() => {});
      child.send({ id: lastId, name, input });
      return job.promise as Promise<Jobs[Name]["result"]>;
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

/** The worker's own side: does each job as it is asked for, and ends with its parent. */
export function serveJobs<Jobs extends JobTable<Jobs>>(
  run: (order: Order<Jobs>) => Promise<unknown>,
): void {
  process.on("message", (order: Order<Jobs>) => {
    const report = (how: Omit<Report, "id">): void => {
      process.send?.({ id: order.id, ...how } satisfies Report);
    };
    void run(order).then(
      (result) => report({ result }),
      (error: unknown) => report({ error: String(error) }),
    );
  });
  process.on("disconnect", () => process.exit(0));
}

/** What a webhook was sent, as it stood in the body. */
export type Notice = Readonly<Record<string, unknown>>;

/** A web server that takes an operator's notices. Dispose ends it, and what it has not answered. */
export interface NoticeReceiver extends AsyncDisposable {
  readonly url: string;
  /** Everything that has arrived, answered or not. */
  readonly notices: readonly Notice[];
  /** Requests that have been answered. */
  readonly answered: number;
  /** Answers what is waiting, and everything from now on. */
  answer(): void;
}

/** Starts a receiver on 127.0.0.1. One that hangs reads notices and answers none until it is told to. */
export function receiveNotices({ hangs }: { readonly hangs: boolean }): NoticeReceiver {
  const notices: Notice[] = [];
  const free = Promise.withResolvers<void>();
  if (!hangs) free.resolve();
  let answered = 0;
  const http = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      notices.push((await request.json()) as Notice);
      await free.promise;
      answered += 1;
      return new Response(null, { status: 204 });
    },
  });
  return {
    url: `http://127.0.0.1:${http.port}/events`,
    notices,
    get answered() {
      return answered;
    },
    answer: free.resolve,
    async [Symbol.asyncDispose]() {
      free.resolve();
      await http.stop(true);
    },
  };
}

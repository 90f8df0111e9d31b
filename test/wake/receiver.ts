/** One call of the webhook, as it arrived. */
export interface WebhookCall {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A real HTTP server of an operator's that is told to start and stop backends. */
export interface Receiver extends AsyncDisposable {
  readonly url: string;
  readonly calls: readonly WebhookCall[];
  /** The parsed bodies, in order of arrival. */
  actions(): readonly unknown[];
  /** What calls are answered with from now on. */
  answer(respond: (call: WebhookCall) => Response | Promise<Response>): void;
}

/** Starts one on 127.0.0.1 and a port of its own; it answers 200 with nothing until told otherwise. */
export function startReceiver(): Receiver {
  const calls: WebhookCall[] = [];
  let respond: (call: WebhookCall) => Response | Promise<Response> = () => new Response();
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      const call = {
        method: request.method,
        path: new URL(request.url).pathname,
        headers: Object.fromEntries(request.headers),
        body: await request.text(),
      };
      calls.push(call);
      return await respond(call);
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}/scale`,
    calls,
    actions: () => calls.map(({ body }) => JSON.parse(body)),
    answer(next) {
      respond = next;
    },
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

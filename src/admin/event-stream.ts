import type { EventLog, LoggedEvent } from "../observe/event-log.ts";

/** How often a comment is sent, so that proxies and the router notice a client that is gone, ms. */
const beatMs = 15_000;
/** Events that wait for a slow client before its stream ends; it resumes by Last-Event-ID. */
const queueLimit = 2_000;

/**
 * `GET /events`: server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html). The id
 * is `<run>-<number>`; with the Last-Event-ID of this run the stream goes on behind it, else it begins with
 * what is kept.
 */
export function eventStream(log: EventLog, lastEventId: string | null): Response {
  const encoder = new TextEncoder();
  let stop: (() => void) | null = null;

  const body = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const send = (text: string): void => {
          if ((controller.desiredSize ?? 0) > 0) controller.enqueue(encoder.encode(text));
          else end();
        };
        const beat = setInterval(() => send(": beat\n\n"), beatMs);
        beat.unref();
        const unfollow = log.follow((event) => send(eventText(log.run, event)));
        stop = () => {
          clearInterval(beat);
          unfollow();
        };
        const end = (): void => {
          stop?.();
          controller.close();
        };
        controller.enqueue(encoder.encode(": automc-router\nretry: 1000\n\n"));
        for (const event of log.since(idOf(log.run, lastEventId))) {
          controller.enqueue(encoder.encode(eventText(log.run, event)));
        }
      },
      cancel: () => stop?.(),
    },
    { highWaterMark: queueLimit },
  );
  return new Response(body, {
    headers: { "Content-Type": "text/event-stream", "Cache-Control": "no-store" },
  });
}

/** 0 for an id of another run. */
function idOf(run: string, lastEventId: string | null): number {
  const [, given, number] = /^([0-9a-z]+)-(\d{1,15})$/.exec(lastEventId ?? "") ?? [];
  return given === run ? Number(number) : 0;
}

function eventText(run: string, { id, ...event }: LoggedEvent): string {
  // JSON has no raw line feed, so that one data line holds it.
  const data = JSON.stringify(event, (_, value: unknown) =>
    typeof value === "bigint" ? String(value) : value,
  );
  return `id: ${run}-${id}\ndata: ${data}\n\n`;
}

import type { RouterEvent } from "./events.ts";

/** Watches what happens. Returns before anything slow begins. */
export type Observer = (event: RouterEvent) => void;

/** One emitter for all observers. What an observer throws goes to `onFault` and never to whoever emitted. */
export function createBus(
  observers: readonly Observer[],
  onFault: (error: unknown) => void,
): Observer {
  return (event) => {
    for (const observe of observers) {
      try {
        observe(event);
      } catch (thrown) {
        onFault(thrown);
      }
    }
  };
}

import type { RouterEvent } from "./events.ts";

/** Takes one event. Returns before anything slow begins. */
export type Observer = (event: RouterEvent) => void;

/**
 * One emitter for all observers. What an observer throws goes to `onFault`, never to the caller of the
 * emitter.
 */
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

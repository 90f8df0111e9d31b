import type { Route, RouterEvent, Server, Session } from "./api.ts";
import { duration, make, setText } from "./dom.ts";
import { createWindowList, type WindowList } from "./window-list.ts";

/** The routes that the servers are reached by, sorted by hostname. */
export const routesOf = (servers: readonly Server[]): readonly Route[] =>
  servers.flatMap(({ routes }) => routes).sort((a, b) => (a.hostname < b.hostname ? -1 : 1));

/** The list of sessions. */
export const createSessionList = (box: HTMLElement): WindowList<Session> =>
  createWindowList({
    box,
    label: "Sessions",
    empty: "No client is connected.",
    height: { wide: 46, narrow: 46 },
    keyOf: ({ id }) => String(id),
    makeRow() {
      const element = make("li", "session");
      const player = make("span", "cut");
      const hostname = make("span", "cut");
      const time = make("span", "quiet cut");
      element.append(player, hostname, time);
      return {
        element,
        show(session) {
          setText(player, session.player?.name ?? session.intent ?? "not known yet");
          setText(hostname, session.hostname ?? session.client.ip);
          hostname.title = `${session.client.ip} → ${session.backend ?? "no backend"}`;
          setText(
            time,
            `${session.backend === null ? "waits" : "on"} ${duration(session.durationMs)}`,
          );
        },
      };
    },
  });

/** What the list of routes needs. */
interface RouteListDeps {
  readonly box: HTMLElement;
  mayChange(): boolean;
  remove(route: Route): void;
}

/** Where a route of each source is changed. */
const places: Readonly<Record<string, string>> = {
  env: "MAPPING or DEFAULT",
  file: "the routes file",
  postgres: "the table",
  docker: "the container's labels",
  swarm: "the service's labels",
  kubernetes: "the service's annotations",
};

/** The list of routes, with a button to remove those that the API may remove. */
export const createRouteList = (deps: RouteListDeps): WindowList<Route> =>
  createWindowList({
    box: deps.box,
    label: "Routes",
    empty: "There is no route yet.",
    height: { wide: 46, narrow: 46 },
    keyOf: ({ hostname }) => hostname,
    makeRow() {
      const element = make("li", "route");
      const hostname = make("span", "cut");
      const backend = make("span", "cut");
      const end = make("span");
      const place = make("span", "quiet");
      const remove = make("button", "", "Remove");
      remove.type = "button";
      end.append(place, remove);
      element.append(hostname, backend, end);
      let shown: Route | null = null;
      remove.addEventListener("click", () => shown && deps.remove(shown));
      return {
        element,
        show(route) {
          shown = route;
          setText(hostname, route.hostname === "*" ? "default route" : route.hostname);
          hostname.title = route.hostname;
          setText(backend, route.backend || "no address while it sleeps");
          const isOwn = (route.source === "api" || route.source === "file") && deps.mayChange();
          remove.hidden = !isOwn;
          place.hidden = isOwn;
          setText(place, places[route.source] ?? route.source);
          place.title = `${route.source} ${route.row}`;
          remove.setAttribute("aria-label", `Remove the route for ${route.hostname}`);
        },
      };
    },
  });

/** An event with a number of its own. */
export type NumberedEvent = RouterEvent & { readonly key: string };

/** The list of recent events, the newest first. */
export const createEventList = (box: HTMLElement): WindowList<NumberedEvent> =>
  createWindowList({
    box,
    label: "Recent events",
    empty: "Nothing has happened yet.",
    height: { wide: 52, narrow: 52 },
    keyOf: ({ key }) => key,
    makeRow() {
      const element = make("li", "event");
      const time = make("time", "quiet");
      const what = make("div");
      const message = make("div", "cut");
      const fields = make("div", "quiet cut");
      what.append(message, fields);
      element.append(time, what);
      return {
        element,
        show(event) {
          setText(time, new Date(event.time).toLocaleTimeString());
          time.dateTime = event.time;
          message.className = `cut level-${event.level}`;
          setText(message, event.message);
          const text = Object.entries(event.fields)
            .filter(([, value]) => value !== null)
            .map(([name, value]) => `${name} ${value}`)
            .join(" · ");
          setText(fields, text);
          fields.title = text;
        },
      };
    },
  });

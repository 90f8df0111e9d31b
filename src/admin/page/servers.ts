import type { Server } from "./api.ts";
import { counted, duration, make, setText } from "./dom.ts";
import { createWindowList, type Row, type WindowList } from "./window-list.ts";

/** What the list of servers needs. */
interface ServerListDeps {
  readonly box: HTMLElement;
  /** True where buttons may be shown. */
  mayChange(): boolean;
  /** How long ago the servers were read, ms. */
  age(): number;
  act(server: Server, action: "wake" | "stop"): void;
}

/** The list of servers, each with its state, who is on it, and what may be done. */
export const createServerList = (deps: ServerListDeps): WindowList<Server> =>
  createWindowList({
    box: deps.box,
    label: "Servers",
    empty: "No route leads to a server yet.",
    height: { wide: 66, narrow: 112 },
    keyOf: ({ name }) => name,
    makeRow: () => makeRow(deps),
  });

function makeRow(deps: ServerListDeps): Row<Server> {
  const element = make("li", "server");
  const letter = make("span", "letter");
  letter.setAttribute("aria-hidden", "true");
  const icon = make("img", "icon");
  icon.alt = "";
  icon.hidden = true;
  const names = make("div");
  const name = make("strong", "cut");
  const hostnames = make("div", "quiet cut");
  names.append(name, hostnames);
  const states = make("div");
  const state = make("span", "state");
  const where = make("div", "quiet cut");
  states.append(state, where);
  const about = make("div", "about");
  const players = make("div");
  const failure = make("div", "quiet cut");
  about.append(players, failure);
  const actions = make("div", "actions");
  const wake = make("button", "", "Wake");
  const stop = make("button", "", "Stop");
  for (const button of [wake, stop]) button.type = "button";
  actions.append(wake, stop);
  element.append(letter, icon, names, states, about, actions);

  let shown: Server | null = null;
  const showIcon = (isShown: boolean): void => {
    icon.hidden = !isShown;
    letter.hidden = isShown;
  };
  icon.addEventListener("load", () => showIcon(true));
  icon.addEventListener("error", () => showIcon(false));
  wake.addEventListener("click", () => shown && deps.act(shown, "wake"));
  stop.addEventListener("click", () => shown && deps.act(shown, "stop"));

  return {
    element,
    show(server) {
      shown = server;
      setText(letter, server.name.slice(0, 1).toUpperCase());
      // Relative, so that the page works behind a proxy's path.
      const path = server.icon?.slice(1) ?? "";
      if ((icon.getAttribute("src") ?? "") !== path) {
        showIcon(false);
        if (path === "") icon.removeAttribute("src");
        else icon.src = path;
      }
      setText(name, server.name);
      setText(hostnames, server.hostnames.join(", "));
      hostnames.title = server.hostnames.join(", ");
      state.className = `state state-${server.state}`;
      setText(state, stateText(server, deps.age()));
      setText(where, server.address ?? "no address while it sleeps");
      setText(players, playersText(server));
      setText(failure, server.lastFailure === null ? "" : `Last failure: ${server.lastFailure}`);
      failure.title = server.lastFailure ?? "";
      const { may, state: now } = server;
      wake.hidden = !may.start || !deps.mayChange() || now === "up" || now === "starting";
      stop.hidden = !may.stop || !deps.mayChange() || now !== "up";
      wake.setAttribute("aria-label", `Wake ${server.name}`);
      stop.setAttribute("aria-label", `Stop ${server.name}`);
    },
  };
}

const stateWords: Readonly<Record<Server["state"], string>> = {
  unknown: "not asked yet",
  looking: "being looked at",
  starting: "starting",
  up: "up",
  failed: "failed to start",
  fixed: "always on",
};

function stateText({ state, stateMs, usualStartMs }: Server, ageMs: number): string {
  const since = stateMs === null ? "" : ` for ${duration(stateMs + ageMs)}`;
  const usual =
    state === "starting" && usualStartMs !== null ? `, usually ${duration(usualStartMs)}` : "";
  return `${stateWords[state]}${since}${usual}`;
}

function playersText({ players, waiting }: Server): string {
  const on = counted(players, "player");
  return waiting === 0 ? on : `${on}, ${waiting} waiting`;
}

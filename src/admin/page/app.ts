import {
  ask,
  type Explanation,
  type RouterEvent,
  type Scope,
  type Server,
  type Session,
  type Status,
} from "./api.ts";
import { byId, counted, duration, setItems, setText } from "./dom.ts";
import {
  createEventList,
  createRouteList,
  createSessionList,
  type NumberedEvent,
  routesOf,
} from "./lists.ts";
import { createServerList } from "./servers.ts";

/** The least time between two readings, and the time between two readings where nothing happens, ms. */
const leastMs = 1_000;
const quietMs = 5_000;
/** Events that the page keeps. */
const keptEvents = 200;

const panels = byId("panels", HTMLElement);
const signIn = byId("sign-in", HTMLElement);
const signOut = byId("sign-out", HTMLButtonElement);
const lost = byId("connection", HTMLElement);
const filter = byId("server-filter", HTMLInputElement);

let scope: Scope | null = null;
let servers: readonly Server[] = [];
let readAt = 0;
let sessionsAt = 0;
let events: readonly NumberedEvent[] = [];
let stream: EventSource | null = null;
let isDue = true;
let isReading = false;
/** The router has said whether the browser is signed in. */
let isAsked = false;

const serverList = createServerList({
  box: byId("server-list", HTMLElement),
  mayChange: () => scope === "change",
  age: () => performance.now() - readAt,
  act: (server, action) => void act(server, action),
});
const sessionList = createSessionList(byId("session-list", HTMLElement));
const routeList = createRouteList({
  box: byId("route-list", HTMLElement),
  mayChange: () => scope === "change",
  remove: (route) => void removeRoute(route),
});
const eventList = createEventList(byId("event-list", HTMLElement));

/**
 * Reads what has changed; runs once a second, and does nothing where nothing is due or the page is not seen.
 */
async function tick(): Promise<void> {
  if (isReading || document.hidden) return;
  if (scope !== null) showServers();
  if (scope === null && isAsked) return;
  const sinceMs = performance.now() - readAt;
  if (scope !== null && sinceMs < (isDue ? leastMs : quietMs)) return;
  isReading = true;
  await (scope === null ? enter() : read());
  isReading = false;
}

/** Finds out whether the browser is signed in, and shows the panels or the form. */
async function enter(): Promise<void> {
  const answer = await ask<{ scope: Scope | null; asksToken: boolean }>("GET", "sign-in");
  lost.hidden = answer !== null;
  if (answer?.kind !== "ok") return;
  ({ scope } = answer.value);
  isAsked = true;
  signIn.hidden = scope !== null;
  panels.hidden = scope === null;
  if (scope === null) {
    byId("token", HTMLInputElement).focus();
    return;
  }
  byId("route-form", HTMLElement).hidden = scope !== "change";
  signOut.hidden = !answer.value.asksToken;
  follow();
  await read();
}

async function read(): Promise<void> {
  isDue = false;
  const wantsSessions = performance.now() - sessionsAt > quietMs;
  const [read, status, sessions] = await Promise.all([
    ask<readonly Server[]>("GET", "servers"),
    ask<Status>("GET", "status"),
    wantsSessions ? ask<readonly Session[]>("GET", "sessions") : null,
  ]);
  lost.hidden = read !== null;
  if (read?.kind === "refused" && read.status === 401) return leave();
  readAt = performance.now();
  if (read?.kind === "ok") {
    servers = read.value;
    showServers();
    routeList.show(routesOf(servers));
  }
  if (status?.kind === "ok") showStatus(status.value);
  if (sessions?.kind === "ok") {
    sessionsAt = performance.now();
    sessionList.show(sessions.value.toReversed());
  }
}

function leave(): void {
  scope = null;
  isAsked = false;
  stream?.close();
  stream = null;
  signOut.hidden = true;
}

function showServers(): void {
  const wanted = filter.value.trim().toLowerCase();
  const shown = servers.filter(
    ({ name, hostnames }) =>
      wanted === "" || [name, ...hostnames].some((text) => text.toLowerCase().includes(wanted)),
  );
  serverList.show(shown);
}

function showStatus(status: Status): void {
  const { relaying, waiting } = status.sessions;
  const up = duration(Date.now() - Date.parse(status.startedAt));
  const ready = status.isReady
    ? "ready"
    : status.notReady.map(({ name, reason }) => `${name}: ${reason}`).join("; ");
  setText(
    byId("summary", HTMLElement),
    `${ready} · ${counted(servers.length, "server")} · ${counted(relaying, "session")} · ${waiting} waiting · up ${up}`,
  );
  setText(byId("build", HTMLElement), `automc-router ${status.version} (${status.commit})`);
  const warnings = status.warnings.map(({ message }) => message);
  byId("warnings", HTMLElement).hidden = warnings.length === 0;
  setItems(byId("warning-list", HTMLElement), warnings.toReversed().slice(0, 10));
  setItems(byId("source-list", HTMLElement), [
    ...status.sources.map(sourceText),
    ...status.services.map(({ name, isUp, reason }) => `${name}: ${isUp ? "answers" : reason}`),
  ]);
}

const modes: Readonly<Record<string, string>> = {
  notify: "changes arrive at once",
  poll: "polled",
  reload: "read at a reload",
};

function sourceText({
  name,
  state,
  mode,
  routes,
  ageMs,
  reason,
}: Status["sources"][number]): string {
  const age = ageMs === null || ageMs === 0 ? "" : `, as of ${duration(ageMs)} ago`;
  const how = mode === null ? "" : `, ${modes[mode] ?? mode}`;
  return `${name}: ${state}, ${counted(routes, "route")}${how}${age}${reason === null ? "" : `: ${reason}`}`;
}

/** Follows the router's events; the browser connects again by itself after a restart. */
function follow(): void {
  stream?.close();
  stream = new EventSource("events");
  stream.addEventListener("open", () => {
    isDue = true;
  });
  stream.addEventListener("message", ({ data, lastEventId }: MessageEvent<string>) => {
    const event: RouterEvent = JSON.parse(data);
    isDue = true;
    events = [{ ...event, key: lastEventId }, ...events].slice(0, keptEvents);
    requestAnimationFrame(showEvents);
  });
  stream.addEventListener("error", () => {
    lost.hidden = false;
    // Closed for good: the router answered with something else, as when the token has changed.
    if (stream?.readyState === EventSource.CLOSED) leave();
  });
}

function showEvents(): void {
  eventList.show(events);
}

async function act({ name }: Server, action: "wake" | "stop"): Promise<void> {
  const answer = await ask("POST", `servers/${encodeURIComponent(name)}/${action}`);
  const problem = answer?.kind === "refused" ? `${name}: ${answer.detail}` : "";
  setText(byId("server-problem", HTMLElement), problem);
  isDue = true;
}

async function removeRoute({ hostname }: Route): Promise<void> {
  const path = hostname === "*" ? "defaultRoute" : `routes/${encodeURIComponent(hostname)}`;
  tellRoute(await ask("DELETE", path));
}

function tellRoute(answer: Awaited<ReturnType<typeof ask>>): void {
  setText(byId("route-problem", HTMLElement), answer?.kind === "refused" ? answer.detail : "");
  isDue = true;
}

const standings: Readonly<Record<string, string>> = {
  wins: "gets the players",
  "less-specific": "is less specific",
  "later-source": "comes from a later source",
  "larger-id": "has a later name in the same source",
};

async function explain(host: string): Promise<void> {
  const answer = await ask<Explanation>("GET", `explain?host=${encodeURIComponent(host)}`);
  if (answer?.kind !== "ok") return;
  const { hostname, claims } = answer.value;
  const steps = claims.map(
    ({ pattern, backend, source, row, standing }) =>
      `${pattern} → ${backend || "no address while it sleeps"} (${source} ${row}): ${standings[standing] ?? standing}`,
  );
  const none = "No route: a client with this hostname is disconnected without a word.";
  setItems(byId("explain-steps", HTMLElement), [
    `The router looks for ${hostname === "" ? "the empty hostname" : hostname}.`,
    ...(steps.length === 0 ? [none] : steps),
  ]);
}

/** Handles a form without leaving the page. */
function onSubmit(id: string, submitted: () => Promise<void>): void {
  byId(id, HTMLFormElement).addEventListener("submit", (event) => {
    event.preventDefault();
    void submitted();
  });
}

onSubmit("sign-in-form", async () => {
  const input = byId("token", HTMLInputElement);
  const answer = await ask("POST", "sign-in", { token: input.value });
  const wrong = answer?.kind === "refused" ? "This token is not valid." : "";
  setText(
    byId("sign-in-problem", HTMLElement),
    answer === null ? "The router does not answer." : wrong,
  );
  if (answer?.kind !== "ok") return;
  input.value = "";
  isAsked = false;
  await tick();
});
onSubmit("route-form", async () => {
  const serverAddress = byId("route-host", HTMLInputElement).value;
  const backend = byId("route-backend", HTMLInputElement).value;
  tellRoute(await ask("POST", "routes", { serverAddress, backend }));
});
onSubmit("explain-form", () => explain(byId("explain-host", HTMLInputElement).value));
signOut.addEventListener("click", () => {
  void ask("POST", "sign-out").then(() => {
    leave();
    return tick();
  });
});
filter.addEventListener("input", showServers);
document.addEventListener("visibilitychange", () => void tick());

setInterval(() => void tick(), leastMs);
void tick();

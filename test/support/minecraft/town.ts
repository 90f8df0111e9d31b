import type { LogLine, Router } from "../process/router.ts";
import { until } from "../until.ts";
import { type JoinOutcome, join as joinServer, pingServer } from "./minecraft.ts";

/** The version that players and the servers in containers speak. */
export const townVersion = "1.21.11";

/** A route as the API tells it. */
export interface ToldRoute {
  readonly backend: string;
  readonly scalingTarget: string;
}

/** A router at work, as players and its operator see it. */
export interface Town {
  readonly router: Router;
  /** The text that the server list shows for a hostname; null for no answer. */
  motd(hostname: string): Promise<string | null>;
  /** Waits until the server list shows that text for a hostname. */
  shows(hostname: string, text: string | RegExp | null): Promise<void>;
  /** Joins with a real client. */
  join(hostname: string, username: string): Promise<JoinOutcome>;
  /** The routes as the API tells them. */
  routes(): Promise<Readonly<Record<string, ToldRoute>>>;
  /** Waits until the API tells of that backend for the hostname; null: of no such route. */
  routed(hostname: string, backend: RegExp | null): Promise<void>;
  /** What the API answers at that path. */
  ask(path: string): Promise<Response>;
  /** The first line, past or future, with these members. */
  line(members: LogLine): Promise<LogLine>;
}

/** Where a town's players and its operator come in. */
export interface TownPlace {
  readonly address: string;
  readonly port: number;
  /** Path of the API's socket. */
  readonly api: string;
  /** How long anything may take that is waited for, ms. */
  readonly patienceMs: number;
}

/** The town around a router. */
export function openTown(router: Router, { address, port, api, patienceMs }: TownPlace): Town {
  const place = { address, port, version: townVersion };

  const ask = (path: string): Promise<Response> => fetch(`http://localhost${path}`, { unix: api });

  const routes = async (): Promise<Record<string, ToldRoute>> =>
    (await (await ask("/routes")).json()) as Record<string, ToldRoute>;

  async function motd(host: string): Promise<string | null> {
    try {
      const { status } = await pingServer({ ...place, host, timeoutMs: 3_000 });
      const { description } = status as { description: string | { text: string } };
      return typeof description === "string" ? description : description.text;
    } catch {
      // Closed without an answer, which is what the test may be waiting for.
      return null;
    }
  }

  return {
    router,
    motd,
    shows: (host, text) =>
      until(
        `the server list shows ${text} for ${host}`,
        async () => {
          const shown = await motd(host);
          return text instanceof RegExp ? text.test(shown ?? "") : shown === text;
        },
        patienceMs,
      ),
    join: (host, username) => joinServer({ ...place, host, username, timeoutMs: patienceMs }),
    routes,
    routed: (host, backend) =>
      until(
        `${host} leads to ${backend}`,
        async () => {
          const route = (await routes())[host];
          return backend === null ? route === undefined : backend.test(route?.backend ?? "none");
        },
        patienceMs,
      ),
    ask,
    line: (members) =>
      router.waitForLine(
        (line) => Object.entries(members).every(([key, value]) => line[key] === value),
        patienceMs,
      ),
  };
}

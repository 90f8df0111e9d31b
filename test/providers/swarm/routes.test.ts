import { describe, expect, test } from "bun:test";
import { type SwarmListing, swarmRoutes } from "../../../src/providers/swarm/routes.ts";
import { parseSwarmService, type SwarmService } from "../../../src/providers/swarm/service.ts";
import { parseSwarmTask } from "../../../src/providers/swarm/task.ts";
import { patternText } from "../../../src/routing/pattern.ts";
import type { Route } from "../../../src/routing/route.ts";
import { recorded, recordedNetworks, serviceNamed } from "./recording.ts";

const listing: SwarmListing = {
  services: recorded.services.map(parseSwarmService).filter((service) => service !== null),
  networks: recordedNetworks,
  tasks: recorded.tasks.map(parseSwarmTask).filter((task) => task !== null),
};

const both = { scaling: { up: true, down: true }, simplifySrv: false };

/** The recorded services with one of them altered. */
const withService = (name: string, change: (service: SwarmService) => SwarmService) => ({
  ...listing,
  services: listing.services.map((each) => (each.name === name ? change(each) : each)),
});

/** The service with further labels, written without their prefix. */
const labelled =
  (labels: Readonly<Record<string, string>>) =>
  (service: SwarmService): SwarmService => ({
    ...service,
    labels: new Map([
      ...service.labels,
      ...Object.entries(labels).map(([name, text]) => [`mc-router.${name}`, text] as const),
    ]),
  });

function routeOf(routes: readonly Route[], name: string): Route {
  const route = routes.find(({ id }) => id === name);
  if (route === undefined) throw new Error(`${name} has no route`);
  return route;
}

describe("a recorded Swarm", () => {
  const { routes, states, complaints } = swarmRoutes(listing, both);

  const rows: readonly { name: string; address: string; up: boolean | null; down?: boolean }[] = [
    { name: "running-one", address: "10.0.1.245:25570", up: true },
    { name: "running-two", address: "10.0.1.246:25565", up: true },
    { name: "named-one", address: "10.0.1.249:25565", up: true },
    { name: "named-two", address: "named-two:25565", up: true },
    { name: "two-nets", address: "10.0.1.20:25565", up: true },
    { name: "ingress-only", address: "10.0.0.9:25565", up: true },
    { name: "sleeping", address: "", up: true },
    { name: "unplaced", address: "", up: true },
    { name: "updating", address: "", up: true },
    // The Swarm starts the one again and the other never, whoever joins.
    { name: "crashing", address: "", up: false },
    { name: "no-image", address: "", up: false },
    { name: "broken", address: "", up: false },
    // One task on each node is not a number of replicas.
    { name: "everywhere", address: "10.0.1.252:25565", up: null },
    { name: "nowhere", address: "", up: null },
  ];
  for (const { name, address, up } of rows) {
    test(`routes "${name}" to ${address || "nowhere, for now"}`, () => {
      const route = routeOf(routes, name);
      expect(route).toMatchObject({ source: "swarm", address: { text: address } });
      const wake = route.wake?.kind === "swarm" ? route.wake : null;
      expect(wake?.scaling.up ?? null).toBe(up);
      expect(wake?.scaling.down ?? null).toBe(up === null ? null : true);
    });
  }

  test("routes each service once, by its hostname", () => {
    expect(routes.map(({ patterns }) => patterns.map(patternText).join()).toSorted()).toEqual([
      "broken.example.org",
      "crashing.example.org",
      "everywhere.example.org",
      "ingress-only.example.org",
      "named-one.example.org",
      "named-two.example.org",
      "no-image.example.org",
      "nowhere.example.org",
      "one.example.org",
      "sixth.example.org",
      "sleeping.example.org",
      "two-nets.example.org",
      "two.example.org",
      "unplaced.example.org",
      "updating.example.org",
    ]);
  });

  test("complains of the service that cannot be reached, and of no other", () => {
    expect([...complaints]).toEqual([
      ["no-network", "it is on no network that it can be reached on"],
    ]);
  });

  test("tells how each service is", () => {
    expect(states.get("broken")).toBe("failed");
    expect(states.get("crashing")).toBe("restart-delay");
    expect(states.size).toBe(16);
  });

  test("wakes a service by its id, at the port and on the network that its labels name", () => {
    expect(routeOf(routes, "two-nets").wake).toEqual({
      kind: "swarm",
      service: serviceNamed("two-nets").service.id,
      name: "two-nets",
      port: 25565,
      network: "arena",
      scaling: { up: true, down: true, waitMs: 60_000 },
    });
    expect(routeOf(routes, "sleeping").wake).toMatchObject({ scaling: { waitMs: 120_000 } });
  });
});

describe("the texts for the server list", () => {
  const until =
    60_000 + (serviceNamed("crashing").tasks.find((t) => t.desired === "ready")?.since ?? 0);
  const all = {
    "auto-scale-asleep-motd": "Zzz",
    "auto-scale-loading-motd": "Loading",
    "auto-scale-failed-motd": "Failed",
    "auto-scale-restart-delay-motd": "In {duration}",
  };
  const rows: readonly {
    name: string;
    labels: Readonly<Record<string, string>>;
    motd: Route["motd"];
  }[] = [
    { name: "sleeping", labels: all, motd: { asleep: "Zzz", loading: "Loading", until: null } },
    { name: "sleeping", labels: {}, motd: undefined },
    { name: "running-one", labels: all, motd: { asleep: "Zzz", loading: "Loading", until: null } },
    { name: "unplaced", labels: all, motd: { asleep: "Loading", loading: "Loading", until: null } },
    {
      name: "unplaced",
      labels: { "auto-scale-asleep-motd": "Zzz" },
      motd: { asleep: "Zzz", loading: "", until: null },
    },
    { name: "unplaced", labels: {}, motd: undefined },
    { name: "crashing", labels: all, motd: { asleep: "In {duration}", loading: "Loading", until } },
    {
      name: "crashing",
      labels: { "auto-scale-failed-motd": "Failed", "auto-scale-asleep-motd": "Zzz" },
      motd: { asleep: "Failed", loading: "", until },
    },
    {
      name: "crashing",
      labels: {},
      motd: { asleep: "Server failed to start.", loading: "", until },
    },
    { name: "broken", labels: all, motd: { asleep: "Failed", loading: "Loading", until: null } },
    {
      name: "broken",
      labels: { "auto-scale-restart-delay-motd": "In {duration}" },
      motd: { asleep: "Server failed to start.", loading: "", until: null },
    },
  ];
  for (const { name, labels, motd } of rows) {
    test(`of "${name}" with ${Object.keys(labels).join(", ") || "none"}`, () => {
      const bare = (service: SwarmService): SwarmService =>
        labelled(labels)({
          ...service,
          labels: new Map([["mc-router.host", "a.example"]]),
        });
      const route = routeOf(swarmRoutes(withService(name, bare), both).routes, name);
      // Who joins one that is down reads what the server list shows.
      const isDown = name === "crashing" || name === "broken";
      expect(route.motd).toEqual(motd && isDown ? { ...motd, refusal: motd.asleep } : motd);
    });
  }
});

describe("labels", () => {
  test("say who may be started and stopped, and the settings say it for the others", () => {
    const up = labelled({ "auto-scale-up": "true", "auto-scale-down": "false" });
    const neither = { scaling: { up: false, down: false }, simplifySrv: false };
    const routes = swarmRoutes(withService("sleeping", up), neither).routes;
    expect(routeOf(routes, "sleeping").wake).toMatchObject({ scaling: { up: true, down: false } });
    expect(routeOf(routes, "running-one").wake).toBeNull();
  });

  for (const [text, isDefault] of [
    ["true", true],
    [" Yes ", true],
    ["anything", true],
    ["1", true],
    ["", false],
    ["0", false],
    [" FALSE ", false],
    ["no", false],
  ] as const) {
    test(`mc-router.default=${JSON.stringify(text)} makes ${isDefault ? "a" : "no"} default route`, () => {
      const { routes } = swarmRoutes(withService("sleeping", labelled({ default: text })), both);
      const patterns = routeOf(routes, "sleeping").patterns.map(patternText);
      expect(patterns.includes("*")).toBe(isDefault);
    });
  }

  test("that cannot be used are told, and the service is not routed", () => {
    const { routes, complaints } = swarmRoutes(
      withService("sleeping", labelled({ port: "high" })),
      both,
    );
    expect(routes.some(({ id }) => id === "sleeping")).toBeFalse();
    expect(complaints.get("sleeping")).toBe(
      'the label mc-router.port is "high", expected a port from 0 to 65535',
    );
  });
});

describe("two services with one hostname", () => {
  const clash = (older: string): SwarmListing => ({
    ...listing,
    services: listing.services.map((service) => {
      const createdAt = service.name === older ? 1 : service.createdAt;
      return ["sleeping", "running-one"].includes(service.name)
        ? labelled({ host: "a.example, *.b.example", default: "1" })({ ...service, createdAt })
        : service;
    }),
  });

  for (const [older, younger] of [
    ["sleeping", "running-one"],
    ["running-one", "sleeping"],
  ] as const) {
    test(`belong to the older one, here ${older}, and the other one is told so`, () => {
      const { routes, complaints } = swarmRoutes(clash(older), both);
      const owner = routeOf(routes, older).patterns.map(patternText);
      expect(owner).toEqual(["a.example", "*.b.example", "*"]);
      expect(routes.some(({ id }) => id === younger)).toBeFalse();
      expect(complaints.get(younger)).toBe(
        `the hostname a.example belongs to ${older}, which is older; the hostname *.b.example belongs to ${older}, which is older; the default route belongs to ${older}, which is older`,
      );
      expect(complaints.has(older)).toBeFalse();
    });
  }

  test("belong to the younger one while the older one cannot be reached", () => {
    const clashing = clash("running-one");
    const services = clashing.services.map((service) =>
      service.name === "running-one"
        ? { ...labelled({ network: "no-such" })(service), replicas: 2 }
        : service,
    );
    const { routes, complaints } = swarmRoutes({ ...clashing, services }, both);
    expect(routeOf(routes, "sleeping").patterns).toHaveLength(3);
    expect(complaints.get("running-one")).toBe('it is on no network "no-such"');
    expect(complaints.has("sleeping")).toBeFalse();
  });

  test("go to the other one when the older one is gone", () => {
    const clashing = clash("sleeping");
    const { routes } = swarmRoutes(
      { ...clashing, services: clashing.services.filter(({ name }) => name !== "sleeping") },
      both,
    );
    expect(routeOf(routes, "running-one").patterns).toHaveLength(3);
  });
});

test("an IPv6 address has its brackets", () => {
  const tasks = listing.tasks.map((task) => ({
    ...task,
    attachments: task.attachments.map((attachment) => ({ ...attachment, ips: ["fd00:9::5"] })),
  }));
  const { routes } = swarmRoutes({ ...listing, tasks }, both);
  expect(routeOf(routes, "running-one").address.text).toBe("[fd00:9::5]:25570");
});

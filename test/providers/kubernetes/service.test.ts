import { describe, expect, test } from "bun:test";
import { readKubeService } from "../../../src/providers/kubernetes/service.ts";
import { patternText } from "../../../src/routing/pattern.ts";
import type { Route } from "../../../src/routing/route.ts";
import { fakeService } from "../../support/engines/fake-kubernetes.ts";

type Annotations = Readonly<Record<string, string>>;

const rules = { simplifySrv: false, scaling: { up: false, down: false } };

const read = (annotations: Annotations, spec = {}, with_: Partial<typeof rules> = {}) =>
  readKubeService({ ...fakeService("mc", annotations, spec) }, "default:mc", {
    ...rules,
    ...with_,
  });

function routeOf(annotations: Annotations, spec = {}, with_: Partial<typeof rules> = {}): Route {
  const route = read({ externalServerName: "a.com", ...annotations }, spec, with_)?.route;
  if (!route) throw new Error("there is no route");
  return route;
}

describe("the hostnames of a service", () => {
  const rows: readonly (readonly [string, Annotations, readonly string[] | null])[] = [
    ["one", { externalServerName: "a.com" }, ["a.com"]],
    ["two", { externalServerName: "a.com,b.com" }, ["a.com", "b.com"]],
    ["two with a space", { externalServerName: "a.com, b.com" }, ["a.com", "b.com"]],
    ["two lines", { externalServerName: "a.com\nb.com" }, ["a.com", "b.com"]],
    ["a mixture", { externalServerName: "a.com, \nb.com,  c.com" }, ["a.com", "b.com", "c.com"]],
    ["another spelling", { externalServerName: "A.Com." }, ["a.com"]],
    ["a wildcard", { externalServerName: "*.a.com" }, ["*.a.com"]],
    ["the default", { defaultServer: "true" }, ["*"]],
    ["the default by any text", { defaultServer: "" }, ["*"]],
    ["a default that is none", { defaultServer: "false" }, null],
    ["another one", { defaultServer: " No " }, null],
    ["a third one", { defaultServer: "off" }, null],
    [
      "hostnames before the default",
      { externalServerName: "a.com", defaultServer: "true" },
      ["a.com"],
    ],
    ["none at all before the default", { externalServerName: " , ", defaultServer: "true" }, null],
    ["nothing", {}, null],
    ["somebody else's annotation", { autoScaleUp: "true" }, null],
  ];
  test.each(rows)("%s", (_, annotations, expected) => {
    const patterns = read(annotations)?.route?.patterns.map(patternText);
    expect(patterns ?? null).toEqual(expected && [...expected]);
  });

  test("what is no hostname is left out, and named", () => {
    const mixed = read({ externalServerName: "a.com, b*.com" });
    expect(mixed?.route?.patterns.map(patternText)).toEqual(["a.com"]);
    expect(mixed?.complaint).toBe(
      'the hostname "b*.com" has a * that is not its whole first label',
    );
    expect(read({ externalServerName: "b*.com" })).toMatchObject({ route: null });
    expect(read({ externalServerName: "b.com;c.com" })).toMatchObject({
      route: null,
      complaint:
        'the hostname "b.com;c.com" has a ";" inside; entries are separated by commas or newlines',
    });
  });

  test("annotations that are not known are named, also where no other one asks for a route", () => {
    expect(read({ externalServerNames: "a.com" })).toEqual({
      route: null,
      complaint:
        'the annotation "mc-router.itzg.me/externalServerNames" is not known; ' +
        "did you mean mc-router.itzg.me/externalServerName?",
    });
    const routed = read({ externalServerName: "a.com", owner: "me" });
    expect(routed?.route).not.toBeNull();
    expect(routed?.complaint).toBe('the annotation "mc-router.itzg.me/owner" is not known');
  });

  test("SRV prefixes are cut off where look-ups cut them off", () => {
    const route = routeOf(
      { externalServerName: "_minecraft._tcp.a.com" },
      {},
      { simplifySrv: true },
    );
    expect(route.patterns.map(patternText)).toEqual(["a.com"]);
  });
});

describe("the backend of a service", () => {
  const port = (name: string, number: number) => ({ name, port: number });
  const rows: readonly (readonly [string, Annotations, object, string])[] = [
    ["its cluster IP", {}, {}, "1.1.1.1:25565"],
    ["an IPv6 one", {}, { clusterIP: "fd00::1" }, "[fd00::1]:25565"],
    ["a port called minecraft", {}, { ports: [port("minecraft", 1)] }, "1.1.1.1:1"],
    [
      "a port called mc-router first",
      {},
      { ports: [port("minecraft", 1), port("mc-router", 2)] },
      "1.1.1.1:2",
    ],
    ["no other port", {}, { ports: [port("rcon", 25575)] }, "1.1.1.1:25565"],
    [
      "an external name",
      {},
      { type: "ExternalName", externalName: "mc-server.com", clusterIP: "" },
      "mc-server.com:25565",
    ],
    [
      "a headless service's name",
      {},
      { clusterIP: "None", ports: [port("minecraft", 3)] },
      "mc.default.svc:3",
    ],
    ["a proxy", { proxyServerName: "velocity-proxy:25577" }, {}, "velocity-proxy:25577"],
    ["a proxy without a port", { proxyServerName: "velocity-proxy" }, {}, "velocity-proxy:25565"],
    [
      "a proxy of a service without an address",
      { proxyServerName: "proxy" },
      { clusterIP: "" },
      "proxy:25565",
    ],
    ["no proxy", { proxyServerName: " " }, {}, "1.1.1.1:25565"],
  ];
  test.each(rows)("%s", (_, annotations, spec, expected) => {
    expect(routeOf(annotations, spec).address.text).toBe(expected);
  });

  const unusable: readonly (readonly [string, Annotations, object, string])[] = [
    ["no address yet", {}, { clusterIP: "" }, "it has no cluster IP yet"],
    [
      "an external name that is none",
      {},
      { type: "ExternalName", externalName: "" },
      "it has no externalName",
    ],
    [
      "a proxy that is none",
      { proxyServerName: "a:b:c" },
      {},
      "the address in proxyServerName has more than one colon, expected host:port or [IPv6 address]:port",
    ],
  ];
  test.each(unusable)("%s makes no route", (_, annotations, spec, complaint) => {
    expect(read({ externalServerName: "a.com", ...annotations }, spec)).toEqual({
      route: null,
      complaint,
    });
  });
});

describe("what may be done with a service's pods", () => {
  const on = { scaling: { up: true, down: true } };
  const rows: readonly (readonly [string, Annotations, Partial<typeof rules>, object | null])[] = [
    ["nothing by default", {}, {}, null],
    ["what the settings say", {}, on, { up: true, down: true, waitMs: 60_000 }],
    ["what the annotations say, for", { autoScaleUp: "true" }, {}, { up: true, down: false }],
    ["what the annotations say, against", { autoScaleUp: "false", autoScaleDown: " 0 " }, on, null],
    [
      "nothing by an annotation that is neither",
      { autoScaleUp: "yes" },
      on,
      { up: false, down: true },
    ],
    ["a longer wait", { autoScaleWaitTimeout: "2m30s" }, on, { waitMs: 150_000 }],
    ["the usual wait instead of none", { autoScaleWaitTimeout: "0s" }, on, { waitMs: 60_000 }],
    ["the usual wait instead of nonsense", { autoScaleWaitTimeout: "90" }, on, { waitMs: 60_000 }],
  ];
  test.each(rows)("%s", (_, annotations, with_, expected) => {
    const { wake } = routeOf(annotations, {}, with_);
    if (expected === null) expect(wake).toBeNull();
    else
      expect(wake).toMatchObject({
        kind: "kubernetes",
        namespace: "default",
        service: "mc",
        scaling: expected,
      });
  });

  test("what cannot be read is named", () => {
    expect(
      read({ externalServerName: "a.com", autoScaleUp: "yes", autoScaleWaitTimeout: "90" })
        ?.complaint,
    ).toBe(
      "autoScaleUp is neither true nor false, and counts as false; autoScaleWaitTimeout is no duration such as 90s, and counts as 60s",
    );
  });

  test("a proxy in front of it is known", () => {
    expect(routeOf({ proxyServerName: "p" }, {}, on).wake).toMatchObject({ isBehindProxy: true });
    expect(routeOf({}, {}, on).wake).toMatchObject({ isBehindProxy: false });
  });
});

test("a service has its own words for the server list, or none", () => {
  expect(routeOf({ autoScaleAsleepMOTD: "zzz", autoScaleLoadingMOTD: "soon" }).motd).toEqual({
    asleep: "zzz",
    loading: "soon",
    until: null,
  });
  expect(routeOf({ autoScaleAsleepMOTD: "" }).motd).toBeUndefined();
});

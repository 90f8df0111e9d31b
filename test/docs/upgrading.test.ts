import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { Setting } from "../../src/config/setting.ts";
import { findSetting } from "../../src/config/settings.ts";
import { createProcessMetrics } from "../../src/observe/process-metrics.ts";
import { mcRouterMetrics } from "../../src/observe/recorder.ts";
import { upstreamVariables } from "../fixtures/upstream-variables.ts";

const page = await Bun.file(join(import.meta.dir, "../../docs/upgrading-from-mc-router.md")).text();

/** What the libraries read that mc-router is built on, and that are settings here. */
const adoptedVariables = ["DOCKER_HOST", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY"] as const;

/** What they read besides: no settings of ours. */
const libraryVariables = [
  "KUBERNETES_SERVICE_HOST",
  "KUBERNETES_SERVICE_PORT",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "NO_PROXY",
  "TZ",
] as const;

/** What the page may call a variable, by what the router does with it. */
const variableStatuses: Readonly<Record<Setting<unknown>["status"], readonly string[]>> = {
  supported: ["same", "fixed"],
  refused: ["not supported"],
  "accepted and ignored": ["ignored"],
};

/** mc-router's labels behind `mc-router.`, and its annotations behind `mc-router.itzg.me/`. */
const labels = [
  "host",
  "port",
  "default",
  "network",
  "auto-scale-up",
  "auto-scale-down",
  "auto-scale-wait-timeout",
  "auto-scale-asleep-motd",
  "auto-scale-loading-motd",
  "auto-scale-restart-delay-motd",
  "auto-scale-failed-motd",
  "externalServerName",
  "defaultServer",
  "proxyServerName",
  "autoScaleUp",
  "autoScaleDown",
  "autoScaleWaitTimeout",
  "autoScaleAsleepMOTD",
  "autoScaleLoadingMOTD",
];

/** What Prometheus' client library for Go adds to mc-router's metrics. */
const libraryMetrics = [
  "process_cpu_seconds_total",
  "process_resident_memory_bytes",
  "process_open_fds",
  "process_max_fds",
  "process_start_time_seconds",
  "process_virtual_memory_bytes",
  "process_virtual_memory_max_bytes",
  "process_network_receive_bytes_total",
  "process_network_transmit_bytes_total",
  "go_*",
  "promhttp_metric_handler_requests_total",
  "promhttp_metric_handler_requests_in_flight",
];

/** mc-router's known defects, each by a name of its own. */
const troubles = [
  "allow-deny-without-player",
  "proxy-header-not-tcp",
  "login-key-length",
  "sighup-without-file",
  "delete-fixed-route",
  "kubernetes-map-race",
  "ipv4-network-filter",
  "mapped-filter-entry",
  "allow-deny-spelling",
  "allow-deny-race",
  "endless-labels",
  "proxy-header-from-anybody",
  "silent-client-15s",
  "default-not-removed",
  "reset-keeps-default",
  "reload-drops-others",
  "watch-never-removes",
  "reload-blanks-default",
  "watch-lost",
  "save-everything",
  "save-triggers-reload",
  "save-not-atomic",
  "srv-late",
  "suffix-order",
  "mapping-spaces",
  "api-no-validation",
  "api-no-auth",
  "list-other-route",
  "update-always-told",
  "route-key-spelling",
  "wake-without-backend",
  "default-arms-timer",
  "idle-ignores-players",
  "pings-keep-awake",
  "denied-player-counts",
  "no-motd-for-spelling",
  "waking-by-spelling",
  "long-handshake-pong",
  "second-login-dropped",
  "waiter-old-address",
  "override-forgotten",
  "wake-every-login",
  "scaling-flag-held",
  "probe-250ms",
  "wake-timeout-zero",
  "missing-backend-uncounted",
  "down-needs-global",
  "random-alias",
  "parallel-wakes",
  "down-not-retried",
  "scaler-status",
  "duration-token",
  "endless-waiting",
  "alias-removed-timer",
  "down-after-start",
  "half-close",
  "negative-protocol",
  "long-varint",
  "eof-in-frame",
  "frame-254",
  "old-ping-hangs",
  "old-ping-overflow",
  "transfer-without-player",
  "broken-login-start",
  "unknown-intent-wakes",
  "health-check-noise",
  "ipv6-behind-ipv4",
  "rate-limit-low",
  "disconnect-without-connect",
  "disconnect-lost-at-stop",
  "alias-gauge",
  "events-added-to-default",
  "player-gauge",
  "status-on-route-events",
  "events-out-of-order",
  "influx-interval-zero",
  "docker-network-label",
  "docker-label-stopped",
  "swarm-socket-required",
  "swarm-wake-port",
  "swarm-ipv6",
  "swarm-global-asleep",
  "swarm-duplicates-flap",
  "swarm-failed-no-waker",
  "docker-timeout-events",
  "docker-socket-path",
  "swarm-query-failed",
  "docker-paused",
  "docker-duplicates",
  "kubernetes-optin",
  "kubernetes-namespaces",
  "kubernetes-default-false",
  "kubernetes-update",
  "kubernetes-missed-delete",
  "kubernetes-proxy-wake",
  "kubernetes-headless",
  "sigterm",
  "second-sigint",
  "shutdown-hangs",
  "accept-after-stop",
  "empty-variable-fatal",
  "generic-names",
  "cpu-profile",
];

describe("the page for those who come from mc-router", () => {
  const variableRows = rowsBetween("variables");
  const troubleRows = rowsBetween("troubles");

  test("has one row for each variable, in mc-router's order", () => {
    expect(variableRows.map(([name]) => name)).toEqual([
      ...upstreamVariables,
      ...adoptedVariables,
      ...libraryVariables,
    ]);
  });

  test.each([...upstreamVariables, ...adoptedVariables])(
    "says of %s what the settings' reference says",
    (name) => {
      const setting = findSetting(name);
      expect(setting).not.toBeNull();
      const [, status = ""] = variableRows.find(([row]) => row === name) ?? [];
      expect(variableStatuses[setting?.status ?? "supported"]).toContain(status);
    },
  );

  test.each(libraryVariables)("knows %s as none of the router's settings", (name) => {
    expect(findSetting(name)).toBeNull();
  });

  test("has one row for each label and annotation", () => {
    expect(rowsBetween("labels").map(([name]) => name)).toEqual(labels);
  });

  test("has one row for each metric, and calls the same only what there is", () => {
    const rows = rowsBetween("metrics");
    const upstreams = Object.values(mcRouterMetrics).map(({ prometheus }) => prometheus);
    expect(rows.map(([name]) => name)).toEqual([...upstreams, ...libraryMetrics]);
    const families = new Set([
      ...upstreams,
      ...createProcessMetrics().families.map(({ metric }) => metric.name),
    ]);
    for (const [name = "", status] of rows) {
      expect([name, families.has(name)]).toEqual([name, status !== "not supported"]);
    }
  });

  test("says of each label, annotation and metric how it is", () => {
    const odd = [...rowsBetween("labels"), ...rowsBetween("metrics")].filter(
      ([, status = "", note]) =>
        !["same", "fixed", "not supported"].includes(status) || (status !== "same" && note === ""),
    );
    expect(odd).toEqual([]);
  });

  test("says what to do instead for whatever is not there", () => {
    const silent = variableRows.filter(([, status, note]) => status !== "same" && note === "");
    expect(silent).toEqual([]);
  });

  test("has one row for each known trouble, in order", () => {
    expect(troubles).toHaveLength(103);
    expect(troubleRows.map(([slug]) => slug)).toEqual(troubles);
  });

  test("says of each trouble what was and how it is now", () => {
    const statuses = ["same", "fixed", "does not apply"];
    const odd = troubleRows.filter(
      ([, was = "", now = "", how = ""]) =>
        was === "" || !statuses.includes(now) || (how === "" && now !== "same"),
    );
    expect(odd).toEqual([]);
  });

  test("calls nothing missing that the router has", () => {
    const named = section("What is not there yet").match(/(?<=`)[A-Z][A-Z_]+(?=`)/g) ?? [];
    const wrong = named.filter((name) => findSetting(name)?.status === "supported");
    expect(wrong).toEqual([]);
  });

  test("shows the words that players read", async () => {
    const answers = await Bun.file(join(import.meta.dir, "../../src/session/texts.ts")).text();
    const shown = section("Players read why").match(/(?<=\| )[A-Z][^|]*\.(?= \|)/g) ?? [];
    expect(shown).toHaveLength(7);
    for (const text of shown) expect(answers).toContain(JSON.stringify(text));
  });
});

/** The cells of the table between the marks of that name, without its head; code marks are taken off the first cell. */
function rowsBetween(mark: string): readonly (readonly string[])[] {
  const [, table = ""] = page.split(new RegExp(`<!-- /?${mark} -->`));
  const lines = table.split("\n").filter((line) => line.startsWith("| "));
  return lines.slice(2).map((line) => {
    const [first = "", ...rest] = line.split("|").slice(1, -1);
    return [first, ...rest].map((cell) => cell.trim().replace(/^`([^`]*)`$/, "$1"));
  });
}

/** What stands under the heading of that text, up to the next one. */
function section(title: string): string {
  const [, text = ""] = page.split(new RegExp(`^#+ ${title}$`, "m"));
  return text.split(/^#+ /m)[0] ?? "";
}

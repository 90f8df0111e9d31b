import { readBoolean, readDuration } from "../base/go-text.ts";
import { parseAddressRange, parseCidr } from "../limits/cidr.ts";
import { parseEgressRange } from "../limits/egress.ts";
import { balancePolicies } from "../net/balance.ts";
import { standardTexts } from "../session/texts.ts";
import {
  dayMs,
  durationWithin,
  integerWithin,
  listOf,
  mapped,
  oneOf,
  optional,
  readCount,
  readEntries,
  readInteger,
  readLevel,
  readList,
  readText,
  readWords,
} from "./readers.ts";
import { ignored, refused, type Setting, secret, setting } from "./setting.ts";
import {
  postUrl,
  readAddress,
  readApiVersion,
  readAuthorities,
  readControl,
  readDsn,
  readEvents,
  readHeaders,
  readHostname,
  readInfluxUrl,
  readIp,
  readListener,
  readMetricsBackend,
  readNamespace,
  readSnapshot,
  readToken,
  readVersionSwitch,
  readWakerUrl,
} from "./values.ts";

// How to add a setting: write one row in the group where an operator looks for it,
//
//   AUTOMC_EXAMPLE: setting(durationWithin(0, dayMs), "30s", "One sentence for the operator."),
//
// and use it once in config.ts, or in the file of its area beside it, as `env.read("AUTOMC_EXAMPLE")`: its
// type is the reader's. Readers are in readers.ts (Go literals, lists, words) and values.ts (URLs, tokens,
// paths). `secret(...)` is for a text that must not be printed. Help, docs/settings.md (`bun run settings`
// prints it), the check for misspelled names and the `_FILE` variant follow from the row. New names are also
// listed in test/config/settings.test.ts.

const addressRanges = listOf(parseAddressRange, "IP addresses and networks");

const egressRanges = listOf(
  parseEgressRange,
  "entries such as 10.0.0.0/8, 10.0.0.5:25565 or [fd00::/8]:25565-25600",
);

/** Upstream's bucket knows no rate below one each second, and counts in whole nanoseconds. */
const toRate = (rate: number): number => Math.min(Math.max(rate, 1), 1_000_000_000);

const toDialTimeout = (ms: number): number => (ms <= 0 ? 2_000 : Math.min(ms, dayMs));

/** Upstream's 0 is Docker's own default. */
const toRequestTimeout = (ms: number): number => (ms <= 0 ? 30_000 : Math.min(ms, dayMs));

/** Upstream's 0 is no limit at all; every wait has one here. */
const toWebhookTimeout = (ms: number): number => (ms === 0 ? dayMs : ms);

const ngrokAdvice =
  "run the ngrok agent in front of the router (ngrok tcp --proxy-proto=2 25565) and set RECEIVE_PROXY_PROTOCOL=true";

const listening = {
  PORT: setting(
    integerWithin(0, 65_535),
    "25565",
    "TCP port for Minecraft clients; 0 takes any free one.",
  ),
  AUTOMC_BIND: setting(readIp, "::", "IP address to listen on; `::` takes IPv4 and IPv6."),
  AUTOMC_LISTENERS: setting(
    listOf(readListener, "entries such as 25601=survival.example.org"),
    "",
    "Further ports whose players all go to one hostname's server, as `25601=survival.example.org`; for proxies that send the hostname that the player typed.",
  ),
  AUTOMC_REUSE_PORT: setting(
    readBoolean,
    "false",
    "Shares the port with other instances that set this too; the kernel spreads players over them.",
  ),
  CONNECTION_RATE_LIMIT: setting(
    mapped(readInteger, toRate),
    "1",
    "New connections accepted each second, after a burst of twice as many; further ones wait in order.",
  ),
  AUTOMC_RELAY: setting(
    oneOf("auto", "callbacks"),
    "auto",
    "How players are relayed: `auto` on threads of their own where Linux allows it, `callbacks` by the main thread.",
  ),
  AUTOMC_RELAY_THREADS: setting(
    integerWithin(1, 64),
    "1",
    "How many threads relay players; one carries some thousand of them.",
  ),
  AUTOMC_DRAIN_TIMEOUT: setting(
    durationWithin(0, dayMs),
    "30s",
    "How long live sessions may go on after SIGTERM or SIGINT.",
  ),
  CLIENTS_TO_ALLOW: setting(
    addressRanges,
    "",
    "IP addresses and networks that may connect; all others are refused.",
  ),
  CLIENTS_TO_DENY: setting(
    addressRanges,
    "",
    "IP addresses and networks that may not connect, also if `CLIENTS_TO_ALLOW` has them.",
  ),
  RECEIVE_PROXY_PROTOCOL: setting(
    readBoolean,
    "false",
    "Takes the client's address from a PROXY protocol header.",
  ),
  TRUSTED_PROXIES: setting(
    listOf(parseCidr, "networks such as 10.0.0.0/8"),
    "",
    "Networks whose PROXY protocol headers are trusted.",
  ),
  NGROK_TOKEN: refused(secret(readText, "Opens an ngrok endpoint instead of a port."), ngrokAdvice),
  NGROK_REMOTE_ADDR: refused(setting(readText, "", "Address to ask ngrok for."), ngrokAdvice),
};

const limits = {
  AUTOMC_MAX_CONNECTIONS: setting(
    readCount,
    "0",
    "Most clients connected at a time; 0: as many as the limit of file descriptors allows, which also caps larger values.",
  ),
  AUTOMC_MAX_OPENING: setting(
    readCount,
    "0",
    "Of these, the most that have not yet sent a login or a ping; 0: all of them.",
  ),
  AUTOMC_MAX_HOLDING: setting(
    readCount,
    "0",
    "Of these, the most that wait for a server to start; 0: half.",
  ),
  AUTOMC_CLIENT_CONNECTIONS: setting(
    readCount,
    "256",
    "Connections at a time from one address; 0 for no limit.",
  ),
  AUTOMC_CLIENT_RATE: setting(
    readCount,
    "200",
    "Connections each second from one address, after a burst of ten times as many, at most half of them pings; 0 for no limit.",
  ),
  AUTOMC_CLIENT_LOGIN_RATE: setting(
    readCount,
    "20",
    "Logins each second from one address, after a burst of ten times as many; 0 for no limit.",
  ),
  AUTOMC_CLIENT_EXEMPT: setting(
    addressRanges,
    "127.0.0.0/8,::1,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7",
    "Addresses and networks without limits per address, such as a NAT that many players come through.",
  ),
  AUTOMC_BACKEND_ALLOW: setting(
    egressRanges,
    "",
    "Where backends may be: addresses and networks, with a port or ports behind a colon (`10.0.0.0/8:25565-25600`, `[fd00::/8]:25565`); anywhere if unset.",
  ),
  AUTOMC_BACKEND_DENY: setting(
    egressRanges,
    "",
    "Where no backend may be, in the same notation; takes precedence over what is allowed.",
  ),
};

const routes = {
  MAPPING: setting(
    readEntries,
    "",
    "Fixed routes, `hostname=host:port`, separated by commas or newlines; `*.example.com` takes every hostname below `example.com`.",
  ),
  DEFAULT: setting(
    optional(readAddress),
    "",
    "Backend `host:port` for hostnames that no route claims.",
  ),
  SIMPLIFY_SRV: setting(
    readBoolean,
    "false",
    "Drops an SRV prefix such as `_minecraft._tcp.` from the hostname.",
  ),
  BACKEND_DIAL_TIMEOUT: setting(
    mapped(readDuration, toDialTimeout),
    "2s",
    "How long name resolution and connecting to a backend may take.",
  ),
  AUTOMC_BALANCE: setting(
    oneOf(...balancePolicies),
    "first",
    "Which of a backend's several addresses a player gets: the `first` that answers, the one with the `least` of our players, or a `random` one; those that are down come last.",
  ),
  AUTOMC_FALLBACK: setting(
    optional(readHostname),
    "",
    "The hostname whose route takes the logins of backends that are down, such as a lobby's.",
  ),
  AUTOMC_TRANSFER_AS_LOGIN: setting(
    readBoolean,
    "false",
    "Hands players who arrive by a transfer packet to the backend as ordinary logins, so that it need not accept transfers.",
  ),
  USE_PROXY_PROTOCOL: setting(
    readBoolean,
    "false",
    "Sends backends the client's address in a PROXY protocol header.",
  ),
  ROUTES_CONFIG: setting(optional(readText), "", "Path of a JSON file with routes."),
  ROUTES_CONFIG_WATCH: setting(
    readBoolean,
    "false",
    "Reads the routes file again whenever it changes.",
  ),
};

const postgres = {
  AUTOMC_DSN: secret(
    optional(readDsn),
    "Connection URL of the Postgres database that holds the table `servers`.",
  ),
  AUTOMC_LISTEN_DSN: secret(
    optional(readDsn),
    "Direct connection for LISTEN, where `AUTOMC_DSN` goes through a transaction pooler.",
    { defaultText: "as `AUTOMC_DSN`" },
  ),
  AUTOMC_RESYNC_INTERVAL: setting(
    durationWithin(1_000, dayMs),
    "60s",
    "How often the whole table is read again, even without a change.",
  ),
  AUTOMC_SNAPSHOT: setting(
    readSnapshot,
    "",
    "File that keeps the last good table, for a start without Postgres; an absolute path, or `off`.",
    { defaultText: "`$STATE_DIRECTORY/routes.json`, else `off`" },
  ),
};

const waking = {
  AUTOMC_WAKER_URL: setting(
    optional(readWakerUrl),
    "",
    "Base URL of the control plane that starts servers from the Postgres table.",
  ),
  AUTOMC_WAKER_TOKEN: secret(optional(readToken), "Sent to the control plane as `X-API-Key`."),
  AUTOMC_WAKER_CA: setting(
    optional(readAuthorities),
    "",
    "PEM file with the authorities that may sign the certificate of an `https` control plane; the public ones without it.",
  ),
  AUTOMC_WAKER_TIMEOUT: setting(
    durationWithin(1_000, dayMs),
    "90s",
    "How long a start may take, and a player may wait for it.",
  ),
  AUTOMC_WAKER_POLL_INTERVAL: setting(
    durationWithin(100, dayMs),
    "2s",
    "Time between two checks whether the server is up.",
  ),
  AUTOMC_WAKER_STOP: setting(
    readBoolean,
    "false",
    "Puts idle servers of the control plane to sleep after `AUTO_SCALE_DOWN_AFTER`, by `POST /servers/{name}/stop`.",
  ),
  AUTOMC_READY: setting(
    oneOf("status", "tcp"),
    "status",
    "When a server that was started counts as up: it answers a status request (`status`), or takes connections (`tcp`).",
  ),
  AUTOMC_HOLD: setting(
    readBoolean,
    "true",
    "Keeps waiting players in the login screen; with `false` nothing is sent to them, and their clients give up after 30 s.",
  ),
  AUTOMC_WAKES: setting(
    readCount,
    "300",
    "Servers that may be started within ten minutes; 0 for no limit.",
  ),
  AUTOMC_CLIENT_WAKES: setting(
    readCount,
    "30",
    "Servers that may be started within ten minutes from one address; 0 for no limit.",
  ),
  AUTOMC_WAKE_COOLDOWN: setting(
    durationWithin(0, dayMs),
    "1m",
    "How long a server is not started again after two failed starts in a row.",
  ),
  AUTOMC_WAKE_PROOF: setting(
    readBoolean,
    "false",
    "Starts a server only for a client that has answered a question as the game does (Minecraft 1.13 or newer), so that scanners start nothing.",
  ),
  AUTO_SCALE_ASLEEP_MOTD: setting(
    readText,
    "",
    "Server list text for a backend that does not answer; empty answers nothing.",
    { otherName: "USE_ASLEEP_MOTD" },
  ),
  AUTO_SCALE_LOADING_MOTD: setting(
    readText,
    "",
    "Server list text for a backend that is just starting.",
    { defaultText: "as `AUTO_SCALE_ASLEEP_MOTD`", otherName: "USE_LOADING_MOTD" },
  ),
  AUTOMC_UNKNOWN_MOTD: setting(
    readWords,
    "",
    "Server list text for hostnames that no route has, with `{server}` for the hostname; empty answers nothing.",
  ),
  AUTOMC_UNKNOWN_KICK: setting(
    readWords,
    "",
    "What a player reads who joins by a hostname that no route has; empty says nothing.",
  ),
  AUTOMC_TEXT_UNREACHABLE: setting(
    readWords,
    standardTexts.unreachable,
    "What a player reads whose server takes no connection.",
  ),
  AUTOMC_TEXT_START_FAILED: setting(
    readWords,
    standardTexts["wake-failed"],
    "What a player reads whose server did not come up in time.",
  ),
  AUTOMC_TEXT_STARTING: setting(
    readWords,
    standardTexts["still-starting"],
    "What a player reads who cannot wait any longer while the server still starts.",
  ),
  AUTOMC_TEXT_START_DENIED: setting(
    readWords,
    standardTexts["wake-denied"],
    "What a player reads who may not start the sleeping server.",
  ),
  AUTOMC_TEXT_START_REFUSED: setting(
    readWords,
    standardTexts["wake-refused"],
    "What a player reads whose server is not started now, as too many were.",
  ),
  AUTOMC_TEXT_UNPROVEN: setting(
    readWords,
    standardTexts.unproven,
    "What a player reads whose client did not prove that it is a game.",
  ),
  AUTOMC_TEXT_READY: setting(
    readWords,
    standardTexts.mute,
    "What a player reads whose client stopped answering while it waited.",
  ),
  AUTOMC_TEXT_BAD_NAME: setting(
    readWords,
    standardTexts["bad-name"],
    "What a player reads whose name is longer than 255 characters.",
  ),
  AUTOMC_TEXT_THROTTLED: setting(
    readWords,
    standardTexts.throttled,
    "What a player reads whose address joins too often.",
  ),
  AUTOMC_TEXT_FULL: setting(
    readWords,
    standardTexts.full,
    "What a player reads when all places are taken.",
  ),
  AUTOMC_TEXT_STOPPING: setting(
    readWords,
    standardTexts.stopping,
    "What a player reads when the router stops.",
  ),
  AUTOMC_TEXT_TOO_OLD: setting(
    readWords,
    standardTexts["too-old"],
    "What a player reads whose game is older than Minecraft 1.7.",
  ),
  AUTOMC_STATUS_CACHE: setting(
    durationWithin(0, dayMs),
    "0",
    "Answers pings of running servers from a status of at most this age; 0 asks the server each time.",
  ),
  AUTO_SCALE_UP: setting(
    readBoolean,
    "false",
    "Wakes backends found in Docker, Swarm or Kubernetes; no effect on others.",
  ),
  AUTO_SCALE_DOWN: setting(
    readBoolean,
    "false",
    "Stops idle backends found in Docker, Swarm or Kubernetes; no effect on others.",
  ),
  AUTO_SCALE_DOWN_AFTER: setting(
    mapped(readDuration, (ms) => Math.max(0, ms)),
    "10m",
    "How long a backend must be without clients before it is stopped.",
  ),
  AUTOMC_IDLE_COUNTS: setting(
    oneOf("all", "logins"),
    "all",
    "Which clients keep a backend awake: `all`, with pings, or only `logins`.",
  ),
  AUTO_SCALE_ALLOW_DENY: setting(
    optional(readText),
    "",
    "Path of a JSON file that says which players may start which server; read again at SIGHUP.",
  ),
  AUTO_SCALE_WEBHOOK_URL: secret(
    optional(postUrl("http://127.0.0.1:8080/scale")),
    "Webhook that starts and stops the backends of routes from `MAPPING`, `DEFAULT`, the routes file and the API.",
  ),
  AUTO_SCALE_WEBHOOK_HEADERS: secret(
    readHeaders,
    "Further headers for that webhook, `name=value`, separated by commas or newlines.",
  ),
  AUTO_SCALE_WEBHOOK_TIMEOUT: setting(
    mapped(durationWithin(0, dayMs), toWebhookTimeout),
    "30s",
    "How long that webhook may take to answer; 0 for no limit.",
  ),
  AUTO_SCALE_WEBHOOK_WAKE_TIMEOUT: setting(
    mapped(readDuration, (ms) => Math.min(Math.max(ms, 0), dayMs)),
    "1m",
    "How long a backend may take to come up after that webhook has answered.",
  ),
};

const logAndProcess = {
  LOG_LEVEL: setting(
    readLevel,
    "info",
    "How much is logged: `error`, `warn`, `info`, `debug` or `trace`.",
  ),
  DEBUG: setting(readBoolean, "false", "Log level `debug`, regardless of `LOG_LEVEL`."),
  TRACE: setting(readBoolean, "false", "Log level `trace`, regardless of `LOG_LEVEL` and `DEBUG`."),
  AUTOMC_LOG_FORMAT: setting(
    oneOf("logfmt", "json"),
    "logfmt",
    "How a log line is written: `logfmt` (on a terminal short and coloured) or `json`.",
  ),
  VERSION: setting(readVersionSwitch(readBoolean), "false", "Prints the version and exits."),
  RECORD_LOGINS: setting(readBoolean, "false", "Logs and counts each login attempt."),
  CPU_PROFILE: ignored(
    setting(readText, "", "File for a CPU profile of the Go runtime."),
    "there is no Go runtime to profile",
  ),
};

const api = {
  API_BINDING: setting(
    readText,
    "",
    "Where the REST API listens: `host:port`, `:port` or `unix:/path`.",
  ),
  AUTOMC_API_TOKEN: secret(
    optional(readToken),
    "Bearer token that callers of the API send (`Authorization: Bearer`).",
  ),
  AUTOMC_API_READ_TOKEN: secret(
    optional(readToken),
    "Second bearer token, with which callers of the API may only read.",
  ),
  AUTOMC_CONTROL: setting(
    readControl,
    "",
    "Unix socket by which the command line reaches the running router, without a token; an absolute path, or `off`.",
    { defaultText: "`$RUNTIME_DIRECTORY/control`, else `off`" },
  ),
  AUTOMC_API_OPEN: setting(
    readBoolean,
    "false",
    "Lets the API listen beyond this machine without a token.",
  ),
  AUTOMC_API_HOSTS: setting(
    mapped(readText, readList),
    "",
    "Further hostnames by which callers without a token may reach the API.",
  ),
  METRICS_BACKEND: setting(
    readMetricsBackend,
    "discard",
    "Where metrics go: `discard`, `expvar`, `influxdb` or `prometheus`.",
  ),
  METRICS_BACKEND_CONFIG_INFLUXDB_INTERVAL: setting(
    durationWithin(1, dayMs),
    "1m",
    "How often metrics are sent to InfluxDB.",
  ),
  METRICS_BACKEND_CONFIG_INFLUXDB_TAGS: setting(readEntries, "", "Further tags on every point."),
  METRICS_BACKEND_CONFIG_INFLUXDB_ADDR: setting(optional(readInfluxUrl), "", "URL of InfluxDB."),
  METRICS_BACKEND_CONFIG_INFLUXDB_USERNAME: setting(readText, "", "User name for InfluxDB."),
  METRICS_BACKEND_CONFIG_INFLUXDB_PASSWORD: secret(readText, "Password for InfluxDB."),
  METRICS_BACKEND_CONFIG_INFLUXDB_DATABASE: setting(readText, "", "Database in InfluxDB."),
  METRICS_BACKEND_CONFIG_INFLUXDB_RETENTION_POLICY: setting(
    readText,
    "",
    "Retention policy in InfluxDB.",
  ),
  METRICS_RATE_LIMIT_PERIOD: setting(
    mapped(readDuration, (ms) => Math.min(ms, dayMs)),
    "1s",
    "How often the gauge of the rate limit is set.",
  ),
};

const notifications = {
  WEBHOOK_URL: secret(
    optional(postUrl("http://127.0.0.1:8080/events")),
    "Webhook that is told of players who connect and disconnect, and of route changes.",
  ),
  WEBHOOK_REQUIRE_USER: setting(readBoolean, "false", "Leaves out connections without a player."),
  WEBHOOK_TIMEOUT: setting(
    durationWithin(0, dayMs),
    "30s",
    "How long the webhook may take to answer.",
  ),
  WEBHOOK_EVENTS: setting(
    readEvents,
    "connect,disconnect",
    "Events that are sent to that webhook.",
  ),
};

const docker = {
  IN_DOCKER: setting(
    readBoolean,
    "false",
    "Finds backends among Docker containers by their labels.",
  ),
  IN_DOCKER_SWARM: setting(
    readBoolean,
    "false",
    "Finds backends among Swarm services by their labels.",
  ),
  DOCKER_SOCKET: setting(
    readText,
    "",
    "Where the Docker engine answers: a path, `unix:///path`, `tcp://host:port`.",
    { defaultText: "as `DOCKER_HOST`" },
  ),
  DOCKER_HOST: setting(
    readText,
    "unix:///var/run/docker.sock",
    "The same, by the name that Docker's own programs use; `DOCKER_SOCKET` takes precedence.",
  ),
  DOCKER_CERT_PATH: setting(
    optional(readText),
    "",
    "Directory with `ca.pem`, `cert.pem` and `key.pem` for an engine behind TLS.",
  ),
  DOCKER_TLS_VERIFY: setting(
    readText,
    "",
    "Any text: the engine's certificate is checked against that `ca.pem`.",
  ),
  DOCKER_TIMEOUT: setting(
    mapped(readDuration, toRequestTimeout),
    "0",
    "How long one request to Docker may take; 0 for 30 s. No effect on events.",
  ),
  DOCKER_API_VERSION: setting(
    optional(readApiVersion),
    "",
    "Fixed version of the Docker API, such as `1.41`.",
    { defaultText: "the newest that both know" },
  ),
  DOCKER_REFRESH_INTERVAL: ignored(
    setting(readDuration, "0", "How often Docker was asked before it sent events."),
    "Docker's events report changes as they happen",
  ),
};

const kubernetes = {
  IN_KUBE_CLUSTER: setting(
    readBoolean,
    "false",
    "Finds backends among the services of the cluster that the router runs in.",
  ),
  KUBE_CONFIG: setting(
    optional(readText),
    "",
    "Path of a kubeconfig; its current context is the cluster to look in.",
  ),
  KUBE_NAMESPACE: setting(optional(readNamespace), "", "The only namespace to look in.", {
    defaultText: "all of them",
  }),
  AUTOMC_KUBE_AWAIT_PODS: setting(
    readBoolean,
    "false",
    "Lets players of a service with `proxyServerName` wait until the service's own pod is ready, not only its proxy.",
  ),
};

/** Every setting of this program and of upstream mc-router, by name. */
const rows = {
  ...listening,
  ...limits,
  ...routes,
  ...postgres,
  ...waking,
  ...logAndProcess,
  ...api,
  ...notifications,
  ...docker,
  ...kubernetes,
};

/** The name of a setting; a name that is not in the table does not compile. */
export type SettingName = keyof typeof rows;

/** What reading each setting gives. */
export type SettingValues = {
  readonly [Name in SettingName]: (typeof rows)[Name] extends Setting<infer T> ? T : never;
};

/** The row of each setting, by its name. */
export const settingRows: { readonly [Name in SettingName]: Setting<SettingValues[Name]> } = rows;

/** A row with its name. */
export interface NamedSetting extends Setting<unknown> {
  readonly name: SettingName;
}

/** Settings that belong together, under the heading that help and docs print. */
export interface SettingGroup {
  readonly title: string;
  readonly settings: readonly NamedSetting[];
}

const isSettingName = (name: string): name is SettingName => Object.hasOwn(rows, name);

const group = (title: string, members: object): SettingGroup => ({
  title,
  settings: Object.keys(members)
    .filter(isSettingName)
    .map((name) => ({ name, ...settingRows[name] })),
});

/** Every setting, in the order in which they are printed. */
export const settingGroups: readonly SettingGroup[] = [
  group("Listening for players", listening),
  group("Limits", limits),
  group("Routes", routes),
  group("Routes from Postgres", postgres),
  group("Waking sleeping servers", waking),
  group("Log and process", logAndProcess),
  group("REST API and metrics", api),
  group("Notifications", notifications),
  group("Docker and Swarm", docker),
  group("Kubernetes", kubernetes),
];

/** The same settings without their groups. */
export const settings: readonly NamedSetting[] = settingGroups.flatMap((each) => each.settings);

/** The setting of that name; null when there is none. Further names and `_FILE` names are not looked up. */
export const findSetting = (name: string): NamedSetting | null =>
  isSettingName(name) ? { name, ...settingRows[name] } : null;

/** The name of the file variant of a setting; null unless it is a supported secret. */
export const fileVariant = (each: NamedSetting): string | null =>
  each.secret === true && each.status === "supported" ? `${each.name}_FILE` : null;

/** Every variable that holds a secret itself. */
export const secretVariables: readonly string[] = settings
  .filter((each) => each.secret === true)
  .map(({ name }) => name);

/** Every variable that sets this setting, its own name first. */
export const namesOf = (each: NamedSetting): readonly string[] =>
  [each.name, each.otherName ?? null, fileVariant(each)].filter((name) => name !== null);

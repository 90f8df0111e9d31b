/** What a setting's text is read as; `text` is taken verbatim, `choice` ignores case. */
export type SettingKind =
  | "boolean"
  | "integer"
  | "duration"
  | "level"
  | "choice"
  | "list"
  | "map"
  | "text";

/** One environment variable. */
export interface Setting {
  readonly name: string;
  readonly kind: SettingKind;
  /** As an operator would write it; empty for none. */
  readonly default: string;
  /** Printed instead of `default` where that depends on something else. */
  readonly defaultText?: string;
  /** One sentence for the operator. */
  readonly meaning: string;
  /** A "refused" setting stops the start when it has another value than its default; nothing is ignored silently. */
  readonly status: "supported" | "accepted and ignored" | "refused";
  /** Never printed. When supported, `<name>_FILE` may name a file that holds it, and systemd may pass it as a credential. */
  readonly secret?: boolean;
  /** A further name for the same setting; the main one wins. */
  readonly otherName?: string;
  /** What to do instead, for a setting that is ignored or refused. */
  readonly advice?: string;
}

/** Settings that belong together, under the heading that help and README print. */
export interface SettingGroup {
  readonly title: string;
  readonly settings: readonly Setting[];
}

const ngrokAdvice =
  "run the ngrok agent in front of the router (ngrok tcp --proxy-proto=2 25565) and set RECEIVE_PROXY_PROTOCOL=true";

const table = [
  {
    title: "Listening for players",
    settings: [
      {
        name: "PORT",
        kind: "integer",
        default: "25565",
        meaning: "TCP port for Minecraft clients; 0 takes any free one.",
        status: "supported",
      },
      {
        name: "AUTOMC_BIND",
        kind: "text",
        default: "::",
        meaning: "IP address to listen on; `::` takes IPv4 and IPv6.",
        status: "supported",
      },
      {
        name: "AUTOMC_REUSE_PORT",
        kind: "boolean",
        default: "false",
        meaning:
          "Shares the port with other instances that say so too; the kernel spreads players over them.",
        status: "supported",
      },
      {
        name: "CONNECTION_RATE_LIMIT",
        kind: "integer",
        default: "1",
        meaning:
          "New connections taken up each second, after a burst of twice as many; the others wait in order.",
        status: "supported",
      },
      {
        name: "AUTOMC_DRAIN_TIMEOUT",
        kind: "duration",
        default: "30s",
        meaning: "How long players may go on after SIGTERM or SIGINT.",
        status: "supported",
      },
      {
        name: "CLIENTS_TO_ALLOW",
        kind: "list",
        default: "",
        meaning: "IP addresses and networks that may connect; everybody else is refused.",
        status: "supported",
      },
      {
        name: "CLIENTS_TO_DENY",
        kind: "list",
        default: "",
        meaning: "IP addresses and networks that may not connect.",
        status: "supported",
      },
      {
        name: "RECEIVE_PROXY_PROTOCOL",
        kind: "boolean",
        default: "false",
        meaning: "Takes the client's address from a PROXY protocol header.",
        status: "supported",
      },
      {
        name: "TRUSTED_PROXIES",
        kind: "list",
        default: "",
        meaning: "Networks whose PROXY protocol headers are believed.",
        status: "supported",
      },
      {
        name: "NGROK_TOKEN",
        kind: "text",
        default: "",
        meaning: "Opens an ngrok endpoint instead of a port.",
        status: "refused",
        secret: true,
        advice: ngrokAdvice,
      },
      {
        name: "NGROK_REMOTE_ADDR",
        kind: "text",
        default: "",
        meaning: "Address to ask ngrok for.",
        status: "refused",
        advice: ngrokAdvice,
      },
    ],
  },
  {
    title: "Limits",
    settings: [
      {
        name: "AUTOMC_MAX_CONNECTIONS",
        kind: "integer",
        default: "0",
        meaning:
          "Clients connected at a time; 0, or more than there are file descriptors for: as many as those allow.",
        status: "supported",
      },
      {
        name: "AUTOMC_MAX_OPENING",
        kind: "integer",
        default: "0",
        meaning: "Of these, so many that have not said yet what they want; 0: all of them.",
        status: "supported",
      },
      {
        name: "AUTOMC_MAX_HOLDING",
        kind: "integer",
        default: "0",
        meaning: "Of these, so many that wait for a server to start; 0: half.",
        status: "supported",
      },
      {
        name: "AUTOMC_CLIENT_CONNECTIONS",
        kind: "integer",
        default: "256",
        meaning: "Connections at a time from one address; 0 for no limit.",
        status: "supported",
      },
      {
        name: "AUTOMC_CLIENT_RATE",
        kind: "integer",
        default: "200",
        meaning:
          "Connections each second from one address, after a burst of ten times as many, at most half of them pings; 0 for no limit.",
        status: "supported",
      },
      {
        name: "AUTOMC_CLIENT_LOGIN_RATE",
        kind: "integer",
        default: "20",
        meaning:
          "Logins each second from one address, after a burst of ten times as many; 0 for no limit.",
        status: "supported",
      },
      {
        name: "AUTOMC_CLIENT_EXEMPT",
        kind: "list",
        default: "127.0.0.0/8,::1,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7",
        meaning:
          "Addresses and networks that no limit for one address applies to, such as a NAT that many players come through.",
        status: "supported",
      },
      {
        name: "AUTOMC_BACKEND_ALLOW",
        kind: "list",
        default: "",
        meaning:
          "Where backends may be: addresses and networks, with a port or ports behind a colon (`10.0.0.0/8:25565-25600`, `[fd00::/8]:25565`); everywhere if unset.",
        status: "supported",
      },
      {
        name: "AUTOMC_BACKEND_DENY",
        kind: "list",
        default: "",
        meaning: "Where no backend may be, written likewise; counts before what is allowed.",
        status: "supported",
      },
    ],
  },
  {
    title: "Routes",
    settings: [
      {
        name: "MAPPING",
        kind: "map",
        default: "",
        meaning:
          "Fixed routes, `hostname=host:port`, separated by commas or newlines; `*.example.com` takes every hostname below.",
        status: "supported",
      },
      {
        name: "DEFAULT",
        kind: "text",
        default: "",
        meaning: "Backend `host:port` for hostnames that no route claims.",
        status: "supported",
      },
      {
        name: "SIMPLIFY_SRV",
        kind: "boolean",
        default: "false",
        meaning: "Drops an SRV prefix such as `_minecraft._tcp.` from the hostname.",
        status: "supported",
      },
      {
        name: "BACKEND_DIAL_TIMEOUT",
        kind: "duration",
        default: "2s",
        meaning: "How long name resolution and connecting to a backend may take.",
        status: "supported",
      },
      {
        name: "AUTOMC_TRANSFER_AS_LOGIN",
        kind: "boolean",
        default: "false",
        meaning:
          "Hands players who come by a transfer packet to the backend as ordinary logins, so that it need not accept transfers.",
        status: "supported",
      },
      {
        name: "USE_PROXY_PROTOCOL",
        kind: "boolean",
        default: "false",
        meaning: "Sends backends the client's address in a PROXY protocol header.",
        status: "supported",
      },
      {
        name: "ROUTES_CONFIG",
        kind: "text",
        default: "",
        meaning: "Path of a JSON file with routes.",
        status: "supported",
      },
      {
        name: "ROUTES_CONFIG_WATCH",
        kind: "boolean",
        default: "false",
        meaning: "Reads the routes file again whenever it changes.",
        status: "supported",
      },
    ],
  },
  {
    title: "Routes from Postgres",
    settings: [
      {
        name: "AUTOMC_DSN",
        kind: "text",
        default: "",
        meaning: "Connection URL of the Postgres database that holds the table `servers`.",
        status: "supported",
        secret: true,
      },
      {
        name: "AUTOMC_LISTEN_DSN",
        kind: "text",
        default: "",
        defaultText: "as `AUTOMC_DSN`",
        meaning:
          "Direct connection for LISTEN, where `AUTOMC_DSN` goes through a transaction pooler.",
        status: "supported",
        secret: true,
      },
      {
        name: "AUTOMC_RESYNC_INTERVAL",
        kind: "duration",
        default: "60s",
        meaning: "How often the whole table is read again although nothing is amiss.",
        status: "supported",
      },
      {
        name: "AUTOMC_SNAPSHOT",
        kind: "text",
        default: "",
        defaultText: "`$STATE_DIRECTORY/routes.json`, else `off`",
        meaning:
          "File that keeps the last good table, for a start without Postgres; an absolute path, or `off`.",
        status: "supported",
      },
    ],
  },
  {
    title: "Waking sleeping servers",
    settings: [
      {
        name: "AUTOMC_WAKER_URL",
        kind: "text",
        default: "",
        meaning: "Base URL of the control plane that starts servers from the Postgres table.",
        status: "supported",
      },
      {
        name: "AUTOMC_WAKER_TOKEN",
        kind: "text",
        default: "",
        meaning: "Sent to the control plane as `X-API-Key`.",
        status: "supported",
        secret: true,
      },
      {
        name: "AUTOMC_WAKER_TIMEOUT",
        kind: "duration",
        default: "90s",
        meaning: "How long a start may take, and a player may wait for it.",
        status: "supported",
      },
      {
        name: "AUTOMC_WAKER_POLL_INTERVAL",
        kind: "duration",
        default: "2s",
        meaning: "Time between two looks at whether the server is up.",
        status: "supported",
      },
      {
        name: "AUTOMC_HOLD",
        kind: "boolean",
        default: "true",
        meaning:
          "Keeps waiting players in the login screen; with `false` they hear nothing and give up after 30 s.",
        status: "supported",
      },
      {
        name: "AUTOMC_WAKES",
        kind: "integer",
        default: "300",
        meaning: "Servers that may be started within ten minutes; 0 for no limit.",
        status: "supported",
      },
      {
        name: "AUTOMC_CLIENT_WAKES",
        kind: "integer",
        default: "30",
        meaning: "Servers that may be started within ten minutes from one address; 0 for no limit.",
        status: "supported",
      },
      {
        name: "AUTOMC_WAKE_COOLDOWN",
        kind: "duration",
        default: "1m",
        meaning: "How long a server that has twice in a row not come up is not started again.",
        status: "supported",
      },
      {
        name: "AUTOMC_WAKE_PROOF",
        kind: "boolean",
        default: "false",
        meaning:
          "Starts a server only for a client that has answered a question as a game does (Minecraft 1.13 or newer), so that scanners start nothing.",
        status: "supported",
      },
      {
        name: "AUTO_SCALE_ASLEEP_MOTD",
        kind: "text",
        default: "",
        meaning: "Server list text for a backend that does not answer; empty answers nothing.",
        status: "supported",
        otherName: "USE_ASLEEP_MOTD",
      },
      {
        name: "AUTO_SCALE_LOADING_MOTD",
        kind: "text",
        default: "",
        defaultText: "as `AUTO_SCALE_ASLEEP_MOTD`",
        meaning: "Server list text for a backend that is just starting.",
        status: "supported",
        otherName: "USE_LOADING_MOTD",
      },
      {
        name: "AUTOMC_STATUS_CACHE",
        kind: "duration",
        default: "0",
        meaning:
          "Answers pings of running servers from what they said up to this long ago; 0 asks them each time.",
        status: "supported",
      },
      {
        name: "AUTO_SCALE_UP",
        kind: "boolean",
        default: "false",
        meaning:
          "Wakes backends that were found in Docker, Swarm or Kubernetes; of no effect on others.",
        status: "supported",
      },
      {
        name: "AUTO_SCALE_DOWN",
        kind: "boolean",
        default: "false",
        meaning:
          "Stops idle backends that were found in Docker, Swarm or Kubernetes; of no effect on others.",
        status: "supported",
      },
      {
        name: "AUTO_SCALE_DOWN_AFTER",
        kind: "duration",
        default: "10m",
        meaning: "How long nobody is on a backend before it is stopped.",
        status: "supported",
      },
      {
        name: "AUTOMC_IDLE_COUNTS",
        kind: "choice",
        default: "all",
        meaning: "Who is on a backend: `all` clients, with pings, or only `logins`.",
        status: "supported",
      },
      {
        name: "AUTO_SCALE_ALLOW_DENY",
        kind: "text",
        default: "",
        meaning:
          "Path of a JSON file that says which players may start which server; read again at SIGHUP.",
        status: "supported",
      },
      {
        name: "AUTO_SCALE_WEBHOOK_URL",
        kind: "text",
        default: "",
        meaning:
          "Webhook that starts and stops the backends of routes from `MAPPING`, `DEFAULT`, the routes file and the API.",
        status: "supported",
        secret: true,
      },
      {
        name: "AUTO_SCALE_WEBHOOK_HEADERS",
        kind: "map",
        default: "",
        meaning: "Further headers for that webhook, `name=value`, separated by commas or newlines.",
        status: "supported",
        secret: true,
      },
      {
        name: "AUTO_SCALE_WEBHOOK_TIMEOUT",
        kind: "duration",
        default: "30s",
        meaning: "How long that webhook may take to answer; 0 for no limit.",
        status: "supported",
      },
      {
        name: "AUTO_SCALE_WEBHOOK_WAKE_TIMEOUT",
        kind: "duration",
        default: "1m",
        meaning: "How long a backend may take to come up after that webhook has answered.",
        status: "supported",
      },
    ],
  },
  {
    title: "Log and process",
    settings: [
      {
        name: "LOG_LEVEL",
        kind: "level",
        default: "info",
        meaning: "How much is logged: `error`, `warn`, `info`, `debug` or `trace`.",
        status: "supported",
      },
      {
        name: "DEBUG",
        kind: "boolean",
        default: "false",
        meaning: "Log level `debug`, whatever `LOG_LEVEL` says.",
        status: "supported",
      },
      {
        name: "TRACE",
        kind: "boolean",
        default: "false",
        meaning: "Log level `trace`, whatever `LOG_LEVEL` and `DEBUG` say.",
        status: "supported",
      },
      {
        name: "AUTOMC_LOG_FORMAT",
        kind: "choice",
        default: "logfmt",
        meaning: "How a log line is written: `logfmt` or `json`.",
        status: "supported",
      },
      {
        name: "VERSION",
        kind: "boolean",
        default: "false",
        meaning: "Prints the version and ends.",
        status: "supported",
      },
      {
        name: "RECORD_LOGINS",
        kind: "boolean",
        default: "false",
        meaning: "Logs and counts each login attempt.",
        status: "supported",
      },
      {
        name: "CPU_PROFILE",
        kind: "text",
        default: "",
        meaning: "File for a CPU profile of the Go runtime.",
        status: "accepted and ignored",
        advice: "there is no Go runtime to profile",
      },
    ],
  },
  {
    title: "REST API and metrics",
    settings: [
      {
        name: "API_BINDING",
        kind: "text",
        default: "",
        meaning: "Where the REST API listens: `host:port`, `:port` or `unix:/path`.",
        status: "supported",
      },
      {
        name: "AUTOMC_API_TOKEN",
        kind: "text",
        default: "",
        meaning: "What callers of the API send as `Authorization: Bearer`.",
        status: "supported",
        secret: true,
      },
      {
        name: "AUTOMC_API_OPEN",
        kind: "boolean",
        default: "false",
        meaning: "Opens the API beyond this machine without a token.",
        status: "supported",
      },
      {
        name: "AUTOMC_API_HOSTS",
        kind: "list",
        default: "",
        meaning: "Further names that callers without the token may call the API by.",
        status: "supported",
      },
      {
        name: "METRICS_BACKEND",
        kind: "choice",
        default: "discard",
        meaning: "Where metrics go: `discard`, `expvar`, `influxdb` or `prometheus`.",
        status: "supported",
      },
      {
        name: "METRICS_BACKEND_CONFIG_INFLUXDB_INTERVAL",
        kind: "duration",
        default: "1m",
        meaning: "How often metrics are sent to InfluxDB.",
        status: "supported",
      },
      {
        name: "METRICS_BACKEND_CONFIG_INFLUXDB_TAGS",
        kind: "map",
        default: "",
        meaning: "Further tags on every point.",
        status: "supported",
      },
      {
        name: "METRICS_BACKEND_CONFIG_INFLUXDB_ADDR",
        kind: "text",
        default: "",
        meaning: "URL of InfluxDB.",
        status: "supported",
      },
      {
        name: "METRICS_BACKEND_CONFIG_INFLUXDB_USERNAME",
        kind: "text",
        default: "",
        meaning: "User name for InfluxDB.",
        status: "supported",
      },
      {
        name: "METRICS_BACKEND_CONFIG_INFLUXDB_PASSWORD",
        kind: "text",
        default: "",
        meaning: "Password for InfluxDB.",
        status: "supported",
        secret: true,
      },
      {
        name: "METRICS_BACKEND_CONFIG_INFLUXDB_DATABASE",
        kind: "text",
        default: "",
        meaning: "Database in InfluxDB.",
        status: "supported",
      },
      {
        name: "METRICS_BACKEND_CONFIG_INFLUXDB_RETENTION_POLICY",
        kind: "text",
        default: "",
        meaning: "Retention policy in InfluxDB.",
        status: "supported",
      },
      {
        name: "METRICS_RATE_LIMIT_PERIOD",
        kind: "duration",
        default: "1s",
        meaning: "How often the gauge of the rate limit is set.",
        status: "supported",
      },
    ],
  },
  {
    title: "Notifications",
    settings: [
      {
        name: "WEBHOOK_URL",
        kind: "text",
        default: "",
        meaning: "Webhook that hears of players who come and go, and of routes that change.",
        status: "supported",
        secret: true,
      },
      {
        name: "WEBHOOK_REQUIRE_USER",
        kind: "boolean",
        default: "false",
        meaning: "Leaves out connections without a player.",
        status: "supported",
      },
      {
        name: "WEBHOOK_TIMEOUT",
        kind: "duration",
        default: "30s",
        meaning: "How long the webhook may take to answer.",
        status: "supported",
      },
      {
        name: "WEBHOOK_EVENTS",
        kind: "list",
        default: "connect,disconnect",
        meaning: "Events that the webhook hears of.",
        status: "supported",
      },
    ],
  },
  {
    title: "Docker and Swarm",
    settings: [
      {
        name: "IN_DOCKER",
        kind: "boolean",
        default: "false",
        meaning: "Finds backends among Docker containers by their labels.",
        status: "supported",
      },
      {
        name: "IN_DOCKER_SWARM",
        kind: "boolean",
        default: "false",
        meaning: "Finds backends among Swarm services by their labels.",
        status: "supported",
      },
      {
        name: "DOCKER_SOCKET",
        kind: "text",
        default: "",
        defaultText: "as `DOCKER_HOST`",
        meaning: "Where the Docker engine answers: a path, `unix:///path`, `tcp://host:port`.",
        status: "supported",
      },
      {
        name: "DOCKER_HOST",
        kind: "text",
        default: "unix:///var/run/docker.sock",
        meaning: "The same, as Docker's own programs call it; `DOCKER_SOCKET` comes first.",
        status: "supported",
      },
      {
        name: "DOCKER_CERT_PATH",
        kind: "text",
        default: "",
        meaning: "Directory with `ca.pem`, `cert.pem` and `key.pem` for an engine behind TLS.",
        status: "supported",
      },
      {
        name: "DOCKER_TLS_VERIFY",
        kind: "text",
        default: "",
        meaning: "Any text: the engine's certificate is checked against that `ca.pem`.",
        status: "supported",
      },
      {
        name: "DOCKER_TIMEOUT",
        kind: "duration",
        default: "0",
        meaning: "How long one request to Docker may take; 0 for 30 s. Of no effect on events.",
        status: "supported",
      },
      {
        name: "DOCKER_API_VERSION",
        kind: "text",
        default: "",
        defaultText: "the newest that both know",
        meaning: "Fixed version of the Docker API, such as `1.41`.",
        status: "supported",
      },
      {
        name: "DOCKER_REFRESH_INTERVAL",
        kind: "duration",
        default: "0",
        meaning: "How often Docker was asked before it sent events.",
        status: "accepted and ignored",
        advice: "changes are heard as they happen",
      },
    ],
  },
  {
    title: "Kubernetes",
    settings: [
      {
        name: "IN_KUBE_CLUSTER",
        kind: "boolean",
        default: "false",
        meaning: "Finds backends among the services of the cluster that the router runs in.",
        status: "supported",
      },
      {
        name: "KUBE_CONFIG",
        kind: "text",
        default: "",
        meaning: "Path of a kubeconfig, whose current context is the cluster to look in instead.",
        status: "supported",
      },
      {
        name: "KUBE_NAMESPACE",
        kind: "text",
        default: "",
        defaultText: "all of them",
        meaning: "The one namespace to look in.",
        status: "supported",
      },
      {
        name: "AUTOMC_KUBE_AWAIT_PODS",
        kind: "boolean",
        default: "false",
        meaning:
          "Lets players of a service with `proxyServerName` wait until the service's own pod is ready, not only its proxy.",
        status: "supported",
      },
    ],
  },
] as const satisfies readonly SettingGroup[];

/** The name of a setting; a name that is not in the table does not compile. */
export type SettingName = (typeof table)[number]["settings"][number]["name"];

/** A setting of the table. */
export type KnownSetting = Setting & { readonly name: SettingName };

/** Every setting of this program and of upstream mc-router, in the order in which they are printed. */
export const settingGroups: readonly SettingGroup[] = table;

/** The same settings without their groups. */
export const settings: readonly KnownSetting[] = table.flatMap((group) => [...group.settings]);

const settingsByName: ReadonlyMap<string, KnownSetting> = new Map(
  settings.map((setting) => [setting.name, setting]),
);

/** The setting of that name; null when there is none. Further names and `_FILE` names are not looked up. */
export const findSetting = (name: string): KnownSetting | null => settingsByName.get(name) ?? null;

/** The name of the file variant of a setting; null unless it is a supported secret. */
export const fileVariant = (setting: Setting): string | null =>
  setting.secret === true && setting.status === "supported" ? `${setting.name}_FILE` : null;

/** Every variable that holds a secret itself. */
export const secretVariables: readonly string[] = settings
  .filter(({ secret }) => secret === true)
  .map(({ name }) => name);

/** Every variable that sets this setting, its own name first. */
export const namesOf = (setting: Setting): readonly string[] =>
  [setting.name, setting.otherName ?? null, fileVariant(setting)].filter((name) => name !== null);

/**
 * The variable that does what a command-line flag of upstream does (`--in-docker` gives `IN_DOCKER=true`), for the message that refuses
 * the flag. A secret is left out of it. Null when there is no such flag.
 */
export function variableForFlag(argument: string): string | null {
  const [, flag, value] = /^--?([a-z][a-z0-9-]*)(?:=(.*))?$/s.exec(argument) ?? [];
  if (flag === undefined) return null;

  const setting = findSetting(flag.toUpperCase().replaceAll("-", "_"));
  if (setting === null) return null;
  if (setting.secret === true) return `${setting.name}=...`;
  return `${setting.name}=${value ?? (setting.kind === "boolean" ? "true" : "...")}`;
}

/** The supported settings as Markdown: a heading and a table for each group. */
export function settingsTable(): string {
  return supportedGroups()
    .map(({ title, settings: rows }) => {
      const lines = rows.map(
        (setting) =>
          `| ${namesOf(setting).map(code).join("<br>")} | ${defaultCell(setting)} | ${setting.meaning} |`,
      );
      return [`### ${title}`, "", "| Name | Default | Meaning |", "| --- | --- | --- |", ...lines];
    })
    .map((lines) => `${lines.join("\n")}\n`)
    .join("\n");
}

const usage = `automc-router routes Minecraft Java players by hostname. It is configured by environment variables.

Commands:
  automc-router                runs the router
  automc-router check          tells every problem of the configuration
  automc-router explain HOST   tells how a hostname is routed, and why
  automc-router schema         prints the SQL for the table of servers
  automc-router unit           prints a unit for systemd; unit template and unit socket print two more
  automc-router version        prints the version
  automc-router help           prints this`;

/** How to use the program: its commands, the supported settings, and the names of those that are not. Plain text for a terminal. */
export function helpText(): string {
  const groups = supportedGroups().map(({ title, settings: rows }) => {
    const entries = rows.flatMap((setting) => [
      `  ${namesOf(setting).join(" or ")}${defaultNote(setting)}`,
      `      ${withoutMarks(setting.meaning)}`,
    ]);
    return [`${title}:`, ...entries].join("\n");
  });
  const missing = settings.filter((setting) => setting.status === "refused");
  const names = missing.map((setting) => `  ${setting.name}`);
  return `${[usage, ...groups, ["Not supported:", ...names].join("\n")].join("\n\n")}\n`;
}

const supportedGroups = (): readonly SettingGroup[] =>
  settingGroups
    .map(({ title, settings: rows }) => ({
      title,
      settings: rows.filter((setting) => setting.status === "supported"),
    }))
    .filter((group) => group.settings.length > 0);

function defaultCell(setting: Setting): string {
  if (setting.defaultText !== undefined) return setting.defaultText;
  return setting.default === "" ? "-" : code(setting.default);
}

function defaultNote(setting: Setting): string {
  const text = withoutMarks(setting.defaultText ?? setting.default);
  return text === "" ? "" : ` (default: ${text})`;
}

const code = (text: string): string => `\`${text}\``;

const withoutMarks = (text: string): string => text.replaceAll("`", "");

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

/** The real components that system tests run against, each with the Debian package that has it. */
const programs: Readonly<Record<string, string>> = {
  busybox: "busybox-static",
  chromium: "chromium",
  curl: "curl",
  "dbus-daemon": "dbus",
  debootstrap: "debootstrap",
  docker: "docker.io",
  dockerd: "docker.io",
  "dpkg-deb": "dpkg",
  etcd: "etcd-server",
  flock: "util-linux",
  haproxy: "haproxy",
  influxd: "influxdb",
  ip: "iproute2",
  iptables: "iptables",
  javac: "default-jdk-headless",
  lintian: "lintian",
  mvn: "maven",
  nsenter: "util-linux",
  openssl: "openssl",
  pgbouncer: "pgbouncer",
  pgrep: "procps",
  podman: "podman",
  prlimit: "util-linux",
  prometheus: "prometheus",
  promtool: "prometheus",
  psql: "postgresql-client",
  python3: "python3-venv",
  "qemu-x86_64-static": "qemu-user-static",
  runc: "runc",
  ss: "iproute2",
  "systemd-analyze": "systemd",
  "systemd-nspawn": "systemd-container",
  tmux: "tmux",
  unshare: "util-linux",
};

/** The PATH for system tests: also where Debian puts programs of root's and the newest installed PostgreSQL. */
export function systemPath(): string {
  const folders = [
    ...(process.env["PATH"] ?? "").split(":"),
    "/usr/local/sbin",
    "/usr/sbin",
    "/sbin",
  ];
  const postgres = installedPostgres();
  return (postgres === null ? folders : [postgres, ...folders]).join(":");
}

/**
 * Installs the programs that are missing, with apt-get as root. Returns those that are still missing,
 * each with its Debian package, as `haproxy (haproxy)`.
 */
export function installPrograms(): readonly string[] {
  const missing = missingPrograms();
  if (missing.size === 0) return [];
  if (process.getuid?.() === 0 && Bun.which("apt-get") !== null) {
    const packages = [...new Set(missing.values())].sort();
    console.error(`apt-get install ${packages.join(" ")}`);
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    const apt = (...words: readonly string[]) =>
      Bun.spawnSync(["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=600", ...words], {
        env,
        stdio: ["ignore", "ignore", "inherit"],
      });
    apt("update");
    apt("install", "-y", "--no-install-recommends", ...packages);
  }
  return [...missingPrograms()].map(([program, name]) => `${program} (${name})`);
}

/** Missing programs with their Debian packages. */
function missingPrograms(): ReadonlyMap<string, string> {
  const missing = new Map<string, string>();
  const PATH = systemPath();
  for (const [program, name] of Object.entries(programs)) {
    if (Bun.which(program, { PATH }) === null) missing.set(program, name);
  }
  if (Bun.which("initdb", { PATH }) === null) missing.set("initdb", "postgresql");
  if (!hasFaketime()) missing.set("libfaketime", "libfaketime");
  return missing;
}

/** The bin folder of the newest PostgreSQL, where Debian's packages put it and no PATH leads. */
function installedPostgres(): string | null {
  const root = "/usr/lib/postgresql";
  const versions = existsSync(root) ? readdirSync(root).map(Number) : [];
  const folders = versions.sort((a, b) => b - a).map((version) => join(root, `${version}/bin`));
  return folders.find((folder) => existsSync(join(folder, "initdb"))) ?? null;
}

const hasFaketime = (): boolean =>
  readdirSync("/usr/lib").some((folder) =>
    existsSync(join("/usr/lib", folder, "faketime/libfaketimeMT.so.1")),
  );

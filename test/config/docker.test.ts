import { describe, expect, test } from "bun:test";
import { err, ok } from "../../src/base/result.ts";
import { parseConfig } from "../../src/config/config.ts";
import type { DockerConfig } from "../../src/config/docker.ts";
import type { Issue } from "../../src/config/environment.ts";
import type { Variables } from "../../src/config/setting.ts";

const files: Readonly<Record<string, string>> = {
  "/tls/ca.pem": "CA",
  "/tls/cert.pem": "CERT",
  "/tls/key.pem": "KEY",
  "/half/cert.pem": "CERT",
};

function parse(variables: Variables) {
  return parseConfig(variables, (path) => {
    const text = files[path];
    return text === undefined ? err("ENOENT") : ok(text);
  });
}

function dockerOf(variables: Variables): DockerConfig | null {
  const parsed = parse({ IN_DOCKER: "true", ...variables });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.error));
  return parsed.value.config.docker;
}

function problemsOf(variables: Variables): readonly Issue[] {
  const parsed = parse({ IN_DOCKER: "true", ...variables });
  return parsed.ok ? [] : parsed.error;
}

describe("where Docker is", () => {
  const unix = (path: string) => ({ url: "http://localhost", unix: path, tls: null });
  const tcp = (url: string) => ({ url, unix: null, tls: null });
  const checked = { ca: "CA", cert: "CERT", key: "KEY", verify: true, serverName: null };
  const believed = { ca: null, cert: "CERT", key: "KEY", verify: false, serverName: null };

  test.each([
    ["nothing", {}, unix("/var/run/docker.sock")],
    ["a path", { DOCKER_SOCKET: "/run/podman.sock" }, unix("/run/podman.sock")],
    ["a URL of a path", { DOCKER_SOCKET: "unix:///run/d.sock" }, unix("/run/d.sock")],
    ["Docker's own variable", { DOCKER_HOST: "unix:///run/d.sock" }, unix("/run/d.sock")],
    [
      "both, and the router's own counts",
      { DOCKER_SOCKET: "/a", DOCKER_HOST: "unix:///b" },
      unix("/a"),
    ],
    ["a port", { DOCKER_HOST: "tcp://docker:2377" }, tcp("http://docker:2377")],
    ["a name", { DOCKER_HOST: "tcp://docker" }, tcp("http://docker:2375")],
    ["port 80 of tcp", { DOCKER_HOST: "tcp://docker:80" }, tcp("http://docker:80")],
    ["a prefix", { DOCKER_HOST: "tcp://proxy:1/docker/" }, tcp("http://proxy:1/docker")],
    ["HTTP", { DOCKER_HOST: "http://docker/" }, tcp("http://docker:80")],
    ["HTTPS", { DOCKER_HOST: "https://docker" }, tcp("https://docker:443")],
    ["IPv6", { DOCKER_HOST: "tcp://[::1]:5" }, tcp("http://[::1]:5")],
    [
      "TLS",
      { DOCKER_HOST: "tcp://docker", DOCKER_CERT_PATH: "/tls", DOCKER_TLS_VERIFY: "1" },
      { url: "https://docker:2376", unix: null, tls: checked },
    ],
    [
      "TLS that believes everybody",
      { DOCKER_HOST: "tcp://docker:7", DOCKER_CERT_PATH: "/tls" },
      { url: "https://docker:7", unix: null, tls: believed },
    ],
    ["TLS for a socket", { DOCKER_CERT_PATH: "/tls" }, unix("/var/run/docker.sock")],
  ] as const)("%s", (_, variables, endpoint) => {
    expect(dockerOf(variables)?.endpoint).toEqual(endpoint);
  });

  test.each([
    ["ssh", { DOCKER_HOST: "ssh://root@docker" }, "DOCKER_HOST", "forward the socket"],
    ["a pipe", { DOCKER_HOST: "npipe:////./pipe/docker" }, "DOCKER_HOST", "Windows pipe"],
    ["a name alone", { DOCKER_SOCKET: "docker.sock" }, "DOCKER_SOCKET", "is none"],
    ["a relative path", { DOCKER_SOCKET: "unix://run/d" }, "DOCKER_SOCKET", "no absolute path"],
    ["a password", { DOCKER_SOCKET: "tcp://a:secret@d" }, "DOCKER_SOCKET", "password"],
    ["no such directory", { DOCKER_CERT_PATH: "/half" }, "DOCKER_CERT_PATH", "key.pem (ENOENT)"],
    ["a strange version", { DOCKER_API_VERSION: "latest" }, "DOCKER_API_VERSION", "1.41"],
  ] as const)("%s is a problem", (_, variables, name, expected) => {
    const [problem, ...others] = problemsOf(variables);
    expect(others).toEqual([]);
    expect(problem?.variable).toBe(name);
    expect(problem?.expected).toContain(expected);
    expect(JSON.stringify(problem)).not.toContain("secret");
  });

  test("does not matter where it is not asked for", () => {
    const parsed = parse({ DOCKER_HOST: "ssh://x", DOCKER_CERT_PATH: "/x", AUTO_SCALE_UP: "1" });
    expect(parsed.ok && parsed.value.config.docker).toBeNull();
    expect(parsed.ok && parsed.value.config.scaling).toEqual({ up: true, down: false });
  });
});

describe("how Docker is asked", () => {
  test.each([
    ["containers", {}, { containers: true, services: false }],
    ["services", { IN_DOCKER: "0", IN_DOCKER_SWARM: "1" }, { containers: false, services: true }],
    ["both", { IN_DOCKER_SWARM: "1" }, { containers: true, services: true }],
    ["a version", { DOCKER_API_VERSION: "v1.41" }, { version: "1.41" }],
    ["any version", {}, { version: null }],
    ["a time", { DOCKER_TIMEOUT: "5s" }, { timeoutMs: 5_000 }],
    ["no time", { DOCKER_TIMEOUT: "0" }, { timeoutMs: 30_000 }],
  ] as const)("%s", (_, variables, expected) => {
    expect(dockerOf(variables)).toMatchObject(expected);
  });
});

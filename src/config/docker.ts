import { join } from "node:path";
import { readBoolean, readDuration } from "../base/go-text.ts";
import { parseDockerEndpoint } from "../providers/docker/endpoint.ts";
import type { ApiEndpoint, ApiTls } from "../providers/http-api.ts";
import { type Environment, masked, type ReadFile } from "./environment.ts";

/** What is looked for with Docker, and where Docker is. It holds a private key: never print it whole. */
export interface DockerConfig {
  /** Backends are found among containers. */
  readonly containers: boolean;
  /** Backends are found among Swarm services. */
  readonly services: boolean;
  readonly endpoint: ApiEndpoint;
  /** Without a `v` in front; null: the newest that both sides know. */
  readonly version: string | null;
  /** For one request, ms. */
  readonly timeoutMs: number;
}

const usualTimeoutMs = 30_000;
const dayMs = 86_400_000;

/** How Docker is used; null when it is not, and then it does not matter what is in the variables that other programs have too. */
export function readDocker(env: Environment, readFile: ReadFile): DockerConfig | null {
  const containers = env.read("IN_DOCKER", readBoolean);
  const services = env.read("IN_DOCKER_SWARM", readBoolean);
  const timeoutMs = env.read("DOCKER_TIMEOUT", readDuration);
  if (!containers && !services) return null;
  const endpoint = readEndpoint(env, readTls(env, readFile));
  const version = readApiVersion(env);
  if (endpoint === null) return null;
  return {
    containers,
    services,
    endpoint,
    version,
    timeoutMs: timeoutMs <= 0 ? usualTimeoutMs : Math.min(timeoutMs, dayMs),
  };
}

function readEndpoint(env: Environment, tls: ApiTls | null): ApiEndpoint | null {
  const name = env.text("DOCKER_SOCKET") === "" ? "DOCKER_HOST" : "DOCKER_SOCKET";
  const text = env.text(name) || "unix:///var/run/docker.sock";
  const endpoint = parseDockerEndpoint(text, tls);
  if (endpoint.ok) return endpoint.value;
  env.problem(
    name,
    `a path, unix:///path or tcp://host:port (this one ${endpoint.error})`,
    /[@?#]/.test(text) ? masked : text,
  );
  return null;
}

/** As Docker's own client reads it: without a directory there is no TLS, and without `DOCKER_TLS_VERIFY` every certificate is good. */
function readTls(env: Environment, readFile: ReadFile): ApiTls | null {
  const directory = env.text("DOCKER_CERT_PATH");
  if (directory === "") return null;
  const verify = env.text("DOCKER_TLS_VERIFY") !== "";
  const read = (file: string): string | null => {
    const content = readFile(join(directory, file));
    if (content.ok) return content.value;
    env.problem("DOCKER_CERT_PATH", `a directory with ${file} (${content.error})`);
    return null;
  };
  return {
    ca: verify ? read("ca.pem") : null,
    cert: read("cert.pem"),
    key: read("key.pem"),
    verify,
    serverName: null,
  };
}

function readApiVersion(env: Environment): string | null {
  const text = env.text("DOCKER_API_VERSION").replace(/^v/, "");
  if (text === "") return null;
  if (!/^\d+\.\d+$/.test(text)) env.problem("DOCKER_API_VERSION", "a version such as 1.41");
  return text;
}

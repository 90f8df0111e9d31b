import { join } from "node:path";
import { parseDockerEndpoint } from "../providers/docker/endpoint.ts";
import type { ApiEndpoint, ApiTls } from "../providers/http-api.ts";
import type { Environment } from "./environment.ts";
import { masked } from "./values.ts";

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

/**
 * How Docker is used. Null when it is not: then the variables that other programs share are not looked at.
 */
export function readDocker(env: Environment): DockerConfig | null {
  const containers = env.read("IN_DOCKER");
  const services = env.read("IN_DOCKER_SWARM");
  const timeoutMs = env.read("DOCKER_TIMEOUT");
  if (!containers && !services) return null;
  const endpoint = readEndpoint(env, readTls(env));
  const version = env.read("DOCKER_API_VERSION");
  return endpoint === null ? null : { containers, services, endpoint, version, timeoutMs };
}

function readEndpoint(env: Environment, tls: ApiTls | null): ApiEndpoint | null {
  const socket = env.read("DOCKER_SOCKET");
  const name = socket === "" ? "DOCKER_HOST" : "DOCKER_SOCKET";
  const text = socket || env.read("DOCKER_HOST");
  const endpoint = parseDockerEndpoint(text, tls);
  if (endpoint.ok) return endpoint.value;
  env.problem(
    name,
    `a path, unix:///path or tcp://host:port (this one ${endpoint.error})`,
    /[@?#]/.test(text) ? masked : text,
  );
  return null;
}

/**
 * As Docker's own client reads it: no directory, no TLS; no `DOCKER_TLS_VERIFY`, no check of the certificate.
 */
function readTls(env: Environment): ApiTls | null {
  const directory = env.read("DOCKER_CERT_PATH");
  if (directory === null) return null;
  const verify = env.read("DOCKER_TLS_VERIFY") !== "";
  const read = (file: string): string | null => {
    const content = env.readFile(join(directory, file));
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

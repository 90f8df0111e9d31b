import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { join } from "node:path";
import { membersOf, textOf } from "../../base/members.ts";
import { err, ok, type Result } from "../../base/result.ts";
import { codeOf, messageOf } from "../../base/thrown.ts";
import type { Variables } from "../../config/setting.ts";

/** The router that runs on this machine, as its control socket answers. */
export interface RunningRouter {
  /** The control socket. */
  readonly path: string;
  /** What the API answers to a GET; the error is one readable phrase. */
  read(path: string): Promise<Result<unknown, string>>;
  /** What the API answers to a PUT with that JSON; the error is one readable phrase. */
  put(path: string, body: unknown): Promise<Result<unknown, string>>;
}

/** Where the unit of this program puts the control socket: a shell does not know the unit's environment. */
const unitSocket = "/run/automc-router/control";

const answerMs = 10_000;

/** The running router; the error says where it was looked for and why it does not answer. */
export async function findRouter(variables: Variables): Promise<Result<RunningRouter, string>> {
  const path = controlPath(variables);
  if (path === null) return err("AUTOMC_CONTROL is off, so no running router can be asked");
  const closed = await access(path, constants.R_OK | constants.W_OK).then(
    () => null,
    (cause: unknown) => codeOf(cause) ?? messageOf(cause),
  );
  if (closed === "EACCES") {
    return err(`the control socket ${path} is not open to this user; run it as root`);
  }
  if (closed !== null) return err(`no router answers at ${path}`);
  const router = routerAt(path);
  const health = await router.read("/healthz");
  return health.ok ? ok(router) : err(`no router answers at ${path}: ${health.error}`);
}

function controlPath(variables: Variables): string | null {
  const given = variables["AUTOMC_CONTROL"] ?? "";
  if (given === "off") return null;
  if (given !== "") return given;
  const [directory = ""] = (variables["RUNTIME_DIRECTORY"] ?? "").split(":");
  return directory === "" ? unitSocket : join(directory, "control");
}

function routerAt(unix: string): RunningRouter {
  async function ask(
    method: string,
    path: string,
    body?: unknown,
  ): Promise<Result<unknown, string>> {
    try {
      const response = await fetch(`http://router${path}`, {
        unix,
        method,
        signal: AbortSignal.timeout(answerMs),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const json: unknown = await response.json();
      if (response.ok) return ok(json);
      const detail = textOf(membersOf(json) ?? {}, "detail");
      return err(detail ?? `the router answered ${response.status} to ${method} ${path}`);
    } catch (cause) {
      return err(messageOf(cause));
    }
  }

  return {
    path: unix,
    read: (path) => ask("GET", path),
    put: (path, body) => ask("PUT", path, body),
  };
}

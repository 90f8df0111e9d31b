import { chmodSync, lstatSync, renameSync, rmSync, unlinkSync } from "node:fs";
import { connect, type ListenOptions, type Server } from "node:net";
import { err, ok, type Result } from "../base/result.ts";
import { codeOf, messageOf, toError } from "../base/thrown.ts";
import type { AuditEvent } from "../observe/events.ts";
import { type ApiDeps, createHandlers } from "./api.ts";
import { createAudit } from "./audit.ts";
import { type Binding, bindingText } from "./binding.ts";
import { type Admission, createGuard, type Guard } from "./guard.ts";
import { type ApiRequest, createHttpServer, type HttpLimits } from "./http-server.ts";
import { matchOperation } from "./match.ts";
import type { Access, Operation } from "./operations.ts";
import { problem } from "./problem.ts";

/** What the API needs. */
export interface AdminServerDeps extends ApiDeps {
  readonly binding: Binding;
  /** Further names that the API is called by. */
  readonly hosts: readonly string[];
  readonly limits?: Partial<HttpLimits>;
  /** Told of every change, and of every request that is refused. */
  audit(event: AuditEvent): void;
  /** A handler threw: a defect. The client gets a 500. */
  fault(error: Error): void;
}

/** The API, listening. */
export interface AdminServer {
  /** Where it listens, with the port that it got. */
  readonly binding: string;
  /** Closes the listener and what is open on it. */
  stop(): Promise<void>;
}

/** Owner and group: without a token the mode of the socket decides who may connect. */
const socketMode = 0o660;

/** Opens the API: mc-router's paths and the router's own. The error is one readable phrase. */
export async function startAdminServer(
  deps: AdminServerDeps,
): Promise<Result<AdminServer, string>> {
  const { binding } = deps;
  const { server, stop } = createHttpServer({
    answer: createAnswerer(deps),
    fault: (thrown) => deps.fault(toError(thrown)),
    ...(deps.limits && { limits: deps.limits }),
  });
  try {
    const port = await open(server, binding);
    server.on("error", (cause) => deps.warn(`the API cannot accept a client: ${messageOf(cause)}`));
    const bound = binding.kind === "tcp" ? { ...binding, port } : binding;
    const inode = inodeOf(binding);
    return ok({
      binding: bindingText(bound),
      async stop() {
        await stop();
        // Another instance may have taken the path over.
        if (inode !== null && inode === inodeOf(binding)) removeSocket(binding);
      },
    });
  } catch (cause) {
    return err(`the API cannot listen at ${bindingText(binding)}: ${messageOf(cause)}`);
  }
}

/** Opens the server; gives the port, 0 on a unix socket. */
async function open(server: Server, binding: Binding): Promise<number> {
  if (binding.kind === "unix") {
    await openSocket(server, binding.path, binding.takesOver === true);
    return 0;
  }
  const { host, port } = binding;
  if (host !== "") {
    await listening(server, { host, port });
  } else {
    await listening(server, { host: "::", port }).catch((cause: unknown) => {
      if (codeOf(cause) === "EADDRINUSE") throw cause;
      // A machine without IPv6.
      return listening(server, { host: "0.0.0.0", port });
    });
  }
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

/**
 * A name of its own that is moved into place lets a new instance take over while the old one still answers.
 */
async function openSocket(server: Server, path: string, takesOver: boolean): Promise<void> {
  if (!takesOver) await removeDeadSocket(path);
  const own = takesOver ? `${path}.${process.pid}` : path;
  await listening(server, { path: own });
  chmodSync(own, socketMode);
  if (takesOver) renameSync(own, path);
}

function listening(server: Server, options: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(options, () => {
      server.removeListener("error", reject);
      resolve();
    });
  });
}

/** Answers every request: checks the caller, finds the operation, tells of what was changed or refused. */
function createAnswerer(deps: AdminServerDeps): (request: ApiRequest) => Promise<Response> {
  const handlers = createHandlers(deps);
  const audit = createAudit(deps.audit);
  const guard = createGuard({ tokens: deps.tokens, names: namesOf(deps) });

  return async (request) => {
    const match = matchOperation(request.method, request.rawPath);
    const access = match.kind === "operation" ? match.operation.access : "read";
    const admission = admit(request, access, guard);
    if (admission.kind === "refused") {
      audit.refused(request, admission.response.status);
      return admission.response;
    }
    switch (match.kind) {
      case "bad-path":
        return problem("bad-request", "the path has a malformed escape");
      case "operation": {
        const { operation, parameters } = match;
        const response = await handlers[operation.id]({
          ...request,
          parameters,
          scope: admission.scope,
        });
        // A wrong token that was typed into the page.
        if (response.status === 401) audit.refused(request, response.status);
        if (isChange(operation)) {
          audit.changed(request, response.status);
        }
        return response;
      }
      case "moved":
        return new Response(null, {
          status: 301,
          headers: { Location: match.path + request.search },
        });
      case "wrong-method":
        return notAllowed(match.allowed);
      case "unknown":
        return problem("not-found", `there is nothing at ${request.rawPath.slice(0, 200)}`);
    }
  };
}

/** What the caller may do, or why not; for an open operation null means nothing else. */
function admit(
  { headers }: ApiRequest,
  access: Access,
  guard: Guard,
): Admission | { readonly kind: "admitted"; readonly scope: null } {
  const admission = guard(headers, access === "open" ? "read" : access);
  if (access === "open" && admission.kind === "refused") return { kind: "admitted", scope: null };
  return admission;
}

const isChange = ({ access }: Operation): boolean => access === "change";

function notAllowed(methods: readonly string[]): Response {
  const allowed = methods.join(", ");
  return problem("method-not-allowed", `use ${allowed}`, { headers: { Allow: allowed } });
}

/** Null where there is no socket. */
const inodeOf = (binding: Binding): number | null =>
  binding.kind === "unix"
    ? (lstatSync(binding.path, { throwIfNoEntry: false })?.ino ?? null)
    : null;

function removeSocket(binding: Binding): void {
  if (binding.kind === "unix") rmSync(binding.path, { force: true });
}

/** Removes the socket that a killed process left behind. One that answers, or another file, stays. */
async function removeDeadSocket(path: string): Promise<void> {
  if (!lstatSync(path, { throwIfNoEntry: false })?.isSocket()) return;
  const isDead = await new Promise<boolean>((resolve) => {
    const client = connect(path);
    client.once("connect", () => {
      client.destroy();
      resolve(false);
    });
    client.once("error", (error) => resolve(codeOf(error) === "ECONNREFUSED"));
  });
  if (isDead) unlinkSync(path);
}

/** The names in a Host header that mean this API. No browser can be made to open a unix socket. */
function namesOf({ binding, hosts }: AdminServerDeps): readonly string[] | null {
  if (binding.kind === "unix") return null;
  return [binding.host, ...hosts].filter((name) => name !== "").map((name) => name.toLowerCase());
}

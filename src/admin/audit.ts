import type { AuditEvent } from "../observe/events.ts";
import type { ApiRequest } from "./http-server.ts";

/** Tells the operator what callers of the API change, and who is refused. */
interface Audit {
  changed(request: ApiRequest, status: number): void;
  refused(request: ApiRequest, status: number): void;
}

/** The least time between two events about refusals, ms: guesses of a token must not flood the log. */
const everyMs = 1_000;

/** An audit that passes its events to `tell`. */
export function createAudit(tell: (event: AuditEvent) => void): Audit {
  let toldAt = Number.NEGATIVE_INFINITY;
  let untold = 0;

  return {
    changed: (request, status) => tell({ kind: "api-changed", ...aboutRequest(request), status }),
    refused(request, status) {
      untold += 1;
      if (performance.now() - toldAt < everyMs) return;
      tell({ kind: "api-refused", ...aboutRequest(request), status, count: untold });
      toldAt = performance.now();
      untold = 0;
    },
  };
}

const aboutRequest = ({ method, rawPath, clientIp }: ApiRequest) => ({
  method,
  path: rawPath,
  client: clientIp ?? "unix socket",
});

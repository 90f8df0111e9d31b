/** Why the API refuses a request. */
type ProblemKind =
  | "bad-request"
  | "unauthorized"
  | "not-found"
  | "method-not-allowed"
  | "forbidden"
  | "wrong-origin"
  | "conflict"
  | "wrong-host"
  | "failed"
  | "not-saved"
  | "not-stopped"
  | "unavailable";

/** Each problem's status and its title for people. */
const problems: Readonly<Record<ProblemKind, { readonly status: number; readonly title: string }>> =
  {
    "bad-request": { status: 400, title: "The request cannot be used" },
    unauthorized: { status: 401, title: "A valid token is required" },
    "not-found": { status: 404, title: "Not found" },
    forbidden: { status: 403, title: "The token may not do this" },
    "wrong-origin": { status: 403, title: "Requests from pages of other sites are refused" },
    "method-not-allowed": { status: 405, title: "The path does not have this method" },
    conflict: { status: 409, title: "Another source owns the route" },
    "wrong-host": { status: 421, title: "Unknown host name" },
    failed: { status: 500, title: "Internal error" },
    "not-saved": { status: 500, title: "The change is in force but not saved" },
    "not-stopped": { status: 502, title: "The server was not stopped" },
    unavailable: { status: 503, title: "The router is not ready" },
  };

/** A problem as RFC 9457 writes it. `members` are added to the JSON, for programs. */
export function problem(
  kind: ProblemKind,
  detail: string,
  options: {
    readonly members?: Readonly<Record<string, unknown>>;
    readonly headers?: Readonly<Record<string, string>>;
  } = {},
): Response {
  const { status, title } = problems[kind];
  return Response.json(
    { type: "about:blank", title, status, detail, ...options.members },
    { status, headers: { ...options.headers, "Content-Type": "application/problem+json" } },
  );
}

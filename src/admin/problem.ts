/** What the API refuses for reasons of its own. Where mc-router answers with a bare status, so does this one. */
export type ProblemKind =
  | "bad-request"
  | "unauthorized"
  | "not-found"
  | "method-not-allowed"
  | "wrong-origin"
  | "conflict"
  | "wrong-host"
  | "failed"
  | "unavailable";

/** Each problem's status and its title for people. */
const problems: Readonly<Record<ProblemKind, { readonly status: number; readonly title: string }>> =
  {
    "bad-request": { status: 400, title: "The request cannot be used" },
    unauthorized: { status: 401, title: "A token is needed" },
    "not-found": { status: 404, title: "There is no such thing" },
    "wrong-origin": { status: 403, title: "Pages of other sites are not served here" },
    "method-not-allowed": { status: 405, title: "This method is not for this path" },
    conflict: { status: 409, title: "Somebody else decides about it" },
    "wrong-host": { status: 421, title: "This host is not served here" },
    failed: { status: 500, title: "The router has a defect" },
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

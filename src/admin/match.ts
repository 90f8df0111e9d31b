import { type Operation, type OperationId, operations } from "./operations.ts";

/** What a request asks for. */
type Match =
  | {
      readonly kind: "operation";
      readonly operation: Operation & { readonly id: OperationId };
      /** The path's parameters, decoded. */
      readonly parameters: Readonly<Record<string, string>>;
    }
  /** The path exists under another spelling. */
  | { readonly kind: "moved"; readonly path: string }
  | { readonly kind: "wrong-method"; readonly allowed: readonly string[] }
  | { readonly kind: "unknown" }
  | { readonly kind: "bad-path" };

/** Finds the operation of a request by its method and its path as it was sent. */
export function matchOperation(method: string, rawPath: string): Match {
  const path = decodePath(rawPath);
  if (path === null) return { kind: "bad-path" };
  const clean = cleanPath(path);
  if (clean !== path) return { kind: "moved", path: encodeURI(clean) };

  const allowed: string[] = [];
  for (const operation of operations) {
    const parameters = parametersOf(operation.path, path);
    if (parameters === null) continue;
    if (takes(operation, method)) return { kind: "operation", operation, parameters };
    allowed.push(operation.method);
    if (answersHead(operation)) allowed.push("HEAD");
  }
  return allowed.length === 0 ? { kind: "unknown" } : { kind: "wrong-method", allowed };
}

const answersHead = ({ method, isUpstreams }: Operation): boolean =>
  method === "GET" && isUpstreams === undefined;

const takes = (operation: Operation, method: string): boolean =>
  operation.takesAnyMethod === true ||
  operation.method === method ||
  (method === "HEAD" && answersHead(operation));

/** Null for a malformed escape. mc-router matches decoded paths, so an encoded slash ends a segment. */
function decodePath(rawPath: string): string | null {
  if (/%(?![0-9A-Fa-f]{2})/.test(rawPath)) return null;
  const bytes = rawPath.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return Buffer.from(bytes, "latin1").toString("utf8");
}

/** The path without empty, `.` and `..` segments, as mc-router redirects it; a slash at the end stays. */
function cleanPath(path: string): string {
  const kept: string[] = [];
  for (const segment of path.split("/")) {
    if (segment === "" || segment === ".") continue;
    if (segment === "..") kept.pop();
    else kept.push(segment);
  }
  const isFolder = path.endsWith("/") && kept.length > 0;
  return `/${kept.join("/")}${isFolder ? "/" : ""}`;
}

function parametersOf(pattern: string, path: string): Readonly<Record<string, string>> | null {
  const wanted = pattern.split("/");
  const given = path.split("/");
  if (wanted.length !== given.length) return null;
  const parameters: Record<string, string> = {};
  for (const [index, segment] of wanted.entries()) {
    const text = given[index] ?? "";
    const [, name] = /^\{(\w+)\}$/.exec(segment) ?? [];
    if (name === undefined ? segment !== text : text === "") return null;
    if (name !== undefined) parameters[name] = text;
  }
  return parameters;
}

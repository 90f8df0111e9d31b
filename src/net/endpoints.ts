import type { Deadlines } from "../base/deadlines.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { Endpoint } from "./conn.ts";
import { aborted, type DialFailure } from "./connect.ts";
import { literal, type Resolver } from "./resolve.ts";

/** A name or an IP literal, and a port. */
interface DialPlace {
  readonly host: string;
  readonly port: number;
}

/** Where to dial: one place, or several of which any will do. */
export interface DialTarget extends DialPlace {
  /** The further ones; left out, there is none. */
  readonly others?: readonly DialPlace[];
}

/** What finding endpoints needs. */
export interface EndpointsDeps {
  readonly resolver: Resolver;
  readonly deadlines: Deadlines;
  /** How long a name may take, ms. */
  readonly timeoutMs: number;
}

/**
 * The endpoints that the target's names lead to now, each once and at least one; the error is that
 * of the first place.
 */
export async function endpointsOf(
  { host, port, others = [] }: DialTarget,
  deps: EndpointsDeps,
  signal: AbortSignal,
): Promise<Result<readonly Endpoint[], DialFailure>> {
  const places = [{ host, port }, ...others];
  const found = await Promise.all(places.map((place) => endpointsAt(place, deps, signal)));
  const endpoints = found.flatMap((each) => (each.ok ? each.value : []));
  if (endpoints.length > 0) return ok(distinct(endpoints));
  return found.find((each) => !each.ok) ?? err(homeless);
}

async function endpointsAt(
  { host, port }: DialPlace,
  { resolver, deadlines, timeoutMs }: EndpointsDeps,
  signal: AbortSignal,
): Promise<Result<readonly Endpoint[], DialFailure>> {
  if (host === "") return err(homeless);
  if (literal(host) !== null) return ok([{ ip: host, port }]);
  const late = Promise.withResolvers<null>();
  const deadline = deadlines.after(timeoutMs, () => late.resolve(null));
  const resolved = await Promise.race([resolver.resolve(host, signal), late.promise]);
  deadline.cancel();
  if (signal.aborted) return err(aborted);
  if (resolved === null) return err(unknownInTime);
  if (!resolved.ok) return err({ kind: "unresolved", message: resolved.error.message });
  return ok(resolved.value.map((ip) => ({ ip, port })));
}

function distinct(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  const byText = new Map(
    endpoints.map((endpoint) => [`${endpoint.ip} ${endpoint.port}`, endpoint]),
  );
  return [...byText.values()];
}

const homeless: DialFailure = { kind: "unresolved", message: "has no address at the moment" };
const unknownInTime: DialFailure = {
  kind: "unresolved",
  message: "no nameserver answered in time",
};

import { promises as dns } from "node:dns";
import { isIP } from "node:net";
import { onAbort } from "../base/abort.ts";
import { createRecent } from "../base/recent.ts";
import { err, ok, type Result } from "../base/result.ts";
import { codeOf, messageOf } from "../base/thrown.ts";
import { withinOr } from "../base/wait.ts";
import { createHostFiles, type HostFilesDeps } from "./host-files.ts";

/** Why a name has no address now. `message` is one readable phrase, without the name. */
interface ResolveFailure {
  readonly kind: "not-found" | "timeout" | "nameserver-error" | "busy" | "aborted";
  readonly message: string;
}

/** Turns names into addresses, and remembers them. */
export interface Resolver {
  /**
   * The IP literals of a host, at least one: IPv4 before IPv6, each family in the order of its
   * origin. An IP literal is its own answer. Settles within a few seconds or as soon as the signal
   * aborts; the look-up itself goes on for others.
   */
  resolve(host: string, signal: AbortSignal): Promise<Result<readonly string[], ResolveFailure>>;
}

/** What a resolver may be told; by default it does what the host's own files say. */
interface ResolverDeps extends Partial<HostFilesDeps> {
  /** Nameservers as `ip`, `ip:port` or `[ip]:port`; by default those of the host. */
  readonly servers?: readonly string[];
}

type Answer = Result<readonly string[], ResolveFailure>;

/** What DNS said: addresses with the shortest of their times to live, as clamped. */
type Finding = Result<{ readonly ips: readonly string[]; readonly ttlMs: number }, ResolveFailure>;

interface Entry {
  readonly answer: Answer;
  readonly freshUntil: number;
  /** Until when the addresses may be used if DNS fails; long past for a failure. */
  readonly staleUntil: number;
}

type DnsChannel = InstanceType<typeof dns.Resolver>;

/**
 * How long an answer is kept, whatever its time to live. The lower bound also covers the
 * nameservers that send 0.
 */
const minTtlMs = 5_000;
const maxTtlMs = 60_000;

/** How long a failure is remembered, and a stale answer served before DNS is asked again. */
const failureMs = 2_000;

/** How long the last good addresses outlive their time to live while the nameservers fail (RFC 8767). */
const staleMs = 3_600_000;

/** How long a caller waits for DNS when there are stale addresses that would do. */
const stalePatienceMs = 200;

/** How long IPv4 addresses wait for the IPv6 ones of the same name (the Resolution Delay of RFC 8305). */
const familyGraceMs = 50;

/** The whole time for one name, search list and retries included. */
const lookUpMs = 3_000;

const lookUpLimit = 256;
const entryLimit = 4_096;

const loopback: readonly string[] = ["127.0.0.1", "::1"];

const notFound: ResolveFailure = { kind: "not-found", message: "the name does not exist" };
const timedOut: ResolveFailure = { kind: "timeout", message: "no nameserver answered in time" };
const aborted: ResolveFailure = { kind: "aborted", message: "no longer wanted" };
const busy: ResolveFailure = {
  kind: "busy",
  message: `${lookUpLimit} names are being looked up already`,
};

/** The host itself if it is an IP literal (without brackets), else null. */
export const literal = (host: string): string | null => (isIP(host) === 0 ? null : host);

/**
 * A resolver on c-ares. Bun resolves all other names (`Bun.connect`, `fetch`, `dns.lookup`) by a
 * blocking getaddrinfo on the small thread pool that file reads need too, where a few dead names
 * stop everything. c-ares asks nameservers only, so `/etc/hosts` and the search list of
 * `/etc/resolv.conf` are honoured here.
 */
export function createResolver(deps: ResolverDeps): Resolver {
  const { now = () => performance.now() } = deps;
  const files = createHostFiles({ ...deps, now });
  const ask = createDnsClient(deps.servers, now);
  const entries = createRecent<string, Entry>(entryLimit);
  const pending = new Map<string, Promise<Answer>>();

  /**
   * What to keep of a finding. A name that is gone is gone; any other failure leaves the stale
   * addresses in use.
   */
  function toEntry(finding: Finding, stale: Entry | null): Entry {
    const time = now();
    if (finding.ok) {
      const freshUntil = time + finding.value.ttlMs;
      return { answer: ok(finding.value.ips), freshUntil, staleUntil: freshUntil + staleMs };
    }
    const freshUntil = time + failureMs;
    if (stale !== null && finding.error.kind !== "not-found") return { ...stale, freshUntil };
    return { answer: err(finding.error), freshUntil, staleUntil: 0 };
  }

  async function findAnywhere(name: string): Promise<Finding> {
    const until = now() + lookUpMs;
    let failure = notFound;
    for (const candidate of await files.candidates(name)) {
      const finding = await withinOr(until - now(), ask(candidate), () => err(timedOut));
      // A silent nameserver will not answer the next candidate either.
      if (finding.ok || finding.error.kind === "timeout") return finding;
      if (finding.error.kind !== "not-found") failure = finding.error;
    }
    return err(failure);
  }

  async function lookUp(name: string, stale: Entry | null): Promise<Answer> {
    try {
      const entry = toEntry(await findAnywhere(name), stale);
      entries.set(name, entry);
      return entry.answer;
    } finally {
      pending.delete(name);
    }
  }

  async function answerOf(host: string): Promise<Answer> {
    const name = host.toLowerCase();
    const bare = name.endsWith(".") ? name.slice(0, -1) : name;
    if (bare === "") return err(notFound);
    const local = await files.addressesOf(bare);
    if (local !== null) return ok(local);
    // RFC 6761, section 6.3: these never go out to a nameserver.
    if (bare === "localhost" || bare.endsWith(".localhost")) return ok(loopback);

    const known = entries.get(name);
    if (known !== null && now() < known.freshUntil) return known.answer;
    const shared = pending.get(name);
    if (shared !== undefined) return shared;

    const stale = known !== null && now() < known.staleUntil ? known : null;
    if (pending.size >= lookUpLimit) return stale?.answer ?? err(busy);
    const fresh = lookUp(name, stale);
    const answer = stale === null ? fresh : withinOr(stalePatienceMs, fresh, () => stale.answer);
    pending.set(name, answer);
    return answer;
  }

  async function resolve(host: string, signal: AbortSignal): Promise<Answer> {
    const ip = literal(host);
    if (ip !== null) return ok([ip]);
    if (signal.aborted) return err(aborted);
    const { promise: givenUp, resolve: giveUp } = Promise.withResolvers<Answer>();
    const release = onAbort(signal, () => giveUp(err(aborted)));
    try {
      return await Promise.race([answerOf(host), givenUp]);
    } finally {
      release();
    }
  }

  return { resolve };
}

/** Asks DNS for both families of exactly this name. */
function createDnsClient(
  servers: readonly string[] | undefined,
  now: () => number,
): (name: string) => Promise<Finding> {
  let channel: DnsChannel | null = null;
  let channelUntil = 0;

  /**
   * c-ares caches answers by itself, for up to an hour and without a switch. A name is asked for
   * again after `failureMs` at the earliest, so a channel that is used for no longer than that
   * gives no answer from its cache. One channel serves all names, as each has a socket and some 40
   * kB outside the heap that the collector does not see.
   */
  function currentChannel(): DnsChannel {
    if (channel !== null && now() < channelUntil) return channel;
    // Bun checks c-ares's timeouts once a second: this asks again after 1 s and once more before
    // `lookUpMs` is over.
    channel = new dns.Resolver({ timeout: 900, tries: 3 });
    if (servers !== undefined) channel.setServers(servers);
    channelUntil = now() + failureMs;
    return channel;
  }

  return async (name) => {
    const asked = currentChannel();
    const asking6 = finding(() => asked.resolve6(name, { ttl: true }));
    const v4 = await finding(() => asked.resolve4(name, { ttl: true }));
    // IPv4 comes first anyway, so a nameserver that drops questions for IPv6 must not hold it up.
    const v6 = await (v4.ok ? withinOr(familyGraceMs, asking6, () => err(timedOut)) : asking6);
    if (!v4.ok) return v6.ok || v4.error.kind === "not-found" ? v6 : v4;
    if (!v6.ok) return v4;
    return ok({
      ips: [...v4.value.ips, ...v6.value.ips],
      ttlMs: Math.min(v4.value.ttlMs, v6.value.ttlMs),
    });
  };
}

interface AddressRecord {
  readonly address: string;
  readonly ttl: number;
}

/** One question to c-ares as a value. */
async function finding(ask: () => Promise<readonly AddressRecord[]>): Promise<Finding> {
  try {
    const records = await ask();
    if (records.length === 0) return err(notFound);
    const ttlMs = Math.min(...records.map((record) => record.ttl)) * 1_000;
    return ok({
      ips: records.map((record) => record.address),
      ttlMs: Math.min(maxTtlMs, Math.max(minTtlMs, ttlMs)),
    });
  } catch (cause) {
    const code = codeOf(cause) || messageOf(cause);
    if (code === "ENOTFOUND" || code === "ENODATA") return err(notFound);
    if (code === "ETIMEOUT") return err(timedOut);
    return err({ kind: "nameserver-error", message: `the nameserver answered with ${code}` });
  }
}

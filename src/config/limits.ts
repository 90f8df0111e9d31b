import { type Reader, readBoolean } from "../base/go-text.ts";
import { err, ok } from "../base/result.ts";
import { type AddressRange, parseAddressRange } from "../limits/cidr.ts";
import { type EgressRange, type EgressRules, parseEgressRange } from "../limits/egress.ts";
import type { Environment } from "./environment.ts";
import type { SettingName } from "./reference.ts";
import { dayMs, durationWithin, readInteger, readList } from "./setting.ts";

/** How much clients may have of the router and of what it starts. */
export interface Limits {
  /** Connections at a time; null: as many as fit. */
  readonly connections: {
    readonly total: number | null;
    readonly opening: number | null;
    readonly holding: number | null;
  };
  /** For one address, a network having four times as much; 0 for no limit. */
  readonly client: {
    readonly connections: number;
    readonly perSecond: number;
    readonly loginsPerSecond: number;
    /** Whom that does not apply to. */
    readonly exempt: readonly AddressRange[];
  };
  /** Starts of servers within ten minutes; 0 for no limit. */
  readonly wakes: {
    readonly total: number;
    readonly perClient: number;
    readonly coolDownMs: number;
    /** Clients have to prove that they are a game. */
    readonly proof: boolean;
  };
}

/** Reads the limits, and notes what is wrong with them. */
export function readLimits(env: Environment): Limits {
  return {
    connections: {
      total: env.read("AUTOMC_MAX_CONNECTIONS", readCount) || null,
      opening: env.read("AUTOMC_MAX_OPENING", readCount) || null,
      holding: env.read("AUTOMC_MAX_HOLDING", readCount) || null,
    },
    client: {
      connections: env.read("AUTOMC_CLIENT_CONNECTIONS", readCount),
      perSecond: env.read("AUTOMC_CLIENT_RATE", readCount),
      loginsPerSecond: env.read("AUTOMC_CLIENT_LOGIN_RATE", readCount),
      exempt: env.read("AUTOMC_CLIENT_EXEMPT", readAddressRanges),
    },
    wakes: {
      total: env.read("AUTOMC_WAKES", readCount),
      perClient: env.read("AUTOMC_CLIENT_WAKES", readCount),
      coolDownMs: env.read("AUTOMC_WAKE_COOLDOWN", durationWithin(0, dayMs)),
      proof: env.read("AUTOMC_WAKE_PROOF", readBoolean),
    },
  };
}

/** Reads where backends may be, and notes each entry that is wrong. */
export const readEgress = (env: Environment): EgressRules => ({
  allow: readEgressRanges(env, "AUTOMC_BACKEND_ALLOW"),
  deny: readEgressRanges(env, "AUTOMC_BACKEND_DENY"),
});

function readEgressRanges(env: Environment, name: SettingName): readonly EgressRange[] {
  return readList(env.text(name)).flatMap((entry) => {
    const range = parseEgressRange(entry);
    if (range.ok) return [range.value];
    env.problem(
      name,
      `entries such as 10.0.0.0/8, 10.0.0.5:25565 or [fd00::/8]:25565-25600 (the entry ${range.error})`,
      entry,
    );
    return [];
  });
}

const readAddressRanges: Reader<readonly AddressRange[]> = (text) => {
  const ranges: AddressRange[] = [];
  for (const entry of readList(text)) {
    const range = parseAddressRange(entry);
    if (!range.ok) return err(`IP addresses and networks (an entry ${range.error})`);
    ranges.push(range.value);
  }
  return ok(ranges);
};

/** The most that a count may be. */
const mostCount = 1_000_000;

const readCount: Reader<number> = (text) => {
  const count = readInteger(text);
  if (count.ok && count.value >= 0 && count.value <= mostCount) return count;
  return err(`an integer from 0 to ${mostCount}`);
};

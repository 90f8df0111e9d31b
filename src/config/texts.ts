import type { KickTexts } from "../session/texts.ts";
import type { Environment } from "./environment.ts";

/** Reads the router's own words. */
export function readTexts(env: Environment): {
  readonly kicks: KickTexts;
  readonly unknown: { readonly motd: string; readonly kick: string };
} {
  return {
    kicks: {
      unreachable: env.read("AUTOMC_TEXT_UNREACHABLE"),
      "wake-failed": env.read("AUTOMC_TEXT_START_FAILED"),
      "still-starting": env.read("AUTOMC_TEXT_STARTING"),
      "wake-denied": env.read("AUTOMC_TEXT_START_DENIED"),
      "wake-refused": env.read("AUTOMC_TEXT_START_REFUSED"),
      unproven: env.read("AUTOMC_TEXT_UNPROVEN"),
      mute: env.read("AUTOMC_TEXT_READY"),
      "bad-name": env.read("AUTOMC_TEXT_BAD_NAME"),
      throttled: env.read("AUTOMC_TEXT_THROTTLED"),
      full: env.read("AUTOMC_TEXT_FULL"),
      stopping: env.read("AUTOMC_TEXT_STOPPING"),
      "too-old": env.read("AUTOMC_TEXT_TOO_OLD"),
    },
    unknown: { motd: env.read("AUTOMC_UNKNOWN_MOTD"), kick: env.read("AUTOMC_UNKNOWN_KICK") },
  };
}

import type { Answer } from "./outcome.ts";

/** Why a login is refused in words of the router's own. */
export type Refusal = Exclude<Answer, "running" | "asleep" | "waking" | "unknown-host">;

/** What players read when they are refused. `{server}`, `{reason}`, `{eta}` and `{waiting}` are filled in. */
export type KickTexts = Readonly<Record<Refusal | "still-starting", string>>;

/** The texts of routers whose operator has set no others: what is the matter, and what to do. */
export const standardTexts: KickTexts = {
  unreachable: "This server cannot be reached right now. Please try again in a moment.",
  "wake-failed": "This server did not start in time. Please try again in a few minutes.",
  "still-starting": "{server} is still starting: usually {eta}. Please join again in a moment.",
  "wake-denied": "This server is asleep, and you may not start it.",
  "wake-refused":
    "This server is asleep and cannot be started right now. Please try again in a few minutes.",
  unproven:
    "This server is asleep, and your game did not answer. Please join again, with Minecraft 1.13 or newer.",
  mute: "The server is ready now. Please join again.",
  "bad-name": "Your player name is too long for this network.",
  throttled:
    "Too many players are joining from your network right now. Please try again in a few seconds.",
  full: "All places are taken right now. Please try again in a few minutes.",
  stopping: "The network is being restarted. Please join again in a moment.",
  "too-old": "This network needs Minecraft 1.7 or newer.",
};

/** What is known when a text is shown. Null is filled in as nothing. */
export interface TextValues {
  /** The server's name, or the hostname where it has none. */
  readonly server: string | null;
  /** What stood in the way, as the log has it. */
  readonly reason: string | null;
  /** How long a start usually takes, ms. */
  readonly etaMs: number | null;
  /** How many players wait for the server. */
  readonly waiting: number | null;
}

/** Nothing is known. */
export const noValues: TextValues = { server: null, reason: null, etaMs: null, waiting: null };

/** A clause with `{eta}` in it, up to the end of its sentence. */
const etaClause = /[:,;] [^:,;.!?]*\{eta\}[^.!?]*/g;

/**
 * A text with its placeholders filled in. Others are left as they are. Before a server's first start has been
 * seen, a clause that would name its usual time is left out.
 */
export function fillText(text: string, values: TextValues): string {
  const known = values.etaMs === null ? text.replace(etaClause, "") : text;
  return known.replace(/\{(server|reason|eta|waiting)\}/g, (_, name: string) => {
    switch (name) {
      case "server":
        return values.server ?? "";
      case "reason":
        return values.reason ?? "";
      case "eta":
        return values.etaMs === null ? "" : `${Math.ceil(values.etaMs / 1_000)} s`;
      default:
        return values.waiting === null ? "" : String(values.waiting);
    }
  });
}

/** A filled text whose first word is the server's name, as a sentence begins. */
export const asSentence = (text: string, filled: string): string =>
  text.startsWith("{server} ") ? filled.charAt(0).toUpperCase() + filled.slice(1) : filled;

/** An operator's text with the colour codes that Minecraft knows: `&a` is written for `§a`. */
export const withCodes = (text: string): string => text.replace(/&(?=[0-9a-fk-or])/gi, "§");

import { formatDuration } from "../base/go-text.ts";
import type { Motd, Route } from "../routing/route.ts";
import { fillText, type TextValues } from "./texts.ts";

/** The texts of routes that have none of their own; empty for nothing. */
export interface DefaultMotd {
  readonly asleepText: string;
  readonly loadingText: string;
}

/** What is known when a text for the server list is shown. */
export interface MotdValues extends TextValues {
  /** Ms since the epoch. */
  readonly now: number;
}

/**
 * What the server list shows of a backend that does not run; empty for nothing. A route's own text comes
 * first, and a starting backend without one shows what it showed asleep. `{server}`, `{eta}` and `{waiting}`
 * are filled in as in kick texts; `{duration}` is the time until the platform starts it again, as Go prints
 * it, and `now` where the platform names none or it is over.
 */
export function motdOf(
  state: "asleep" | "waking",
  { motd }: Pick<Route, "motd">,
  { asleepText, loadingText }: DefaultMotd,
  values: MotdValues,
): string {
  const asleep = motd?.asleep || asleepText;
  // Until the platform starts it again, players read when that is.
  const isDelayed = typeof motd?.until === "number";
  const isAsleep = state === "asleep" || isDelayed;
  const text = isAsleep ? asleep : motd?.loading || loadingText || asleep;
  return filled(text, motd, values);
}

/**
 * What a player reads who joins while the backend cannot be started, filled in as above; empty for the
 * router's own words.
 */
export const refusalOf = ({ motd }: Pick<Route, "motd">, values: MotdValues): string =>
  filled(motd?.refusal ?? "", motd, values);

function filled(text: string, motd: Motd | undefined, values: MotdValues): string {
  if (!text.includes("{")) return text;
  const leftMs = (motd?.until ?? 0) - values.now;
  const left = leftMs > 0 ? formatDuration(Math.round(leftMs / 1_000) * 1_000) : "now";
  return fillText(
    text.replaceAll("{duration}", () => left),
    values,
  );
}

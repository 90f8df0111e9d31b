import { formatDuration } from "../base/go-text.ts";
import type { Motd, Route } from "../routing/route.ts";

/** The texts of routes that have none of their own; empty for nothing. */
export interface DefaultMotd {
  readonly asleepText: string;
  readonly loadingText: string;
}

/**
 * What the server list shows of a backend that does not run; empty for nothing. A route's own text comes first, and a starting backend
 * without one shows what it showed asleep. `{duration}` is the time until the platform starts it again, as Go prints it, and `now` where
 * nobody says when or it is over. `now`: ms since the epoch.
 */
export function motdOf(
  state: "asleep" | "waking",
  { motd }: Pick<Route, "motd">,
  { asleepText, loadingText }: DefaultMotd,
  now: number,
): string {
  const asleep = motd?.asleep || asleepText;
  const text = state === "asleep" ? asleep : motd?.loading || loadingText || asleep;
  return withDuration(text, motd, now);
}

/** What a player reads who joins while nobody can start the backend, with `{duration}` as above; empty for the router's own words. */
export const refusalOf = ({ motd }: Pick<Route, "motd">, now: number): string =>
  withDuration(motd?.refusal ?? "", motd, now);

function withDuration(text: string, motd: Motd | undefined, now: number): string {
  if (!text.includes("{duration}")) return text;
  const leftMs = (motd?.until ?? 0) - now;
  const left = leftMs > 0 ? formatDuration(Math.round(leftMs / 1_000) * 1_000) : "now";
  return text.replaceAll("{duration}", () => left);
}

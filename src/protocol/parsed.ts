/**
 * What a parser makes of the bytes that have arrived so far.
 *
 * `ok` carries the value and the offset just behind it. `need-more` is no failure: the bytes are a valid
 * beginning. `ifQuiet` on it is what the bytes mean when nothing follows for a while (the oldest pings are
 * prefixes of newer ones).
 * `bad` is final: no further byte can make the input valid.
 */
export type Parsed<T> =
  | { readonly kind: "ok"; readonly value: T; readonly end: number }
  | { readonly kind: "need-more"; readonly ifQuiet?: T }
  | { readonly kind: "bad"; readonly reason: string };

/** A valid beginning that needs further bytes. One shared value, so that waiting allocates nothing. */
export const needMore = { kind: "need-more" } as const;

/** A parsed value and the offset just behind it. */
export const parsed = <T>(value: T, end: number): Parsed<T> => ({ kind: "ok", value, end });

/** Input that no further byte can make valid; `reason` is a constant phrase, never client text. */
export const bad = (reason: string): { readonly kind: "bad"; readonly reason: string } => ({
  kind: "bad",
  reason,
});

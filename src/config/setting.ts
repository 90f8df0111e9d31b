import type { Result } from "../base/result.ts";

/** The variables of the process; those that do not exist are undefined. */
export type Variables = Readonly<Record<string, string | undefined>>;

/** Gives the text of a file, or why it cannot be read. */
export type ReadFile = (path: string) => Result<string, string>;

/** What a reader may look at besides the setting's own text. */
export interface World {
  readonly variables: Variables;
  readonly readFile: ReadFile;
}

/**
 * A fault of a value. `expected` completes "expected ..."; `value` is shown instead of the whole text, and
 * never holds a secret. `fault` follows the value and is shown instead of what is expected: it says what is
 * wrong and what to do.
 */
export interface Remark {
  readonly expected: string;
  readonly value?: string;
  readonly fault?: string;
}

/** What a reader makes of a text: its value, with what is odd about it, or every fault. */
export type Reading<T> =
  | { readonly ok: true; readonly value: T; readonly warnings?: readonly Remark[] }
  | { readonly ok: false; readonly error: string | readonly Remark[] };

/** Reads the text of one setting. Every `Reader` of `base/go-text.ts` is one. */
export type SettingReader<T> = (text: string, world: World) => Reading<T>;

/** One environment variable. */
export interface Setting<T> {
  readonly read: SettingReader<T>;
  /** As an operator would write it; empty for none. The reader must take it. */
  readonly default: string;
  /** Printed instead of `default` where that depends on something else. */
  readonly defaultText?: string;
  /** One sentence for the operator. */
  readonly meaning: string;
  /**
   * A "refused" setting stops the start when it has another value than its default; nothing is ignored
   * silently.
   */
  readonly status: "supported" | "accepted and ignored" | "refused";
  /**
   * Never printed. When supported, `<name>_FILE` may name a file that holds it, and systemd may pass it as a
   * credential.
   */
  readonly secret?: boolean;
  /** A further name for the same setting; the main one wins. */
  readonly otherName?: string;
  /** What to do instead, for a setting that is ignored or refused. */
  readonly advice?: string;
}

/** What few settings have. */
type Extras = Pick<Setting<unknown>, "defaultText" | "otherName" | "secret">;

/** A setting that does what it says. */
export const setting = <T>(
  read: SettingReader<T>,
  standard: string,
  meaning: string,
  extras: Extras = {},
): Setting<T> => ({ read, default: standard, meaning, status: "supported", ...extras });

/** A setting whose text is never printed; unset by default. */
export const secret = <T>(
  read: SettingReader<T>,
  meaning: string,
  extras: Extras = {},
): Setting<T> => setting(read, "", meaning, { ...extras, secret: true });

/** The row, as a setting of upstream that must keep its default here; `advice` says what to do instead. */
export const refused = <T>(row: Setting<T>, advice: string): Setting<T> => ({
  ...row,
  status: "refused",
  advice,
});

/** The row, as a setting of upstream that may be set and does nothing here; `advice` says why. */
export const ignored = <T>(row: Setting<T>, advice: string): Setting<T> => ({
  ...row,
  status: "accepted and ignored",
  advice,
});

import type { Fields, Level } from "./line.ts";

/** One line of the log before it is printed. */
export interface Entry {
  readonly level: Level;
  /** A constant phrase; what varies is in the fields. */
  readonly message: string;
  readonly fields: Fields;
}

/** An entry for the course of things. */
export const info = (message: string, fields: Fields): Entry => ({
  level: "info",
  message,
  fields,
});

/** An entry that an operator should act on. */
export const warn = (message: string, fields: Fields): Entry => ({
  level: "warn",
  message,
  fields,
});

/** An entry that only helps to find out why. */
export const debug = (message: string, fields: Fields): Entry => ({
  level: "debug",
  message,
  fields,
});

/** A duration in seconds with one decimal, such as `8.1s`. */
export const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)}s`;

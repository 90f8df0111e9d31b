/** What was looked at, and what is wrong with it and what to do; null: nothing. */
export interface Finding {
  readonly what: string;
  readonly problem: string | null;
}

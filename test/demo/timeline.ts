/** What the demo tells, line by line, each with the seconds since it began. */
export interface Timeline {
  chapter(title: string): void;
  /** What somebody did or saw. Only what has been checked is told. */
  tell(who: string, what: string): void;
  /** Text that is no event: as it is, without a time. */
  say(text: string): void;
}

/** How the lines are written. */
export interface TimelineOptions {
  readonly write: (text: string) => void;
  readonly colour: boolean;
  /** Milliseconds on any clock that does not jump. */
  readonly now: () => number;
}

/** SGR codes (ECMA-48, 8.3.117). */
const sgr = { bold: 1, dim: 2, cyan: 36 } as const;

const whoWidth = 13;

/** A timeline that begins now. */
export function createTimeline({ write, colour, now }: TimelineOptions): Timeline {
  const startedAt = now();
  const paint = (code: number, text: string): string =>
    colour ? `\x1b[${code}m${text}\x1b[0m` : text;
  return {
    chapter: (title) => write(`\n${paint(sgr.bold, title)}\n`),
    tell(who, what) {
      const time = ((now() - startedAt) / 1000).toFixed(2).padStart(7);
      write(`${paint(sgr.dim, `${time} s`)}  ${paint(sgr.cyan, who.padEnd(whoWidth))}  ${what}\n`);
    },
    say: (text) => write(`${text}\n`),
  };
}

/** A time as the lines tell it. */
export const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

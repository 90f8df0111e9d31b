/** A command of the program. */
export interface Command {
  readonly name: string;
  /** What may follow it, as help shows it; empty for nothing. */
  readonly argument: string;
  readonly meaning: string;
}

/** Every command, in the order in which help, the man page and the shells' completions list them. */
export const commands: readonly Command[] = [
  { name: "check", argument: "", meaning: "prints every problem of the configuration" },
  {
    name: "explain",
    argument: "HOST",
    meaning: "tells how a hostname is routed, and why",
  },
  { name: "schema", argument: "", meaning: "prints the SQL for the table of servers" },
  {
    name: "unit",
    argument: "[KIND]",
    meaning: "prints a unit for systemd; KIND is service, template or socket",
  },
  { name: "version", argument: "", meaning: "prints the version" },
  { name: "help", argument: "", meaning: "prints this help" },
];

/** A command of the program. */
export interface Command {
  readonly name: string;
  /** What may follow it, as help shows it; empty for nothing. */
  readonly argument: string;
  /** Flags that it takes. */
  readonly flags: readonly string[];
  readonly meaning: string;
}

/** Every command, in the order in which help, the man page and the shells' completions list them. */
export const commands: readonly Command[] = [
  {
    name: "status",
    argument: "",
    flags: ["--json", "--watch"],
    meaning: "shows servers, players, sources and warnings",
  },
  {
    name: "explain",
    argument: "HOST",
    flags: [],
    meaning: "tells where a hostname leads, and why",
  },
  {
    name: "ping",
    argument: "HOST",
    flags: [],
    meaning: "pings a hostname as a player's list does",
  },
  { name: "sessions", argument: "", flags: ["--json"], meaning: "lists the connected clients" },
  { name: "log", argument: "[LEVEL]", flags: [], meaning: "shows or sets the level of the log" },
  {
    name: "check",
    argument: "",
    flags: ["--dry"],
    meaning: "tests the configuration and what it names",
  },
  { name: "env", argument: "", flags: [], meaning: "prints a file with every setting" },
  { name: "schema", argument: "", flags: [], meaning: "prints the SQL for the table of servers" },
  {
    name: "unit",
    argument: "[KIND]",
    flags: [],
    meaning: "prints a systemd unit: service, template, socket",
  },
  { name: "version", argument: "", flags: [], meaning: "prints the version" },
  { name: "help", argument: "[NAME]", flags: [], meaning: "prints this, or tells of one setting" },
];

/** Runs a command to its end, whatever becomes of it. */
export const spawn = (command: readonly string[]) =>
  Bun.spawnSync([...command], { stdin: "ignore" });

/** Runs a command to its end and gives what it printed. Throws when it fails. */
export function execute(command: readonly string[]): string {
  const done = spawn(command);
  if (done.exitCode !== 0) throw commandFailure(command, done);
  return done.stdout.toString();
}

/** The error of a command that failed, with what it said. */
export const commandFailure = (
  command: readonly string[],
  { exitCode, stdout, stderr }: ReturnType<typeof spawn>,
): Error => new Error(`${command.join(" ")} ended with ${exitCode}: ${stdout}${stderr}`);

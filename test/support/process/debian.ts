/** The path of a program that tests need beside Bun. Throws with the Debian package that has it when it is not installed: no test is skipped for want of it. */
export function requireProgram(program: string, debianPackage: string): string {
  const path = Bun.which(program);
  if (path !== null) return path;
  throw new Error(
    `${program} is not installed: apt-get install -y --no-install-recommends ${debianPackage}`,
  );
}

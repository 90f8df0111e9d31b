import { spawnSync } from "node:child_process";

/**
 * The account that servers run as: PostgreSQL refuses to run as root. Empty for an ordinary user, who runs
 * them himself.
 */
export const serverAccount = findAccount();

function findAccount(): { uid: number; gid: number } | { uid?: never; gid?: never } {
  if (process.getuid?.() !== 0) return {};
  const idOf = (flag: string, name: string) => {
    const asked = spawnSync("id", [flag, name], { encoding: "utf8" });
    return asked.status === 0 ? Number(asked.stdout) : null;
  };
  for (const name of ["postgres", "nobody"]) {
    const uid = idOf("-u", name);
    const gid = idOf("-g", name);
    if (uid !== null && gid !== null) return { uid, gid };
  }
  throw new Error("as root, the tests need an account postgres or nobody to run PostgreSQL");
}

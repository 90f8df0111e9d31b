import { readFileSync } from "node:fs";
import { join } from "node:path";
import { faketimeLibrary } from "../process/faketime.ts";

/** A certificate and its key, PEM texts. */
export interface Certificate {
  readonly certificate: string;
  readonly key: string;
}

/** An authority of the test's own. */
export interface Authority {
  /** File with its own certificate, for `sslrootcert`. */
  readonly path: string;
  /** Makes a certificate for `localhost` and no other name: good for two days from now, or from so many days ago. */
  certify(daysAgo?: number): Promise<Certificate>;
}

const fresh = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2".split(" ");

/** Makes an authority, whose files are in that folder under that name. */
export async function makeAuthority(folder: string, name: string): Promise<Authority> {
  const at = (file: string) => join(folder, `${name}-${file}`);
  const own = { path: at("ca.pem"), key: at("ca.key") };
  const isAuthority = ["-addext", "basicConstraints=critical,CA:true"];
  await openssl({}, `/CN=${name}`, [...isAuthority, "-keyout", own.key, "-out", own.path]);
  let made = 0;
  return {
    path: own.path,
    async certify(daysAgo = 0) {
      made += 1;
      const [certificate, key] = [at(`${made}.pem`), at(`${made}.key`)];
      const signed = ["-CA", own.path, "-CAkey", own.key];
      const names = ["-addext", "subjectAltName=DNS:localhost"];
      const files = ["-keyout", key, "-out", certificate];
      const clock =
        daysAgo === 0 ? {} : { LD_PRELOAD: faketimeLibrary(), FAKETIME: `-${daysAgo}d` };
      await openssl(clock, "/CN=localhost", [...signed, ...names, ...files]);
      return { certificate: readFileSync(certificate, "utf8"), key: readFileSync(key, "utf8") };
    },
  };
}

async function openssl(
  env: Readonly<Record<string, string>>,
  subject: string,
  words: readonly string[],
): Promise<void> {
  const command = ["openssl", "req", "-x509", ...fresh, "-subj", subject, ...words];
  const child = Bun.spawn(command, {
    env: { ...process.env, ...env },
    stderr: "pipe",
    stdout: "ignore",
  });
  const [said, code] = await Promise.all([child.stderr.text(), child.exited]);
  if (code !== 0) throw new Error(`${command.join(" ")}: ${said}`);
}

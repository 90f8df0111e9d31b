/** One line of a password file (PostgreSQL, "The Password File"); null in a field matches everything. */
export interface PassfileLine {
  readonly host: string | null;
  readonly port: string | null;
  readonly database: string | null;
  readonly user: string | null;
  readonly password: string;
}

/** What a connection looks for. */
interface PassfileKey {
  /** As written, or `localhost` for a Unix socket in its default folder. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
}

/** The lines of the form `host:port:database:user:password`; others and comments are skipped, as in libpq. */
export function parsePassfile(text: string): readonly PassfileLine[] {
  const lines: PassfileLine[] = [];
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith("#")) continue;
    const fields = [...line.matchAll(/(?:^|:)((?:[^:\\]|\\.)*)/gs)].map(([, field = ""]) => field);
    if (fields.length < 5) continue;
    const [host = "", port = "", database = "", user = "", ...rest] = fields;
    lines.push({
      host: pattern(host),
      port: pattern(port),
      database: pattern(database),
      user: pattern(user),
      password: unescaped(rest.join(":")),
    });
  }
  return lines;
}

/** The password of the first line that matches; null when none does. */
export function findPassword(lines: readonly PassfileLine[], key: PassfileKey): string | null {
  const matches = (wanted: string | null, value: string) => wanted === null || wanted === value;
  const line = lines.find(
    ({ host, port, database, user }) =>
      matches(host, key.host) &&
      matches(port, String(key.port)) &&
      matches(database, key.database) &&
      matches(user, key.user),
  );
  return line?.password ?? null;
}

const pattern = (field: string): string | null => (field === "*" ? null : unescaped(field));

const unescaped = (field: string): string => field.replace(/\\(.)/gs, "$1");

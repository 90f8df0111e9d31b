declare const hostnameBrand: unique symbol;

/** A hostname in the one form that routing, wakes, labels and logs share. Only `toHostname` makes one. */
export type Hostname = string & { readonly [hostnameBrand]: true };

/**
 * The one form of a server address as a client sends it or an operator writes it. Never fails: junk stays junk, and matches nothing.
 *
 * What mods and proxies append goes first, in this order: everything from a NUL (Forge, FML), everything from a backslash (Infinity Filter), and
 * `///` to the end of its line (TCPShield). Then one root dot and the case. With `simplifySrv` also everything up to the first `_tcp` label,
 * for clients that put the name of the SRV record into the handshake. A port or outer spaces are not removed: no client sends them.
 */
export function toHostname(raw: string, simplifySrv = false): Hostname {
  const clean = isClean(raw) ? raw : cleaned(raw);
  return (simplifySrv ? withoutSrvPrefix(clean) : clean) as Hostname;
}

/** True for what nearly every client sends: lower-case ASCII letters, digits, `-`, `.` and `_`, without a root dot. */
function isClean(raw: string): boolean {
  for (let i = 0; i < raw.length; i++) {
    const code = raw.charCodeAt(i);
    const isLetter = code >= 0x61 && code <= 0x7a;
    const isDigit = code >= 0x30 && code <= 0x39;
    if (!isLetter && !isDigit && code !== 0x2e && code !== 0x2d && code !== 0x5f) return false;
  }
  return !raw.endsWith(".");
}

function cleaned(raw: string): string {
  const bare = before(before(raw, "\0"), "\\").replace(/\/\/\/[^\n]*/g, "");
  return lowerCase(bare.endsWith(".") ? bare.slice(0, -1) : bare);
}

function before(text: string, mark: string): string {
  const at = text.indexOf(mark);
  return at === -1 ? text : text.slice(0, at);
}

/**
 * Unicode's simple case mapping, one code unit to one: what Go's `strings.ToLower` does. `toLowerCase` alone lengthens U+0130, and writes
 * a capital sigma in two ways depending on its neighbours, so that a name would depend on what stood behind it.
 */
const lowerCase = (text: string): string =>
  text.replaceAll("\u0130", "i").replaceAll("\u03a3", "\u03c3").toLowerCase();

function withoutSrvPrefix(hostname: string): string {
  if (!hostname.includes("_tcp")) return hostname;
  const at = `.${hostname}.`.indexOf("._tcp.");
  return at === -1 ? hostname : hostname.slice(at + "_tcp.".length);
}

declare const hostnameBrand: unique symbol;

/** A hostname in the one form that routing, wakes, labels and logs share. Only `toHostname` makes one. */
export type Hostname = string & { readonly [hostnameBrand]: true };

/**
 * The one form of a hostname, as a client sends it or an operator writes it. Never fails: junk stays junk,
 * and matches nothing.
 *
 * What mods and proxies append is removed first, in this order: everything from a NUL (Forge, FML),
 * everything from a backslash (Infinity Filter), and `///` to the end of its line (TCPShield). Then one root
 * dot, the case, and letters beyond ASCII, which clients send in the form of IDNA. With `simplifySrv` also
 * everything up to the first `_tcp` label, for clients that put the name of the SRV record into the
 * handshake. A port and outer spaces stay: no client sends them.
 */
export function toHostname(raw: string, simplifySrv = false): Hostname {
  const clean = isClean(raw) ? raw : cleaned(raw);
  return (simplifySrv ? withoutSrvPrefix(clean) : clean) as Hostname;
}

/**
 * True for what nearly every client sends: lower-case letters, digits, `-`, `.` and `_`, without a root dot.
 */
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
  return toAscii(lowerCase(bare.endsWith(".") ? bare.slice(0, -1) : bare));
}

/**
 * Longer names match no pattern: the handshake has room for 255 characters (Minecraft protocol, "Handshake").
 */
const longestIdn = 255;

/**
 * The name in the form that IDNA gives it; itself where it is ASCII already, or no name that IDNA allows.
 * Minecraft clients encode by `java.net.IDN`, that is IDNA 2003, which writes two letters otherwise than
 * `URL` does (RFC 3491).
 */
export function toAscii(name: string): string {
  if (/^[\0-\x7f]*$/.test(name) || name.length > longestIdn) return name;
  const compatible = name.replaceAll("ß", "ss").replaceAll("ς", "σ");
  // What has a meaning in a URL would be cut off or decoded.
  if (/[^a-z0-9._\-\x80-\u{10ffff}]/u.test(compatible)) return name;
  return URL.parse(`http://${compatible}`)?.hostname ?? name;
}

function before(text: string, mark: string): string {
  const at = text.indexOf(mark);
  return at === -1 ? text : text.slice(0, at);
}

/**
 * Unicode's simple case mapping, one code unit to one, as Go's `strings.ToLower`. `toLowerCase` alone
 * lengthens U+0130, and writes a capital sigma in two ways depending on its neighbours.
 */
const lowerCase = (text: string): string =>
  text.replaceAll("\u0130", "i").replaceAll("\u03a3", "\u03c3").toLowerCase();

function withoutSrvPrefix(hostname: string): string {
  if (!hostname.includes("_tcp")) return hostname;
  const at = `.${hostname}.`.indexOf("._tcp.");
  return at === -1 ? hostname : hostname.slice(at + "_tcp.".length);
}

/** Where IPv4 addresses stand among those of IPv6: behind these twelve bytes (RFC 4291, section 2.5.5.2). */
export const mappedPrefix: Uint8Array = Uint8Array.fromHex("00000000000000000000ffff");

/**
 * Sixteen bytes of an IP literal, IPv4 as IPv4-mapped; null for other text. Strict: no leading
 * zeros in octets, no zone, no brackets.
 */
export function ipBytes(text: string): Uint8Array | null {
  if (!text.includes(":")) return text.includes(".") ? ipBytes(`::ffff:${text}`) : null;

  const halves = withoutDottedTail(text).split("::");
  const [head = [], tail = []] = halves.map((half) => (half === "" ? [] : half.split(":")));
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : halves.length > 2 || missing !== 0) return null;

  const groups = [...head, ...Array<string>(missing).fill("0"), ...tail];
  if (!groups.every((group) => /^[\da-f]{1,4}$/i.test(group))) return null;
  return Uint8Array.fromHex(groups.map((group) => group.padStart(4, "0")).join(""));
}

/**
 * The text of an IPv6 address's sixteen bytes in its shortest form (RFC 5952, section 4); a mapped
 * one stays IPv6.
 */
export function ipv6Text(bytes: Uint8Array): string {
  // The runtime's URL parser shortens as the RFC says. It gets eight plain groups, as it does not
  // read every literal rightly.
  const groups = bytes.toHex().replace(/.{4}(?!$)/g, "$&:");
  return new URL(`http://[${groups}]/`).hostname.slice(1, -1);
}

/** `host:port`, with brackets around an IPv6 literal. */
export const hostPort = (host: string, port: number | string): string =>
  host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;

/** An IPv6 literal without its zone (RFC 4007, section 11); other text as it is. */
export const withoutZone = (text: string): string =>
  text.includes(":") ? text.replace(/%[\w.-]+$/, "") : text;

/**
 * `::ffff:10.0.0.5` as `::ffff:0a00:0005`. An octet above 255 makes a group of more than four
 * digits, which is no group.
 */
function withoutDottedTail(text: string): string {
  const dotted = /(?<=:)(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})$/;
  return text.replace(dotted, (quad) => {
    const hex = quad.split(".").map((octet) => Number(octet).toString(16).padStart(2, "0"));
    return hex.join("").replace(/^.{4}/, "$&:");
  });
}

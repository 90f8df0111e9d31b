/**
 * The first 64 bits of an IPv6 address, or an IPv4 address. Filled in again and again, so that
 * reading one allocates nothing.
 */
export interface IpPrefix {
  family: 4 | 6;
  /** The IPv4 address, or the first 32 bits of an IPv6 one, as an unsigned integer. */
  high: number;
  /** The next 32 bits of an IPv6 address; 0 for IPv4. */
  low: number;
}

const dot = 0x2e;
const colon = 0x3a;
const percent = 0x25;

/** The eight groups of the address at hand. */
const groups = new Uint16Array(8);

/**
 * Reads an IP literal as the kernel prints it, an IPv4-mapped one as the IPv4 address that it means
 * (RFC 4291, section 2.5.5.2). False, with nothing of use filled in, for text that is none.
 */
export function readIpPrefix(text: string, into: IpPrefix): boolean {
  if (text.indexOf(":") === -1) return readIpv4(text, 0, into);
  if (text.startsWith("::ffff:") && text.indexOf(".") !== -1) return readIpv4(text, 7, into);
  return readIpv6(text, into);
}

function readIpv4(text: string, start: number, into: IpPrefix): boolean {
  let address = 0;
  let octet = 0;
  let digits = 0;
  let dots = 0;
  for (let at = start; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === dot) {
      if (digits === 0) return false;
      dots += 1;
      address = address * 256 + octet;
      octet = 0;
      digits = 0;
    } else {
      // A leading zero makes it octal to some readers, so it is no literal.
      if (code < 0x30 || code > 0x39 || (digits > 0 && octet === 0)) return false;
      octet = octet * 10 + code - 0x30;
      digits += 1;
      if (octet > 255) return false;
    }
  }
  if (dots !== 3 || digits === 0) return false;
  into.family = 4;
  into.high = address * 256 + octet;
  into.low = 0;
  return true;
}

function readIpv6(text: string, into: IpPrefix): boolean {
  let count = 0;
  let gap = -1;
  let group = 0;
  let digits = 0;
  for (let at = text.startsWith("::") ? 1 : 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === percent) break;
    if (code === dot) {
      // Four octets stand at the end in place of two groups.
      if (count > 6 || !readIpv4(text, at - digits, into)) return false;
      groups[count] = into.high >>> 16;
      groups[count + 1] = into.high & 0xffff;
      count += 2;
      digits = 0;
      break;
    }
    if (code === colon) {
      if (digits > 0) {
        if (count === 8) return false;
        groups[count] = group;
        count += 1;
        group = 0;
        digits = 0;
        if (at + 1 === text.length) return false;
        continue;
      }
      if (gap !== -1 || at === 0) return false;
      gap = count;
      continue;
    }
    const digit = hexDigit(code);
    digits += 1;
    if (digit === -1 || digits > 4) return false;
    group = group * 16 + digit;
  }
  if (digits > 0) {
    if (count === 8) return false;
    groups[count] = group;
    count += 1;
  }
  if (gap === -1 ? count !== 8 : count > 7) return false;
  fillIn(into, gap, 8 - count);
  return true;
}

function fillIn(into: IpPrefix, gap: number, missing: number): void {
  const at = (index: number): number => groupAt(index, gap, missing);
  const isMapped = at(5) === 0xffff && at(0) + at(1) + at(2) + at(3) + at(4) === 0;
  into.family = isMapped ? 4 : 6;
  into.high = isMapped ? at(6) * 0x1_0000 + at(7) : at(0) * 0x1_0000 + at(1);
  into.low = isMapped ? 0 : at(2) * 0x1_0000 + at(3);
}

/** One of the eight groups, with those that `::` stands for put in. */
function groupAt(index: number, gap: number, missing: number): number {
  if (gap === -1 || index < gap) return groups[index] ?? 0;
  return index < gap + missing ? 0 : (groups[index - missing] ?? 0);
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = (code | 0x20) - 0x61;
  return letter >= 0 && letter < 6 ? letter + 10 : -1;
}

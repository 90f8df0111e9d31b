/** DER, the encoding of certificates (ITU-T X.690): each value is a tag, a length and its content. */

const value = (tag: number, content: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from([tag]), lengthOf(content), content]);

function lengthOf(content: Uint8Array): Buffer {
  const { length } = content;
  if (length < 0x80) return Buffer.from([length]);
  if (length < 0x100) return Buffer.from([0x81, length]);
  if (length < 0x1_0000) return Buffer.from([0x82, length >> 8, length & 0xff]);
  throw new RangeError(`no certificate has a value of ${length} bytes`);
}

export const sequence = (...parts: readonly Uint8Array[]): Buffer =>
  value(0x30, Buffer.concat(parts));

export const set = (...parts: readonly Uint8Array[]): Buffer => value(0x31, Buffer.concat(parts));

/** A positive integer, big-endian, whose first bit is not set. */
export const integer = (bytes: Uint8Array): Buffer => value(0x02, bytes);

export const boolean = (isTrue: boolean): Buffer => value(0x01, Buffer.from([isTrue ? 0xff : 0]));

export const bitString = (content: Uint8Array): Buffer =>
  value(0x03, Buffer.concat([Buffer.from([0]), content]));

export const octetString = (content: Uint8Array): Buffer => value(0x04, content);

export const text = (content: string): Buffer => value(0x0c, Buffer.from(content));

/** GeneralizedTime in whole seconds of UTC. */
export const time = (date: Date): Buffer =>
  value(0x18, Buffer.from(`${date.toISOString().replaceAll(/[-:T]|\..*/g, "")}Z`));

/** A constructed, context-specific value. */
export const tagged = (number: number, content: Uint8Array): Buffer =>
  value(0xa0 + number, content);

/** A primitive, context-specific value. */
export const implicit = (number: number, content: Uint8Array): Buffer =>
  value(0x80 + number, content);

/** An object identifier, such as `2.5.4.3`. */
export function identifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...others] = dotted.split(".").map(Number);
  const groups = others.map((number) => {
    const digits = [number & 0x7f];
    for (let rest = number >> 7; rest > 0; rest >>= 7) digits.unshift(0x80 | (rest & 0x7f));
    return Buffer.from(digits);
  });
  return value(0x06, Buffer.concat([Buffer.from([first * 40 + second]), ...groups]));
}

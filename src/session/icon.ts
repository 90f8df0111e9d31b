/** The picture that a server shows in the server list. */
export interface Icon {
  /** A PNG file. */
  readonly png: Uint8Array<ArrayBuffer>;
  /** Changes with the picture. */
  readonly version: string;
}

const prefix = "data:image/png;base64,";
const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
/** Where IHDR, always the first chunk, has the width and the height: https://www.w3.org/TR/png-3/#11IHDR */
const widthAt = 16;
const heightAt = 20;
/** Clients show icons of this size only, in pixels each way. */
const side = 64;

/** True for text that a client would try to read as an icon. */
export const isIcon = (value: unknown): value is string =>
  typeof value === "string" && value.startsWith(prefix);

/** The icon in a status response's `favicon`; null for what no client shows. */
export function toIcon(favicon: string): Icon | null {
  if (!isIcon(favicon)) return null;
  // Servers before 1.13 break the base64 text into lines.
  const text = favicon.slice(prefix.length).replaceAll("\n", "");
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return null;
  const png = Buffer.from(text, "base64");
  if (png.length < heightAt + 4 || !png.subarray(0, signature.length).equals(signature))
    return null;
  if (png.readUInt32BE(widthAt) !== side || png.readUInt32BE(heightAt) !== side) return null;
  return { png: new Uint8Array(png), version: Bun.hash(png).toString(36) };
}

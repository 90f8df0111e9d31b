import { crc32, deflateSync } from "node:zlib";

/** A grey PNG file with that many pixels each way: https://www.w3.org/TR/png-3/ */
export function greyPng(side: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(side, 0);
  header.writeUInt32BE(side, 4);
  // Eight bits of grey for each pixel; each line begins with the number of its filter.
  header[8] = 8;
  const lines = Buffer.alloc(side * (1 + side), 0x80);
  for (let line = 0; line < side; line += 1) lines[line * (1 + side)] = 0;
  return Buffer.concat([
    Buffer.from("\x89PNG\r\n\x1a\n", "latin1"),
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(lines)),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

/** The `favicon` of a status response with that picture. */
export const faviconOf = (png: Buffer): string => `data:image/png;base64,${png.toString("base64")}`;

function chunk(kind: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(kind), data]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}

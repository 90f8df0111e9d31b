import { posix } from "node:path";

/** A file, or a symbolic link where `link` is set, of an archive. */
export interface Entry {
  /** Without a slash or dot at its start. */
  readonly path: string;
  readonly content: Uint8Array | string;
  /** Permission bits; 0644 when left out. */
  readonly mode?: number;
  /** What a symbolic link points to; its content is empty. */
  readonly link?: string;
}

const blockSize = 512;

/**
 * A tar archive (POSIX ustar) of the entries in the order of their paths, with all folders above them below `./`.
 * Everything belongs to root and has that date, so the same entries give the same bytes.
 */
export function tar(entries: readonly Entry[], date: Date): Buffer {
  const folders = new Set<string>();
  for (const { path } of entries) {
    for (let folder = posix.dirname(path); folder !== "."; folder = posix.dirname(folder)) {
      folders.add(folder);
    }
  }
  const members = [
    {
      path: "./",
      header: header("./", 0, date, { mode: 0o755, type: "5" }),
      content: Buffer.alloc(0),
    },
    ...[...folders].map((folder) => ({
      path: `./${folder}/`,
      header: header(`./${folder}/`, 0, date, { mode: 0o755, type: "5" }),
      content: Buffer.alloc(0),
    })),
    ...entries.map(({ path, content, mode = 0o644, link }) => {
      const bytes = Buffer.from(content);
      const type = link === undefined ? "0" : "2";
      const shown = header(`./${path}`, bytes.length, date, {
        mode: link === undefined ? mode : 0o777,
        type,
        link: link ?? "",
      });
      return { path: `./${path}`, header: shown, content: bytes };
    }),
  ].sort((a, b) => (a.path < b.path ? -1 : 1));
  const blocks = members.flatMap(({ header, content }) => [header, content, padding(content)]);
  // Two empty blocks end an archive.
  return Buffer.concat([...blocks, Buffer.alloc(2 * blockSize)]);
}

function header(
  name: string,
  size: number,
  date: Date,
  { mode, type, link = "" }: { mode: number; type: string; link?: string },
): Buffer {
  if (Buffer.byteLength(name) > 100) throw new RangeError(`too long for a tar archive: ${name}`);
  const block = Buffer.alloc(blockSize);
  const octal = (value: number, offset: number, length: number): void => {
    block.write(value.toString(8).padStart(length - 1, "0"), offset, "latin1");
  };
  block.write(name, 0, "utf8");
  octal(mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(size, 124, 12);
  octal(Math.floor(date.getTime() / 1000), 136, 12);
  block.write(type, 156, "latin1");
  block.write(link, 157, "utf8");
  block.write("ustar\0", 257, "latin1");
  block.write("00root", 263, "latin1");
  block.write("root", 297, "latin1");
  // The checksum counts its own field as spaces.
  block.fill(" ", 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

const padding = (content: Uint8Array): Buffer =>
  Buffer.alloc((blockSize - (content.length % blockSize)) % blockSize);

/** An ar archive as dpkg reads it (deb(5)): members in this order, all of root's and with that date. */
export function ar(members: readonly Entry[], date: Date): Buffer {
  const parts = members.flatMap(({ path, content, mode = 0o644 }) => {
    const bytes = Buffer.from(content);
    const fields = [
      path.padEnd(16),
      String(Math.floor(date.getTime() / 1000)).padEnd(12),
      "0".padEnd(6),
      "0".padEnd(6),
      (0o100000 + mode).toString(8).padEnd(8),
      String(bytes.length).padEnd(10),
      "`\n",
    ];
    return [Buffer.from(fields.join("")), bytes, Buffer.from(bytes.length % 2 === 0 ? "" : "\n")];
  });
  return Buffer.concat([Buffer.from("!<arch>\n"), ...parts]);
}

/** gzip at its best level, without a name and a date in its header. */
export const gzip = (content: Uint8Array<ArrayBuffer>): Buffer =>
  Buffer.from(Bun.gzipSync(content, { level: 9 }));

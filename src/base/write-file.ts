import { type FileHandle, open, realpath, rename, rm, stat } from "node:fs/promises";
import { codeOf, messageOf } from "./thrown.ts";

/** The step that puts a finished file in the old one's place. */
export type Rename = (from: string, to: string) => Promise<void>;

/** What a file shall hold: its text, or what yields the text in chunks, anew at each call. */
type FileContent = string | (() => AsyncIterable<string>);

/** How a file is replaced. */
interface ReplaceOptions {
  /**
   * The file's permission bits; left out, those of the old file, or of upstream's new files less
   * the process's mask.
   */
  readonly mode?: number;
  /** By default the system's own. */
  readonly move?: Rename;
}

/** What upstream creates the file with, before the process's mask. */
const newFileMode = 0o664;

/**
 * Where a file cannot be replaced although it may be written: a single-file bind mount, or a folder
 * of another owner.
 */
const cannotReplace = new Set(["EBUSY", "EXDEV", "EACCES", "EPERM", "EROFS"]);

/**
 * Replaces a file's content so that a reader finds the old or the new one whole; links are
 * followed, mode and owner stay. Where the file can only be written in place, it is. Gives null, or
 * why it failed; the old content is then still there.
 */
export async function replaceFile(
  path: string,
  content: FileContent,
  options: ReplaceOptions = {},
): Promise<string | null> {
  try {
    const target = await realpath(path).catch(() => path); // a file that does not exist yet has no other name
    try {
      await writeBeside(target, content, options);
    } catch (error) {
      if (!cannotReplace.has(codeOf(error))) throw error;
      await writeInPlace(target, content).catch((second: unknown) => {
        throw codeOf(second) === "ENOENT" ? error : second; // a file that is not there fails for the first reason
      });
    }
    return null;
  } catch (error) {
    return messageOf(error);
  }
}

async function writeBeside(
  target: string,
  content: FileContent,
  { mode, move = rename }: ReplaceOptions,
): Promise<void> {
  // Instances of the router share files: each writes under a name of its own.
  const temporary = `${target}.${process.pid}.new`;
  try {
    const file = await open(temporary, "w", mode ?? newFileMode);
    try {
      await takeOwnership(file, target);
      if (mode !== undefined) await file.chmod(mode);
      await writeAll(file, content);
      await file.sync();
    } finally {
      await file.close();
    }
    await move(temporary, target);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/**
 * Mode and owner of the file that will be replaced. A process that may not give the owner away
 * fails here, with EPERM.
 */
async function takeOwnership(file: FileHandle, target: string): Promise<void> {
  const old = await stat(target).catch(() => null); // there is none yet
  if (old === null) return;
  const own = await file.stat();
  if (own.uid !== old.uid || own.gid !== old.gid) await file.chown(old.uid, old.gid);
  await file.chmod(old.mode & 0o7777);
}

/** The new bytes are over the old ones before the rest is cut off, so that the file is never empty. */
async function writeInPlace(target: string, content: FileContent): Promise<void> {
  const file = await open(target, "r+");
  try {
    await file.truncate(await writeAll(file, content));
    await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * Writes from the file's beginning; gives the number of bytes. A full disk may take a part of them
 * and report no error.
 */
async function writeAll(file: FileHandle, content: FileContent): Promise<number> {
  const encoder = new TextEncoder();
  let position = 0;
  for await (const text of typeof content === "string" ? [content] : content()) {
    const bytes = encoder.encode(text);
    const { bytesWritten } = await file.write(bytes, 0, bytes.length, position);
    if (bytesWritten < bytes.length) throw new Error("the disk is full");
    position += bytesWritten;
  }
  return position;
}

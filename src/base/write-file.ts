import { type FileHandle, open, realpath, rename, rm, stat } from "node:fs/promises";
import { codeOf, messageOf } from "./thrown.ts";

/** The step that puts a finished file in the old one's place. */
export type Rename = (from: string, to: string) => Promise<void>;

/** What upstream creates the file with, before the process's mask. */
const newFileMode = 0o664;

/** A file that cannot be replaced although it may be written: a single-file bind mount, or a folder that belongs to somebody else. */
const cannotReplace = new Set(["EBUSY", "EXDEV", "EACCES", "EPERM", "EROFS"]);

/**
 * Replaces a file's content so that whoever reads it finds the old or the new one whole; links are followed, mode and owner stay.
 * Where the file can only be written in place, it is. Gives null, or why it failed; the old content is then still there.
 */
export async function replaceFile(
  path: string,
  text: string,
  move: Rename = rename,
): Promise<string | null> {
  try {
    const target = await realpath(path).catch(() => path); // a file that does not exist yet has no other name
    const bytes = new TextEncoder().encode(text);
    try {
      await writeBeside(target, bytes, move);
    } catch (error) {
      if (!cannotReplace.has(codeOf(error))) throw error;
      await writeInPlace(target, bytes).catch((second: unknown) => {
        throw codeOf(second) === "ENOENT" ? error : second; // a file that is not there fails for the first reason
      });
    }
    return null;
  } catch (error) {
    return messageOf(error);
  }
}

async function writeBeside(target: string, bytes: Uint8Array, move: Rename): Promise<void> {
  const temporary = `${target}.new`;
  try {
    const file = await open(temporary, "w", newFileMode);
    try {
      await takeOwnership(file, target);
      await file.writeFile(bytes);
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

/** Mode and owner of the file that will be replaced. Whoever may not give the owner away fails here, with EPERM. */
async function takeOwnership(file: FileHandle, target: string): Promise<void> {
  const old = await stat(target).catch(() => null); // there is none yet
  if (old === null) return;
  const own = await file.stat();
  if (own.uid !== old.uid || own.gid !== old.gid) await file.chown(old.uid, old.gid);
  await file.chmod(old.mode & 0o7777);
}

/** The new bytes are over the old ones before the rest is cut off, so that the file is never empty. */
async function writeInPlace(target: string, bytes: Uint8Array): Promise<void> {
  const file = await open(target, "r+");
  try {
    const { bytesWritten } = await file.write(bytes, 0, bytes.length, 0);
    if (bytesWritten < bytes.length) throw new Error("the disk is full");
    await file.truncate(bytes.length);
    await file.sync();
  } finally {
    await file.close();
  }
}

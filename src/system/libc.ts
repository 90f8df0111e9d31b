import { dlopen, type FFIFunction } from "bun:ffi";
import { err, ok, type Result } from "../base/result.ts";
import { messageOf } from "../base/thrown.ts";

/** What the router asks of the C library because Bun has no way to ask it. Each is as in its manual page. */
const symbols = {
  clock_gettime: { args: ["i32", "ptr"], returns: "i32" },
  getenv: { args: ["ptr"], returns: "ptr" },
  getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
  listen: { args: ["i32", "i32"], returns: "i32" },
  sendto: { args: ["i32", "ptr", "u64", "i32", "ptr", "u32"], returns: "i64" },
  setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  strlen: { args: ["ptr"], returns: "u64" },
} as const;

/** The C library's functions. */
export type Libc = LibcOf<typeof symbols>;

/** The functions of the C library that those symbols declare. */
export type LibcOf<Symbols extends Readonly<Record<string, FFIFunction>>> = ReturnType<
  typeof dlopen<Symbols>
>["symbols"];

/** glibc first, then musl by the processor's name. */
const files = [
  "libc.so.6",
  `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`,
] as const;

let opened: Result<Libc, string> | null = null;

/**
 * The C library, opened at the first call and kept. Without it (another system than Linux, or one that lets
 * no program make code at run time) the router works, and does without what needs it. The error says why.
 */
export function libc(): Result<Libc, string> {
  opened ??= openLibc(symbols);
  return opened;
}

/**
 * The C library with functions of the caller's choice, for the caller to keep. The error says why there is
 * none.
 */
export function openLibc<Symbols extends Readonly<Record<string, FFIFunction>>>(
  wanted: Symbols,
): Result<LibcOf<Symbols>, string> {
  if (process.platform !== "linux") return err("only Linux has it");
  let reason = "";
  for (const file of files) {
    try {
      return ok(dlopen(file, wanted).symbols);
    } catch (thrown) {
      reason ||= messageOf(thrown);
    }
  }
  return err(reason);
}

import { openLibc } from "../../src/system/libc.ts";

// ptrace(2): request numbers of Linux.
const ptraceSeize = 0x4206;
const ptraceInterrupt = 0x4207;
const ptraceDetach = 17;
const waitAll = 0x40000000;

/**
 * Lets the main thread of a process that this one has started stand still for `ms`, and no other thread of
 * it.
 */
export async function freezeMainThread(pid: number, ms: number): Promise<void> {
  const library = openLibc({
    ptrace: { args: ["i32", "i32", "ptr", "ptr"], returns: "i64" },
    waitpid: { args: ["i32", "ptr", "i32"], returns: "i32" },
  });
  if (!library.ok) throw new Error(library.error);
  const { ptrace, waitpid } = library.value;
  const called = (request: number): void => {
    if (ptrace(request, pid, null, null) < 0) throw new Error(`ptrace(${request}) is refused`);
  };
  called(ptraceSeize);
  called(ptraceInterrupt);
  waitpid(pid, null, waitAll);
  await Bun.sleep(ms);
  called(ptraceDetach);
}

import { dlopen, ptr } from "bun:ffi";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** One message of sd_notify(3), as it arrived. */
export interface Notice {
  readonly atMs: number;
  readonly fields: Readonly<Record<string, string>>;
}

/** A service manager's end of `NOTIFY_SOCKET`. Dispose closes it. */
export interface NotifySocket extends Disposable {
  /** What `NOTIFY_SOCKET` is set to. */
  readonly path: string;
  /** Every message so far, oldest first. Reads what has come since the last call. */
  notices(): readonly Notice[];
  /** Those with that assignment. */
  of(key: string): readonly Notice[];
}

const libc = dlopen("libc.so.6", {
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
  recv: { args: ["i32", "ptr", "u64", "i32"], returns: "i64" },
  close: { args: ["i32"], returns: "i32" },
}).symbols;

/** A datagram socket under a path of its own, or under an abstract name. The kernel keeps what nobody has read yet. */
export function openNotifySocket(kind: "path" | "abstract" = "path"): NotifySocket {
  const directory = mkdtempSync(join(tmpdir(), "automc-notify-"));
  const file = join(directory, "notify");
  const path = kind === "path" ? file : `@${file}`;
  const fd = libc.socket(1, 2 | 0o2000000 | 0o4000, 0);
  const name = Buffer.from(kind === "path" ? `\x01\0${file}\0` : `\x01\0\0${file}`);
  if (libc.bind(fd, ptr(name), name.length) !== 0) throw new Error(`cannot bind ${path}`);
  const received: Notice[] = [];
  const buffer = Buffer.alloc(4_096);

  function notices(): readonly Notice[] {
    for (;;) {
      const length = Number(libc.recv(fd, ptr(buffer), buffer.length, 0));
      if (length < 0) return received;
      const lines = buffer.toString("utf8", 0, length).split("\n");
      const fields = Object.fromEntries(lines.map((line) => line.split(/=(.*)/s).slice(0, 2)));
      received.push({ atMs: performance.now(), fields });
    }
  }

  return {
    path,
    notices,
    of: (key) => notices().filter(({ fields }) => key in fields),
    [Symbol.dispose]() {
      libc.close(fd);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

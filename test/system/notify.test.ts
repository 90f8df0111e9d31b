import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { monotonicUs, openNotify } from "../../src/system/notify.ts";
import { openNotifySocket } from "../support/process/notify-socket.ts";

describe("messages", () => {
  test.each(["path", "abstract"] as const)("arrive at a socket that is a %s", (kind) => {
    using socket = openNotifySocket(kind);
    const notify = openNotify(socket.path);
    if (!notify.ok) throw new Error(notify.error);
    notify.value({ READY: 1, STATUS: "3 routes, größer" });
    notify.value({ WATCHDOG: 1 });
    expect(socket.notices().map(({ fields }) => fields)).toEqual([
      { READY: "1", STATUS: "3 routes, größer" },
      { WATCHDOG: "1" },
    ]);
  });

  test("are one assignment a line, whatever a value says", () => {
    using socket = openNotifySocket();
    const notify = openNotify(socket.path);
    if (!notify.ok) throw new Error(notify.error);
    notify.value({ STATUS: "failed\nWATCHDOG=trigger" });
    expect(socket.notices().map(({ fields }) => fields)).toEqual([
      { STATUS: "failed WATCHDOG=trigger" },
    ]);
  });

  test("wait for a service manager that is busy, in order", async () => {
    using socket = openNotifySocket();
    const notify = openNotify(socket.path);
    if (!notify.ok) throw new Error(notify.error);
    // More than the kernel keeps for a socket that nobody reads (net.unix.max_dgram_qlen).
    const queue = Number(readFileSync("/proc/sys/net/unix/max_dgram_qlen", "utf8"));
    for (let number = 0; number < queue + 10; number++) notify.value({ NUMBER: number });
    const deadline = performance.now() + 5_000;
    while (socket.notices().length < queue + 10 && performance.now() < deadline) {
      await Bun.sleep(20);
    }
    expect(socket.notices().map(({ fields }) => Number(fields["NUMBER"]))).toEqual(
      Array.from({ length: queue + 10 }, (_, number) => number),
    );
  });
});

test.each(["vsock:2:1234", "notify", `/${"x".repeat(107)}`, `@${"x".repeat(108)}`])(
  "%s is no way to a service manager",
  (path) => {
    expect(openNotify(path)).toEqual({
      ok: false,
      error: `NOTIFY_SOCKET=${JSON.stringify(path)} is no Unix socket`,
    });
  },
);

test("the clock is that of the machine", () => {
  const uptime = (): number => Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);
  const before = uptime();
  const seconds = (monotonicUs() ?? 0) / 1e6;
  // Uptime is cut to hundredths, and also counts time in suspend.
  expect(seconds).toBeGreaterThan(before - 1);
  expect(seconds).toBeLessThan(uptime() + 1);
});

import { ptr } from "bun:ffi";
import { afterEach, expect, test } from "bun:test";
import { createDeadlines } from "../../src/base/deadlines.ts";
import { probeWhenSilent } from "../../src/net/conn.ts";
import { backlogOf, setUserTimeout } from "../../src/net/socket-options.ts";
import { libc } from "../../src/system/libc.ts";
import { echo } from "../support/net/backend.ts";
import { startLinkBench } from "../support/net/link-bench.ts";

const listeners: { stop(): void }[] = [];
afterEach(() => {
  for (const listener of listeners.splice(0)) listener.stop();
});

function listen() {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  listeners.push(listener);
  return listener;
}

/** An option of a TCP socket, as the kernel has it. */
function optionOf(fd: number, level: number, option: number): number {
  const library = libc();
  if (!library.ok) throw new Error(library.error);
  const value = new Int32Array(1);
  const length = new Uint32Array([4]);
  const code = library.value.getsockopt(fd, level, option, ptr(value), ptr(length));
  if (code !== 0) throw new Error(`getsockopt gives ${code}`);
  return value[0] ?? Number.NaN;
}

// Values of Linux, tcp(7) and socket(7).
const tcp = 6;
const userTimeout = 18;
const keepIdle = 4;

test("the user timeout reaches the kernel", () => {
  const { fd } = listen();
  expect(optionOf(fd, tcp, userTimeout)).toBe(0);
  expect(setUserTimeout(fd, 30_000)).toBe(true);
  expect(optionOf(fd, tcp, userTimeout)).toBe(30_000);
});

test("it cannot be set on what is no TCP socket", () => {
  expect(setUserTimeout(-1, 30_000)).toBe(false);
  expect(setUserTimeout(2, 30_000)).toBe(false);
});

test("sessions that stay are probed after 30 s of silence, and given up after 120 s without an answer", async () => {
  using bench = startLinkBench(createDeadlines(), echo);
  const { client, server } = await bench.open();
  for (const conn of [client, server]) {
    expect(optionOf(conn.socket.fd, tcp, userTimeout)).toBe(0);
    probeWhenSilent(conn);
    expect(optionOf(conn.socket.fd, tcp, userTimeout)).toBe(120_000);
    expect(optionOf(conn.socket.fd, tcp, keepIdle)).toBe(30);
  }
});

test("the backlog is the number of those who wait to be accepted", () => {
  const { fd, port } = listen();
  expect(backlogOf(fd)).toBe(0);
  for (let count = 1; count <= 3; count++) {
    // Runs to its end while nothing here is accepted.
    Bun.spawnSync(["bash", "-c", `exec 3<>/dev/tcp/127.0.0.1/${port}`]);
    expect(backlogOf(fd)).toBe(count);
  }
  expect(backlogOf(-1)).toBe(null);
});

import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openStatusStore, statusPath } from "../../src/session/status-store.ts";

const folder = mkdtempSync(join(tmpdir(), "automc-statuses-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const answer = JSON.stringify({
  version: { name: "1.21", protocol: 767 },
  players: { max: 20, online: 3 },
  description: { text: "Survival" },
});

/** A store whose deadlines come when the test says so. */
async function open(path: string) {
  const warnings: string[] = [];
  let expire: (() => void) | null = null;
  const store = await openStatusStore(path, {
    deadlines: {
      now: () => 0,
      sleep: () => Promise.resolve(true),
      after: (_, run) => {
        expire = run;
        return {
          cancel: () => {
            expire = null;
          },
        };
      },
    },
    warn: (message) => warnings.push(message),
  });
  return { ...store, warnings, expire: () => expire?.() };
}

const freshPath = (): string => statusPath(join(mkdtempSync(join(folder, "x")), "routes.json"));

test("what a server said is back after a stop", async () => {
  const path = freshPath();
  const store = await open(path);
  store.memory.remember("10.0.0.1:25565", 767, answer);
  await store.stop();
  expect(readFileSync(path, "utf8")).toContain("Survival");
  const again = await open(path);
  expect(again.memory.save()).toEqual(store.memory.save());
  expect([...store.warnings, ...again.warnings]).toEqual([]);
});

test("a stop waits for the write that is under way, and writes what came meanwhile", async () => {
  const path = freshPath();
  const store = await open(path);
  store.memory.remember("10.0.0.1:25565", 767, answer);
  store.expire();
  await store.stop();
  expect(JSON.parse(readFileSync(path, "utf8"))).toHaveLength(1);

  store.memory.remember("10.0.0.2:25565", 767, answer);
  store.expire();
  store.memory.remember("10.0.0.3:25565", 767, answer);
  await store.stop();
  expect(JSON.parse(readFileSync(path, "utf8"))).toHaveLength(3);
  expect(readdirSync(join(path, ".."))).toEqual(["statuses.json"]);
});

test("a stop without anything new writes nothing", async () => {
  const path = freshPath();
  const store = await open(path);
  await store.stop();
  expect(readdirSync(join(path, ".."))).toEqual([]);
});

test("a file that is of no use is named, and replaced in time", async () => {
  const path = freshPath();
  writeFileSync(path, "{}");
  const store = await open(path);
  expect(store.warnings).toEqual([`${path} is of no use: it is no list`]);
  store.memory.remember("10.0.0.1:25565", 767, answer);
  await store.stop();
  expect(JSON.parse(readFileSync(path, "utf8"))).toHaveLength(1);
});

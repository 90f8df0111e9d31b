import { afterEach, describe, expect, test } from "bun:test";
import {
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import {
  createStaticRoutes,
  type StaticRoutesDeps,
} from "../../../src/providers/static/static-routes.ts";
import { until } from "../../support/until.ts";
import {
  fileTimings,
  freshFolder,
  type RunningStaticRoutes,
  runStaticRoutes,
} from "./run-static-routes.ts";

const running: RunningStaticRoutes[] = [];
const folders: string[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map(({ supervisor }) => supervisor.stop()));
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

const fileText = (mappings: Record<string, string>, fallback = ""): string =>
  JSON.stringify({ "default-server": fallback, mappings });

/** Sources over a file with this text; null for no file. */
async function start(text: string | null, deps: Partial<StaticRoutesDeps> = {}) {
  const folder = freshFolder();
  folders.push(folder);
  if (text !== null) writeFileSync(join(folder, "routes.json"), text);
  const started = await runStaticRoutes(folder, deps);
  running.push(started);
  return started;
}

const kinds = ({ events }: RunningStaticRoutes): string[] => events.map(({ kind }) => kind);

describe("the start", () => {
  test("the file's routes are published", async () => {
    const source = await start(fileText({ a: "x:1", "*.b": "x:2" }, "x:3"));
    expect(source.claims()).toEqual(["file: * x:3", "file: *.b x:2", "file: a x:1"]);
    expect(source.events).toEqual([
      { kind: "source-live", source: "file", routes: 3, mode: "reload", awayMs: 0 },
    ]);
  });

  test("a file that is not there yet has no routes, and a warning says so", async () => {
    const source = await start(null);
    expect(source.claims()).toEqual([]);
    expect(source.events).toEqual([
      {
        kind: "source-warning",
        source: "file",
        message: `the routes file ${source.path} does not exist yet; it is read at a reload (SIGHUP)`,
      },
    ]);
  });

  test("a file that cannot be used is the caller's to refuse", async () => {
    const folder = freshFolder();
    folders.push(folder);
    const path = join(folder, "routes.json");
    const make = () =>
      createStaticRoutes({ path, watch: false, simplifySrv: false, emit: () => undefined });
    writeFileSync(path, "{");
    expect(await make().load()).toEqual({
      ok: false,
      error: `the routes file ${path} cannot be used: it is no JSON: line 1, column 2: it ends too early`,
    });
    unlinkSync(path);
    mkdirSync(path);
    const loaded = await make().load();
    expect(loaded.ok ? "" : loaded.error).toContain("EISDIR");
  });

  test("an entry that cannot be used is told once, however often the file is read", async () => {
    const source = await start(fileText({ "a b": "x:1", c: "x:2" }));
    await source.routes.reload();
    writeFileSync(source.path, fileText({ "a b": "x:1", c: "" }));
    await source.routes.reload();
    expect(source.events.filter(({ kind }) => kind === "row-skipped")).toEqual([
      {
        kind: "row-skipped",
        source: "file",
        row: "a b",
        reason: "the hostname has whitespace or a control character inside",
      },
      {
        kind: "row-skipped",
        source: "file",
        row: "c",
        reason: "the address is empty, expected host:port",
      },
    ]);
  });
});

describe("a reload", () => {
  test("replaces the file's routes, default included, by what the file says now", async () => {
    const source = await start(fileText({ a: "x:1", b: "x:1" }, "x:9"));
    writeFileSync(source.path, fileText({ b: "x:2", c: "x:1" }));
    await source.routes.reload();
    expect(source.claims()).toEqual(["file: b x:2", "file: c x:1"]);
  });

  const failures: readonly { name: string; damage(path: string): void; reason: string }[] = [
    { name: "no file", damage: unlinkSync, reason: "it does not exist" },
    {
      name: "half a file",
      damage: (path) => truncateSync(path, 20),
      reason: "it is no JSON: line 1, column 21: it ends too early",
    },
    {
      name: "something else",
      damage: (path) => writeFileSync(path, "[]"),
      reason: "it is no JSON object",
    },
  ];
  for (const { name, damage, reason } of failures) {
    test(`that finds ${name} changes nothing, says so each time, and tells when it is well again`, async () => {
      const text = fileText({ a: "x:1" });
      const source = await start(text);
      source.events.length = 0;
      damage(source.path);
      await source.routes.reload();
      await source.routes.reload();
      const lost = {
        kind: "source-lost",
        source: "file",
        reason: `${source.path}: ${reason}`,
        routes: 1,
      } as const;
      expect(source.events).toEqual([lost, lost]);
      expect(source.claims()).toEqual(["file: a x:1"]);
      writeFileSync(source.path, text);
      await source.routes.reload();
      expect(kinds(source)).toEqual(["source-lost", "source-lost", "source-live"]);
      expect(source.changes).toEqual([]);
    });
  }

  test("of an unchanged file changes nothing and says nothing", async () => {
    const source = await start(fileText({ a: "x:1" }, "x:2"));
    source.events.length = 0;
    await source.routes.reload();
    expect(source.changes).toEqual([]);
    expect(source.events).toEqual([]);
  });

  test("without a file keeps the API's routes", async () => {
    const source = await start(null, { path: null });
    await source.set("a", "x:1");
    await source.routes.reload();
    expect(source.claims()).toEqual(["api: a x:1"]);
    expect(source.events).toEqual([]);
  });

  test("decides about API routes that were saved: kept, changed, or gone with the file's entry", async () => {
    const source = await start(fileText({}));
    await source.set("kept", "x:1");
    await source.set("changed", "x:1");
    await source.set("gone", "x:1");
    await source.routes.reload();
    expect(source.claims()).toEqual(["api: changed x:1", "api: gone x:1", "api: kept x:1"]);
    writeFileSync(source.path, fileText({ kept: "x:1", changed: "x:2" }));
    await source.routes.reload();
    expect(source.claims()).toEqual(["file: changed x:2", "api: kept x:1"]);
  });
});

describe("a change by the API", () => {
  test("is in force at once, and in the file when it resolves, beside what is not the API's", async () => {
    const source = await start(
      '{"mappings":{"B.c":"x:1","b?d one":"kept"},"Default-Server":"d:1","note":1}',
    );
    const done = source.set("a", "x:2");
    expect(source.claims()).toEqual(["file: * d:1", "api: a x:2", "file: b.c x:1"]);
    await done;
    expect(readFileSync(source.path, "utf8")).toBe(
      '{"default-server":"d:1","mappings":{"B.c":"x:1","a":"x:2","b?d one":"kept"},"note":1}',
    );
  });

  test("takes a hostname over from the file, and removes what the file or the API has", async () => {
    const source = await start(fileText({ a: "x:1", b: "x:1" }, "x:9"));
    await source.set("a", "x:2");
    await source.set("*", "x:8");
    expect(source.claims()).toEqual(["api: * x:8", "api: a x:2", "file: b x:1"]);
    expect(source.changes.flatMap(({ changes }) => changes.conflicts)).toEqual([]);
    await source.remove("a");
    await source.remove("b");
    await source.remove("*");
    expect(source.remove("b")).toBeNull();
    expect(source.claims()).toEqual([]);
    expect(readFileSync(source.path, "utf8")).toBe(fileText({}));
    await source.routes.reload();
    expect(source.claims()).toEqual([]);
  });

  test("to what is there already is none", async () => {
    const source = await start(fileText({ a: "x:1" }));
    await source.set("a", "x:1");
    expect(source.claims()).toEqual(["file: a x:1"]);
    expect(source.changes).toEqual([]);
  });

  test("keeps what an editor wrote meanwhile, and a reload brings both", async () => {
    const source = await start(fileText({ a: "x:1" }));
    writeFileSync(source.path, fileText({ a: "x:5", edited: "x:1" }));
    await source.set("b", "x:2");
    expect(source.claims()).toEqual(["file: a x:1", "api: b x:2"]);
    await source.routes.reload();
    expect(source.claims()).toEqual(["file: a x:5", "api: b x:2", "file: edited x:1"]);
  });

  test("writes a file anew that has vanished, with all that it had", async () => {
    const source = await start(fileText({ a: "x:1" }, "d:1"));
    unlinkSync(source.path);
    await source.set("b", "x:2");
    expect(readFileSync(source.path, "utf8")).toBe(fileText({ a: "x:1", b: "x:2" }, "d:1"));
  });

  test("waits with saving while the file is half-written, and is not lost", async () => {
    const timings = { ...fileTimings, retryMs: 3_600_000 };
    const source = await start(fileText({ a: "x:1" }), { timings });
    source.events.length = 0;
    writeFileSync(source.path, '{"mappings":{"a');
    expect(await source.set("b", "x:2")).toContain("it is no JSON");
    expect(readFileSync(source.path, "utf8")).toBe('{"mappings":{"a');
    expect(source.events).toEqual([
      {
        kind: "source-warning",
        source: "file",
        message: `changes by the API are in force but cannot be saved to ${source.path}: it is no JSON: line 1, column 14: "\\"" is not expected there`,
      },
    ]);
    writeFileSync(source.path, fileText({ a: "x:7" }));
    await source.routes.reload();
    expect(source.claims()).toEqual(["file: a x:7", "api: b x:2"]);
    const whole = fileText({ a: "x:7", b: "x:2" });
    await until("it is saved", () => readFileSync(source.path, "utf8") === whole);
  });

  test("that cannot be saved is told once, tried again, and outlives reloads", async () => {
    let isBroken = true;
    let attempts = 0;
    const source = await start(fileText({ a: "x:1", gone: "x:1" }), {
      move(from, to) {
        attempts += 1;
        const failure = Object.assign(new Error("disk full"), { code: "ENOSPC" });
        return isBroken ? Promise.reject(failure) : rename(from, to);
      },
    });
    source.events.length = 0;
    expect(await source.set("a", "x:2")).toBe("disk full");
    expect(await source.remove("gone")).toBe("disk full");
    await until("it is tried again by itself", () => attempts > 2);
    await source.routes.reload();
    expect(source.claims()).toEqual(["api: a x:2"]);
    expect(kinds(source)).toEqual(["source-warning"]);
    isBroken = false;
    await until("it is saved", () => readFileSync(source.path, "utf8") === fileText({ a: "x:2" }));
  });

  test("while the last one is being written is written after it", async () => {
    let again: Promise<string | null> | null = null;
    const source = await start(null, {
      move(from, to) {
        again ??= source.set("a", "x:2");
        return rename(from, to);
      },
    });
    await source.set("a", "x:1");
    expect(again).not.toBeNull();
    await again;
    expect(readFileSync(source.path, "utf8")).toBe(fileText({ a: "x:2" }));
    expect(source.claims()).toEqual(["api: a x:2"]);
  });

  test("is saved at the stop at the latest, and routes nobody after it", async () => {
    const source = await start(fileText({ b: "x:1" }));
    void source.set("a", "x:1");
    await source.supervisor.stop();
    expect(readFileSync(source.path, "utf8")).toBe(fileText({ a: "x:1", b: "x:1" }));
    await source.set("b", "x:2");
    expect(source.claims()).toEqual(["api: a x:1", "file: b x:1"]);
  });

  test("and ninety-nine others at once lose nothing, and every reader finds the file whole", async () => {
    const source = await start(fileText({ kept: "x:1" }));
    let isOver = false;
    let reads = 0;
    const reader = (async () => {
      while (!isOver) {
        expect(JSON.parse(readFileSync(source.path, "utf8")).mappings.kept).toBe("x:1");
        reads += 1;
        await Bun.sleep(0);
      }
    })();
    const numbers = Array.from({ length: 100 }, (_, i) => i);
    await Promise.all(
      numbers.map(async (i) => {
        await Bun.sleep(i % 7);
        await source.set(`h${i}`, `x:${i + 1}`);
      }),
    );
    isOver = true;
    await reader;
    expect(reads).toBeGreaterThan(1);
    const expected = Object.fromEntries(numbers.map((i) => [`h${i}`, `x:${i + 1}`]));
    expect(JSON.parse(readFileSync(source.path, "utf8")).mappings).toEqual({
      ...expected,
      kept: "x:1",
    });
    expect(source.claims()).toHaveLength(101);
  });

  test("does not make the watch announce anything", async () => {
    const source = await start(fileText({ a: "x:1" }), { watch: true });
    source.events.length = 0;
    await source.set("b", "x:1");
    await source.remove("a");
    source.changes.length = 0;
    // A change from outside is seen after the watch has looked at the router's own writes.
    writeFileSync(source.path, fileText({ b: "x:1", c: "x:1" }));
    await until("the change is seen", () => source.claims().includes("file: c x:1"));
    expect(source.changes).toHaveLength(1);
    expect(source.events).toEqual([]);
  });
});

describe("the watch", () => {
  const before = fileText({ a: "x:1" });
  const after = fileText({ b: "x:2" });

  const saves: readonly { name: string; save(path: string, text: string): void }[] = [
    { name: "truncates and writes", save: (path, text) => writeFileSync(path, text) },
    {
      name: "writes beside and renames over",
      save(path, text) {
        writeFileSync(`${path}.swp`, text);
        renameSync(`${path}.swp`, path);
      },
    },
    {
      name: "moves the old file to a backup, as vim does",
      save(path, text) {
        renameSync(path, `${path}~`);
        writeFileSync(path, text);
      },
    },
    {
      name: "deletes the file and writes a new one",
      save(path, text) {
        unlinkSync(path);
        writeFileSync(path, text);
      },
    },
  ];
  for (const { name, save } of saves) {
    test(`follows an editor that ${name}, again and again`, async () => {
      const source = await start(before, { watch: true });
      for (const [text, claim] of [
        [after, "file: b x:2"],
        [before, "file: a x:1"],
        [after, "file: b x:2"],
      ] as const) {
        save(source.path, text);
        await until("the routes are the file's", () => source.claims().join() === claim);
      }
    });
  }

  test("waits until a file that is written in pieces is whole", async () => {
    const source = await start(before, {
      watch: true,
      timings: { ...fileTimings, debounceMs: 300 },
    });
    source.events.length = 0;
    for (let end = 5; end < after.length; end += 5) {
      writeFileSync(source.path, after.slice(0, end));
      await Bun.sleep(1);
    }
    writeFileSync(source.path, after);
    await until("the routes are the file's", () => source.claims().join() === "file: b x:2");
    expect(source.events).toEqual([]);
    expect(source.changes).toHaveLength(1);
  });

  test("keeps the routes over a half-written file, says so once, and goes on with the whole one", async () => {
    const source = await start(before, { watch: true });
    source.events.length = 0;
    writeFileSync(source.path, after.slice(0, 20));
    await until("the loss is told", () => source.events.length > 0);
    writeFileSync(source.path, after.slice(0, 20));
    expect(source.claims()).toEqual(["file: a x:1"]);
    writeFileSync(source.path, after);
    await until("the routes are the file's", () => source.claims().join() === "file: b x:2");
    expect(kinds(source)).toEqual(["source-lost", "source-live"]);
  });

  test("keeps the routes of a file that is deleted, and follows it when it is back", async () => {
    const source = await start(before, { watch: true });
    source.events.length = 0;
    unlinkSync(source.path);
    await until("the loss is told", () => source.events.length > 0);
    expect(source.events[0]).toMatchObject({ reason: `${source.path}: it does not exist` });
    expect(source.claims()).toEqual(["file: a x:1"]);
    writeFileSync(source.path, after);
    await until("the routes are the file's", () => source.claims().join() === "file: b x:2");
  });

  test("finds a file that did not exist at the start", async () => {
    const source = await start(null, { watch: true });
    writeFileSync(source.path, after);
    await until("the routes are the file's", () => source.claims().join() === "file: b x:2");
  });

  /** What Kubernetes makes of a ConfigMap: the file is a link into `..data`, itself a link that is swapped. */
  function mount(folder: string, generation: string, text: string): void {
    mkdirSync(join(folder, generation));
    writeFileSync(join(folder, generation, "routes.json"), text);
    symlinkSync(generation, join(folder, "..data_tmp"));
    renameSync(join(folder, "..data_tmp"), join(folder, "..data"));
  }

  test("follows the swaps of a ConfigMap", async () => {
    const folder = freshFolder();
    folders.push(folder);
    mount(folder, "..2026_1", before);
    symlinkSync("..data/routes.json", join(folder, "routes.json"));
    const source = await runStaticRoutes(folder, { watch: true });
    running.push(source);
    expect(source.claims()).toEqual(["file: a x:1"]);
    mount(folder, "..2026_2", after);
    await until("the routes are the new ones", () => source.claims().join() === "file: b x:2");
    rmSync(join(folder, "..2026_1"), { recursive: true });
    mount(folder, "..2026_3", before);
    await until("the routes are the first again", () => source.claims().join() === "file: a x:1");
  });

  const timings = { ...fileTimings, pollMs: 20 };

  test("finds by its poll what happens to a link's target elsewhere", async () => {
    const folder = freshFolder();
    folders.push(folder);
    mkdirSync(join(folder, "elsewhere"));
    const target = join(folder, "elsewhere", "file.json");
    writeFileSync(target, before);
    symlinkSync(target, join(folder, "routes.json"));
    const source = await runStaticRoutes(folder, { watch: true, timings });
    running.push(source);
    for (const [text, claim] of [
      [after, "file: b x:2"],
      [before, "file: a x:1"],
      [after, "file: b x:2"],
    ] as const) {
      writeFileSync(target, text);
      await until("the routes are the file's", () => source.claims().join() === claim);
    }
  });

  test("follows a directory that is made, taken away and made again", async () => {
    const root = freshFolder();
    folders.push(root);
    const folder = join(root, "config");
    const source = await runStaticRoutes(folder, { watch: true, timings });
    running.push(source);
    for (const [text, claim] of [
      [before, "file: a x:1"],
      [after, "file: b x:2"],
    ] as const) {
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(folder);
      writeFileSync(source.path, text);
      await until("the routes are the file's", () => source.claims().join() === claim);
    }
  });
});

import { expect, setDefaultTimeout, test } from "bun:test";
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectPlayer } from "../support/minecraft/player.ts";
import { login } from "../support/minecraft/wire.ts";
import { type Backend, echo, sending, startBackend } from "../support/net/backend.ts";
import type { Peer } from "../support/net/peer.ts";
import { complaints, linesOf, noQueue } from "../support/process/e2e-network.ts";
import { type Router, runRouter, startRouter } from "../support/process/router.ts";
import { until } from "../support/until.ts";

// The file is left alone for 5 s before it is read again.
setDefaultTimeout(60_000);

/** A folder that goes with the test. */
function ownFolder(): { readonly path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), "automc-routes-file-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}

/** A backend that names itself to whoever connects, with one letter. */
const named = (letter: string): Backend => startBackend(sending(Buffer.from(letter)));

const fileText = (mappings: Readonly<Record<string, string>>, fallback = ""): string =>
  JSON.stringify({ "default-server": fallback, mappings });

/** The letter of the backend that a login for this hostname gets to; null when it gets to none. */
async function where({ port }: Router, host: string): Promise<string | null> {
  using player = await connectPlayer({ port });
  await player.send(login({ host, name: "Steve" }));
  await until("it is decided", () => player.receivedLength > 0 || player.ending !== "open");
  return player.receivedLength > 0 ? player.received().toString("latin1", 0, 1) : null;
}

const arrives = (router: Router, host: string, expected: string | null): Promise<void> =>
  until(
    `${host} leads to ${expected}`,
    async () => (await where(router, host)) === expected,
    20_000,
  );

/** Somebody in a game, on a server that says everything again. */
async function enterGame(router: Router, host: string): Promise<Peer> {
  const player = await connectPlayer({ port: router.port });
  const hello = login({ host, name: "Alex" });
  await player.send(hello);
  expect(await player.read(hello.length)).toEqual(hello);
  return player;
}

async function staysInGame(player: Peer): Promise<void> {
  const said = Buffer.from("still here?");
  await player.send(said);
  expect(await player.read(said.length)).toEqual(said);
}

/** What an editor or a control plane does to the file, and what a router is told to find it. */
const replacements: readonly {
  name: string;
  env: Readonly<Record<string, string>>;
  /** Puts the first file in place and gives its path. */
  place: (folder: string, text: string) => string;
  replace: (folder: string, text: string) => void;
  /** Sent after each replacement. */
  signal?: "SIGHUP";
}[] = [
  {
    name: "renamed over, and watched",
    env: { ROUTES_CONFIG_WATCH: "true" },
    place(folder, text) {
      writeFileSync(join(folder, "routes.json"), text);
      return join(folder, "routes.json");
    },
    replace(folder, text) {
      writeFileSync(join(folder, "routes.json.tmp"), text);
      renameSync(join(folder, "routes.json.tmp"), join(folder, "routes.json"));
    },
  },
  {
    name: "swapped as Kubernetes swaps a ConfigMap, and watched",
    env: { ROUTES_CONFIG_WATCH: "true" },
    place(folder, text) {
      swapData(folder, "..2026_01_01", text);
      symlinkSync("..data/routes.json", join(folder, "routes.json"));
      return join(folder, "routes.json");
    },
    replace: (folder, text) => swapData(folder, `..2026_${crypto.randomUUID()}`, text),
  },
  {
    name: "written over, with SIGHUP",
    env: {},
    place(folder, text) {
      writeFileSync(join(folder, "routes.json"), text);
      return join(folder, "routes.json");
    },
    replace: (folder, text) => writeFileSync(join(folder, "routes.json"), text),
    signal: "SIGHUP",
  },
];

/** A new directory with the file, and the link `..data` moved to it in one step. */
function swapData(folder: string, directory: string, text: string): void {
  mkdirSync(join(folder, directory));
  writeFileSync(join(folder, directory, "routes.json"), text);
  symlinkSync(directory, join(folder, "..data_tmp"));
  renameSync(join(folder, "..data_tmp"), join(folder, "..data"));
}

for (const { name, env, place, replace, signal } of replacements) {
  test.concurrent(`a file ${name}, routes the next player and cuts nobody`, async () => {
    using folder = ownFolder();
    using game = startBackend(echo);
    using old = named("o");
    using next = named("n");
    const path = place(
      folder.path,
      fileText({ "play.x": game.address, "hub.x": old.address, "old.x": old.address }),
    );
    await using router = await startRouter({ env: { ...noQueue, ...env, ROUTES_CONFIG: path } });
    expect(await where(router, "hub.x")).toBe("o");
    using player = await enterGame(router, "play.x");

    const change = (text: string): void => {
      replace(folder.path, text);
      if (signal !== undefined) router.signal(signal);
    };
    // The route that somebody plays on goes, too.
    change(fileText({ "hub.x": next.address }));
    await arrives(router, "hub.x", "n");
    expect(await where(router, "old.x")).toBeNull();
    expect(await where(router, "play.x")).toBeNull();
    await staysInGame(player);

    // What cannot be read changes nothing, and the next good file is found.
    change('{"mappings":{"hub.x":');
    const complaint = await router.waitForLine(
      ({ level, event }) => level === "warn" && event !== "hostnames-unknown",
      20_000,
    );
    expect(JSON.stringify(complaint)).toContain("routes.json");
    expect(await where(router, "hub.x")).toBe("n");
    change(fileText({ "play.x": game.address }, old.address));
    await arrives(router, "hub.x", "o");
    await staysInGame(player);
    expect(complaints(router).filter(({ level }) => level === "error")).toEqual([]);
  });
}

test("a hostname belongs to MAPPING before the file, and the file stays as it was", async () => {
  using folder = ownFolder();
  using first = named("m");
  using second = named("f");
  const path = join(folder.path, "routes.json");
  const text = fileText({ "a.x": second.address, "b.x": second.address }, second.address);
  writeFileSync(path, text);
  await using router = await startRouter({
    env: { ...noQueue, ROUTES_CONFIG: path, MAPPING: `a.x=${first.address}` },
  });
  expect(await where(router, "a.x")).toBe("m");
  expect(await where(router, "b.x")).toBe("f");
  expect(await where(router, "c.x")).toBe("f");
  expect(linesOf(router, "routes-changed")).toContainEqual(
    expect.objectContaining({ level: "warn", server: "a.x", winner: "env a.x", loser: "file a.x" }),
  );
  expect(await router.stop()).toBe(0);
  // Reading it is all that has been done to it.
  expect(readFileSync(path, "utf8")).toBe(text);
});

test("a file that is not there yet is found when it comes", async () => {
  using folder = ownFolder();
  using backend = named("f");
  const path = join(folder.path, "routes.json");
  await using router = await startRouter({
    env: { ...noQueue, ROUTES_CONFIG: path, ROUTES_CONFIG_WATCH: "true" },
  });
  expect(await where(router, "a.x")).toBeNull();
  writeFileSync(path, fileText({ "a.x": backend.address }));
  await arrives(router, "a.x", "f");
});

const unusable: readonly { name: string; text: string; says: string }[] = [
  { name: "half a file", text: '{\n"mappings": {', says: "line 2" },
  { name: "an empty file", text: "", says: "it is empty" },
  { name: "a list", text: "[]", says: "no JSON object" },
];
for (const { name, text, says } of unusable) {
  test(`${name} at the start ends it with exit code 1 and the reason`, async () => {
    using folder = ownFolder();
    const path = join(folder.path, "routes.json");
    writeFileSync(path, text);
    const { exitCode, stderr } = await runRouter([], {
      PORT: "0",
      AUTOMC_BIND: "127.0.0.1",
      ROUTES_CONFIG: path,
    });
    expect(exitCode).toBe(1);
    const [last = ""] = stderr.trim().split("\n").slice(-1);
    expect(last).toContain("level=error");
    expect(last).toContain(path);
    expect(last).toContain(says);
    expect(stderr).not.toContain(" at ");
  });
}

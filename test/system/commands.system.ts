import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { type ShellBlock, shellBlocks } from "../support/docs/shell-blocks.ts";
import { joinGame } from "../support/minecraft/crowd.ts";
import { echo, startBackend } from "../support/net/backend.ts";
import { makeNetns, type Netns } from "../support/net/netns.ts";
import { startPostgres, type TestDatabase } from "../support/postgres/postgres.ts";
import { bootMachine, type Machine } from "../support/process/systemd.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(180_000);

const root = join(import.meta.dir, "../..");
const binary = join(root, "dist/automc-router");
/** A folder of the machine with what an operator has downloaded. */
const downloads = "/root/downloads";

let scene: AsyncDisposableStack;
let netns: Netns;
let machine: Machine;
let database: TestDatabase;
beforeEach(async () => {
  scene = new AsyncDisposableStack();
  netns = scene.use(makeNetns());
  const server = await startPostgres();
  scene.defer(() => server.stop());
  const { sql } = server.connect("postgres");
  await sql.unsafe("CREATE ROLE minecraft LOGIN CREATEROLE");
  await sql.unsafe("CREATE DATABASE minecraft OWNER minecraft");
  database = server.connect("minecraft");
  // The pages name no port, so the server must be found at its usual one.
  const door = createServer((client) => {
    const behind = connect(server.port, "127.0.0.1");
    client.pipe(behind).pipe(client);
    client.on("error", () => behind.destroy());
    behind.on("error", () => client.destroy());
  });
  await new Promise<void>((resolve) => door.listen(5432, netns.outside, resolve));
  scene.defer(() => void door.close());

  machine = scene.use(await bootMachine(netns, { hasBinary: false }));
  machine.write(
    "/etc/hosts",
    `127.0.0.1 localhost\n${netns.outside} db.internal server-manager.internal\n`,
  );
  for (const name of ["automc-router", "automc-router-new"]) {
    machine.write(`${downloads}/${name}`, "");
    machine.copy(binary, `${downloads}/${name}`);
    machine.run("chmod", "755", `${downloads}/${name}`);
  }
  // The database is set up on another machine, which has the program already.
  machine.copy(binary, "/usr/bin/automc-router");
  machine.run("chmod", "755", "/usr/bin/automc-router");
});
afterEach(() => scene.disposeAsync());

/** The blocks of a page that are marked to be run, as one script. */
async function scriptOf(page: string, keep: (block: ShellBlock) => boolean = () => true) {
  const blocks = (await shellBlocks(page)).filter((block) => block.isRun && keep(block));
  expect(blocks.length).toBeGreaterThan(0);
  return blocks.map(({ text }) => text).join("\n");
}

/** Runs scripts one after the other in one shell, which ends at the first command that fails. */
const runScripts = (folder: string, ...scripts: readonly string[]): Promise<string> => {
  const prelude = `set -euo pipefail; cd ${folder}; sudo() { "$@"; }`;
  return machine.runBeside("bash", "-c", [prelude, ...scripts].join("\n"));
};

const isActive = (unit: string): boolean => machine.property(unit, "ActiveState") === "active";

/** The commands of docs/service.md up to a router that runs and has its first server. */
const setUp = () => scriptOf("docs/service.md", ({ text }) => !text.includes("automc-router@"));

test("docs/service.md leads from nothing to a server, and to an upgrade by instances", async () => {
  using backend = startBackend(echo, netns.outside);
  const said = await runScripts(downloads, await setUp());
  expect(said).toContain("survival");
  expect(isActive("automc-router")).toBe(true);
  await database.sql`
    INSERT INTO servers (name, domain, address) VALUES ('a', 'play.example.org', ${backend.address})`;
  const place = { hostname: netns.inside, port: 25_565 };
  await until("the new server is routed", async () => {
    const player = await joinGame(place).catch(() => null);
    player?.close();
    return player !== null;
  });

  await runScripts(
    downloads,
    await scriptOf("docs/service.md", ({ text }) => text.includes("automc-router@")),
  );
  await until("the old instance is gone", () => !isActive("automc-router@1"));
  expect(isActive("automc-router")).toBe(false);
  expect(isActive("automc-router@2")).toBe(true);
  (await joinGame(place)).close();
});

test("docs/api.md and the page of the table work as they stand, behind docs/service.md", async () => {
  await runScripts(
    downloads,
    await setUp(),
    await scriptOf("docs/AUTOMC.md"),
    await scriptOf("docs/api.md"),
  );
});

test("docs/upgrading-from-mc-router.md puts the router in mc-router's place, and takes it out again", async () => {
  machine.write(
    "/etc/mc-router.env",
    "MAPPING=a.example.org=10.0.0.5:25565\nCONNECTION_RATE_LIMIT=20\n",
  );
  machine.write(
    "/etc/systemd/system/mc-router.service",
    "[Service]\nEnvironmentFile=/etc/mc-router.env\nExecStart=/bin/sleep infinity\n",
  );
  const page = "docs/upgrading-from-mc-router.md";
  const isWayBack = ({ text }: ShellBlock): boolean => text.includes("rm /etc/systemd");
  const wayIn = await scriptOf(page, (block) => !isWayBack(block));
  await runScripts(downloads, "systemctl start mc-router", wayIn);
  await until("it listens", () => machine.journal("mc-router").includes("event=listening"));

  await runScripts(downloads, await scriptOf(page, isWayBack));
  expect(isActive("mc-router")).toBe(true);
  expect(machine.property("mc-router", "ExecStart")).toContain("/bin/sleep");
});

test("docs/examples/README.md installs the control plane", async () => {
  // The machine has a /tmp of its own, in which this checkout may lie.
  const examples = "/root/examples";
  for (const name of ["server-manager.py", "server-manager.service", "minecraft@.service"]) {
    machine.write(`${examples}/${name}`, await Bun.file(join(root, "docs/examples", name)).text());
  }
  await runScripts(examples, await scriptOf("docs/examples/README.md"));
  await until("it runs", () => isActive("server-manager"));
});

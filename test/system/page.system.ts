import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import { faviconOf, greyPng } from "../support/minecraft/icon.ts";
import { join as joinServer, startMinecraftServer } from "../support/minecraft/minecraft.ts";
import { handshake, login, statusRequest, statusResponse } from "../support/minecraft/wire.ts";
import { sending, startBackend } from "../support/net/backend.ts";
import { laterPort } from "../support/net/ports.ts";
import { startPostgres, type TestPostgres } from "../support/postgres/postgres.ts";
import { startControlPlane } from "../support/process/control-plane.ts";
import { noQueue, startNetwork } from "../support/process/e2e-network.ts";
import { startRouter } from "../support/process/router.ts";

setDefaultTimeout(120_000);

let browser: Browser;
let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
  const path = Bun.which("chromium");
  if (path === null) throw new Error("this test needs chromium: apt-get install chromium");
  browser = await chromium.launch({
    executablePath: path,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
});
afterAll(async () => {
  await browser.close();
  await postgres.stop();
});

const axe = readFileSync(join(import.meta.dir, "../node_modules/axe-core/axe.min.js"), "utf8");

/** A router with an API of its own. */
async function openRouter(env: Readonly<Record<string, string>>, port = laterPort()) {
  const binding = `127.0.0.1:${port}`;
  const router = await startRouter({ env: { ...noQueue, ...env, API_BINDING: binding } });
  return { router, origin: `http://${binding}`, port };
}

/** A page of the browser that collects what the page does wrong. */
async function open(origin: string, size = { width: 1280, height: 900 }, dark = false) {
  const context = await browser.newContext({
    viewport: size,
    colorScheme: dark ? "dark" : "light",
  });
  const page = await context.newPage();
  const faults: string[] = [];
  page.on("pageerror", (error) => faults.push(error.message));
  page.on("console", (message) => {
    // A refused token or change is an HTTP error, which the browser notes on its console.
    if (message.type() === "error" && !/40[19]/.test(message.text())) faults.push(message.text());
  });
  await page.goto(origin);
  return { page, context, faults };
}

/** What the accessibility checker finds. It comes by the debugger, since the page's policy forbids added scripts. */
async function violations(page: Page): Promise<readonly string[]> {
  await page.evaluate(axe);
  return page.evaluate<readonly string[]>(
    "axe.run().then(({ violations }) => violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`))",
  );
}

async function signIn(page: Page, token: string): Promise<void> {
  await page.getByLabel(/^Token/).fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
}

/** A client that is relayed to the hostname's backend. */
async function connectAs(port: number, host: string): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.write(login({ host, name: "Steve" }));
  await once(socket, "data");
  return socket;
}

const row = (page: Page, text: string) => page.getByRole("listitem").filter({ hasText: text });

/** Where pictures go: into the documentation with PICTURES=docs, so that a run leaves no change behind. */
const pictures = process.env["PICTURES"] === "docs" ? "docs/img" : "dist/img";

async function shoot(page: Page, name: string): Promise<void> {
  await page.evaluate("scrollTo(0, 0); document.activeElement.blur()");
  await page.screenshot({ path: join(import.meta.dir, "../..", pictures, name) });
}

test("an operator signs in, sees servers and sessions, wakes one, edits routes, explains a hostname and leaves", async () => {
  await using server = await startMinecraftServer({ version: "1.21.4" });
  await using plane = startControlPlane({
    servers: [
      { name: "survival", address: server.address, startMs: 1_500 },
      { name: "creative", state: "running", address: server.address },
      { name: "skyblock", startMs: null },
    ],
  });
  await using network = await startNetwork({
    postgres,
    plane,
    rows: ["survival", "creative", "skyblock"].map((name) => ({
      name,
      domain: `${name}.example.org`,
      address: name === "creative" ? server.address : "127.0.0.1:1",
    })),
    env: {
      API_BINDING: `127.0.0.1:${laterPort()}`,
      AUTOMC_API_TOKEN: "open sesame",
      AUTOMC_API_READ_TOKEN: "look",
      AUTOMC_WAKER_STOP: "true",
      MAPPING: `lobby.example.org=${server.address}`,
    },
  });
  const origin = `http://${network.env["API_BINDING"]}`;
  const { page, context, faults } = await open(origin);

  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  expect(await violations(page)).toEqual([]);
  await signIn(page, "wrong");
  await page.getByText("This token is not valid.").waitFor();
  await signIn(page, "open sesame");
  await row(page, "survival").first().waitFor();
  const [cookie] = await context.cookies();
  expect(cookie).toMatchObject({ httpOnly: true, sameSite: "Strict" });
  expect(cookie?.value).not.toContain("sesame");

  const joined = await joinServer({
    port: network.router.port,
    host: "creative.example.org",
    version: "1.21.4",
    username: "Alex",
  });
  if (joined.kind !== "joined") throw new Error(JSON.stringify(joined));
  using _session = joined.session;
  await row(page, "Alex").first().waitFor();

  await page.getByRole("button", { name: "Wake survival" }).click();
  const survival = page.getByRole("listitem").filter({ hasText: "survival.example.org" });
  await survival
    .filter({ hasText: /starting for \d+ s/ })
    .first()
    .waitFor();
  await survival
    .filter({ hasText: /up for \d+ s/ })
    .first()
    .waitFor();
  await row(page, "the server is up").first().waitFor();
  expect(plane.starts("survival")).toBe(1);

  await page.getByRole("button", { name: "Wake skyblock" }).click();
  const skyblock = page.getByRole("listitem").filter({ hasText: "skyblock.example.org" });
  await skyblock
    .filter({ hasText: /starting for .*1 waiting/ })
    .first()
    .waitFor();

  await page.getByLabel("Hostname", { exact: true }).fill("new.example.org");
  await page.getByLabel("Backend").fill(server.address);
  await page.getByRole("button", { name: "Add route" }).click();
  const remove = page.getByRole("button", { name: "Remove the route for new.example.org" });
  await remove.waitFor();
  await page.getByLabel("Hostname", { exact: true }).fill("survival.example.org");
  await page.getByRole("button", { name: "Add route" }).click();
  await page
    .getByText("survival.example.org belongs to postgres survival; change it there")
    .waitFor();
  await remove.click();
  await remove.waitFor({ state: "detached" });

  await page.getByLabel("Hostname as a player types it").fill("Creative.example.org.");
  await page.getByRole("button", { name: "Explain" }).click();
  await page
    .getByText(/creative\.example\.org → .* \(postgres creative\): gets the players/)
    .waitFor();

  expect(await violations(page)).toEqual([]);
  await shoot(page, "page.png");
  await page.setViewportSize({ width: 360, height: 740 });
  await page.emulateMedia({ colorScheme: "dark" });
  await shoot(page, "page-narrow-dark.png");
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  expect(await context.cookies()).toEqual([]);
  expect(faults).toEqual([]);
  await context.close();
});

test("the read token shows everything and offers no change", async () => {
  const { router, origin } = await openRouter({
    AUTOMC_API_TOKEN: "all",
    AUTOMC_API_READ_TOKEN: "look",
    MAPPING: "a.example.org=127.0.0.1:1",
  });
  await using _ = router;
  const { page, context, faults } = await open(origin);
  await signIn(page, "look");
  await row(page, "a.example.org").first().waitFor();
  expect(await page.getByRole("button", { name: /Wake|Stop|Remove|Add route/ }).count()).toBe(0);
  expect(faults).toEqual([]);
  await context.close();
});

test("a server's icon takes the place of its letter once the server list has shown it", async () => {
  const status = { version: { name: "x", protocol: 774 }, favicon: faviconOf(greyPng(64)) };
  using backend = startBackend(sending(statusResponse(JSON.stringify(status))));
  await using plane = startControlPlane({
    servers: [{ name: "creative", state: "running", address: backend.address }],
  });
  await using network = await startNetwork({
    postgres,
    plane,
    rows: [{ name: "creative", domain: "creative.example.org", address: backend.address }],
    env: { API_BINDING: `127.0.0.1:${laterPort()}`, AUTOMC_API_READ_TOKEN: "look" },
  });
  const { page, context, faults } = await open(`http://${network.env["API_BINDING"]}`);
  await signIn(page, "look");
  const creative = row(page, "creative.example.org").first();
  await creative.locator(".letter").filter({ hasText: "C" }).waitFor();
  const host = "creative.example.org";
  const client = connect(network.router.port, "127.0.0.1");
  client.write(handshake({ protocol: 774, host, port: 25565, intent: 1 }));
  client.write(statusRequest);
  await once(client, "data");
  client.destroy();
  await creative.locator("img").waitFor();
  await creative.locator(".letter").waitFor({ state: "hidden" });
  expect(await page.evaluate<number>("document.querySelector('.server .icon').naturalWidth")).toBe(
    64,
  );
  expect(await violations(page)).toEqual([]);
  expect(faults).toEqual([]);
  await context.close();
});

test("a restart of the router under an open page is told, and over by itself", async () => {
  const first = await openRouter({ AUTOMC_API_TOKEN: "all", MAPPING: "a.example.org=127.0.0.1:1" });
  const { page, context } = await open(first.origin);
  await signIn(page, "all");
  await row(page, "a.example.org").first().waitFor();
  await first.router.stop();
  await page.getByText("The router does not answer.").waitFor();
  const second = await openRouter(
    { AUTOMC_API_TOKEN: "all", MAPPING: "b.example.org=127.0.0.1:1" },
    first.port,
  );
  await using _ = second.router;
  await row(page, "b.example.org").first().waitFor();
  await page.getByText("The router does not answer.").waitFor({ state: "hidden" });
  await context.close();
});

test("300 servers and 2,000 sessions are windowed, by keyboard as well, on a narrow dark screen", async () => {
  using backend = startBackend(sending(Buffer.from("hello")));
  const mapping = Array.from(
    { length: 300 },
    (_, i) => `s${i}.example.org=127.1.${i % 100}.${1 + Math.floor(i / 100)}:25565`,
  );
  const { router, origin } = await openRouter({
    MAPPING: [...mapping, `busy.example.org=${backend.address}`].join(","),
  });
  await using _ = router;
  const sockets = await Promise.all(
    Array.from({ length: 2_000 }, () => connectAs(router.port, "busy.example.org")),
  );
  const { page, context, faults } = await open(origin, { width: 360, height: 740 }, true);
  await row(page, "busy.example.org").first().waitFor();
  await page.getByText("301 servers · 2000 sessions").waitFor();
  expect(await page.getByRole("listitem").count()).toBeLessThan(120);
  expect(await page.evaluate<number>("document.documentElement.scrollWidth")).toBe(360);
  await page.getByRole("group", { name: "Servers" }).focus();
  await page.keyboard.press("End");
  await row(page, "127.1.99.3:25565").first().waitFor();
  expect(await violations(page)).toEqual([]);
  expect(faults).toEqual([]);
  await context.close();
  for (const socket of sockets) socket.destroy();
});

test("another site's page changes nothing", async () => {
  const { router, origin } = await openRouter({ AUTOMC_API_TOKEN: "all" });
  await using _ = router;
  const { page, context } = await open(origin);
  await signIn(page, "all");
  await page.getByRole("heading", { name: "Servers" }).waitFor();
  // Another port of the same host is the same site, so that the browser sends the cookie along.
  using other = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: () => new Response("<!doctype html>", { headers: { "content-type": "text/html" } }),
  });
  const foreign = await context.newPage();
  await foreign.goto(`http://127.0.0.1:${other.port}`);
  await foreign.evaluate<unknown>(
    `fetch("${origin}/routes", { method: "POST", mode: "no-cors", credentials: "include",
      body: '{"serverAddress":"evil.example.org","backend":"127.0.0.1:1"}' })`,
  );
  const refused = await router.waitForLine(({ event }) => event === "api-refused");
  expect(refused).toMatchObject({ path: "/routes", status: 403 });
  const routes = await fetch(`${origin}/routes`, { headers: { authorization: "Bearer all" } });
  expect(await routes.text()).toBe("{}");
  await context.close();
});

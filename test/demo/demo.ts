/** Tells the router's story on this machine, with real parts, and leaves the stage up for whoever wants to join. `--once`: ends after the story. */
import { plans } from "./server-manager.ts";
import { motd, openStage, type Stage } from "./stage.ts";
import {
  enterWorld,
  joinGame,
  moveAndDeleteBySql,
  renameBySql,
  seeInList,
  seeLoading,
  seeOneStart,
  seeSilence,
  seeStillPlaying,
} from "./steps.ts";
import { createTimeline, type Timeline } from "./timeline.ts";

/** 130 is what a shell makes of SIGINT. */
const exitCodes = { fine: 0, failed: 1, interrupted: 130 } as const;

async function tellStory(stage: Stage): Promise<void> {
  const { timeline } = stage;
  const survival = { version: "1.20.4", hostname: "survival.localhost" };

  timeline.chapter("A sleeping server is in the server list");
  await seeInList(stage, survival.hostname, motd.asleep);

  timeline.chapter("Joining starts it, and the players wait in the login screen");
  const [player, bot] = await Promise.all([
    joinGame(stage, { username: "Robin", ...survival }),
    enterWorld(stage, { username: "Alex", ...survival }),
    seeLoading(stage, survival.hostname),
  ]);
  using robin = player;
  await using alex = bot;
  seeOneStart(stage, "survival");
  await seeInList(stage, survival.hostname, "A world");

  timeline.chapter("A row changed by SQL is routed at once");
  await renameBySql(stage, "creative", "creative.localhost", "lobby.localhost");

  timeline.chapter("Old and new clients wait alike");
  const others = await Promise.all([
    joinGame(stage, { username: "Kim", version: "1.8.8", hostname: "lobby.localhost" }),
    joinGame(stage, { username: "Noor", version: "26.1", hostname: "latest.localhost" }),
  ]);
  for (const other of others) other[Symbol.dispose]();

  timeline.chapter("Scanners learn nothing");
  await seeSilence(stage, "nobody.localhost");

  timeline.chapter("No change of a route cuts a player");
  await moveAndDeleteBySql(stage, "survival", survival.hostname);
  await seeStillPlaying(stage, "survival", robin, alex);
}

function invitation({ database, folder, router }: Stage): string {
  const address = (hostname: string): string =>
    router.port === 25565 ? hostname : `${hostname}:${router.port}`;
  const list = plans.map(({ hostname, version, kind }) => {
    const what = kind === "world" ? "a small flat world" : 'no world: stays at "Loading terrain"';
    return `    ${address(hostname).padEnd(26)}  Minecraft ${version.padEnd(6)}  ${what}`;
  });
  return `
All servers sleep again. Now you: Multiplayer, Add Server, and join one of
${list.join("\n")}
  Where these names are not found, add this line to the hosts file:
    127.0.0.1 ${plans.map(({ hostname }) => hostname).join(" ")}
  From another machine, which cannot reach the demo otherwise:
    ssh -L 25565:127.0.0.1:${router.port} <this machine>

The table:         psql '${database.dsn}'
                   UPDATE servers SET domain = 'lobby.localhost' WHERE name = 'creative';
The router's log:  tail -f ${router.logPath}
Ctrl-C ends everything and removes ${folder}.
`;
}

/** The whole run; resolves with the exit code once everything is stopped and removed. */
async function perform(timeline: Timeline, once: boolean, end: Promise<"end">): Promise<number> {
  await using stage = await openStage(timeline);
  try {
    if ((await Promise.race([tellStory(stage), end])) === "end") return exitCodes.interrupted;
    await stage.manager.sleepAll();
    timeline.say("\nEvery step went as it should.");
    if (once) return exitCodes.fine;
    timeline.say(invitation(stage));
    await end;
    timeline.say("\nStopping.");
    return exitCodes.fine;
  } catch (failure) {
    process.stderr.write(`\nThe end of the router's log:\n${stage.router.logTail()}\n`);
    throw failure;
  }
}

/** Resolves at the first signal that asks us to end; later ones do not cut the cleaning up short. Rejects with what is thrown where nobody expects it. */
function untilEnd(): Promise<"end"> {
  const { promise, resolve, reject } = Promise.withResolvers<"end">();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => resolve("end"));
  for (const event of ["uncaughtException", "unhandledRejection"]) process.on(event, reject);
  return promise;
}

async function main(): Promise<number> {
  const timeline = createTimeline({
    write: (text) => process.stdout.write(text),
    colour: process.stdout.isTTY && !process.env["NO_COLOR"],
    now: () => performance.now(),
  });
  let isInterrupted = false;
  const end = untilEnd().then((word) => {
    isInterrupted = true;
    return word;
  });
  try {
    return await perform(timeline, process.argv.includes("--once"), end);
  } catch (failure) {
    // Ctrl-C in a terminal also ends what we are just starting, and then starting fails.
    if (isInterrupted) return exitCodes.interrupted;
    process.stderr.write(`\nFAILED: ${failure instanceof Error ? failure.message : failure}\n`);
    return exitCodes.failed;
  }
}

process.exit(await main());

import { connect, type Socket } from "node:net";
import { hostPort } from "../../base/ip.ts";
import { parseJson } from "../../base/json.ts";
import { listOf, type Members, membersOf, numberOf, textOf, within } from "../../base/members.ts";
import { err, ok, type Result } from "../../base/result.ts";
import { messageOf } from "../../base/thrown.ts";
import { encodeString } from "../../protocol/cursor.ts";
import { frame, openFrame } from "../../protocol/frame.ts";
import type { Parsed } from "../../protocol/parsed.ts";
import { readStatusResponse, statusRequest } from "../../protocol/status.ts";
import { encodeVarInt } from "../../protocol/varint.ts";
import { parseAddress } from "../../routing/address.ts";
import { findRouter } from "./running-router.ts";
import { exitCodes, plain, type Terminal } from "./terminal.ts";

/** What a server list shows of a hostname. */
interface PingAnswer {
  readonly status: Members;
  /** From the ping request to its answer, ms; null when it was not answered. */
  readonly ms: number | null;
}

/** The protocol of Minecraft 1.21.8; a status does not depend on it. */
const protocol = 772;

/** As long as a client waits. */
const patienceMs = 30_000;

/**
 * `ping HOST`: what a player's server list shows of a hostname, by the router on this machine. The exit code
 * is 0 when something answers.
 */
export async function pingHost(
  terminal: Terminal,
  host: string,
  configured: { readonly bind: string; readonly port: number },
): Promise<number> {
  const at = await whereToDial(terminal, configured);
  if (!at.ok) {
    terminal.complain(`${at.error}\n`);
    return exitCodes.no;
  }
  const answer = await ping(at.value, host);
  if (answer.ok) {
    terminal.print(answerText(host, answer.value));
    return exitCodes.yes;
  }
  const where = hostPort(at.value.host, at.value.port);
  terminal.complain(
    `${host} at ${where}: ${answer.error}; automc-router explain ${host} tells where it leads\n`,
  );
  return exitCodes.no;
}

interface Target {
  readonly host: string;
  readonly port: number;
}

/** Where the running router listens, else where the settings of this environment say. */
async function whereToDial(
  terminal: Terminal,
  { bind, port }: { readonly bind: string; readonly port: number },
): Promise<Result<Target, string>> {
  const found = await findRouter(terminal.variables);
  const status = found.ok ? await found.value.read("/status") : found;
  if (!status.ok) {
    const where = hostPort(bind, port);
    terminal.complain(`${status.error}; this pings ${where}, as the settings in this shell say\n`);
  }
  const listening = status.ok ? textOf(membersOf(status.value) ?? {}, "listening") : null;
  if (status.ok && listening === null) return err("the router does not listen yet");
  // Every address of this machine includes its loopback.
  return parseAddress(listening ?? hostPort(bind, port));
}

/**
 * Asks the router at that address for the status of a hostname, as a client does. The error is one readable
 * phrase.
 */
function ping(target: Target, host: string): Promise<Result<PingAnswer, string>> {
  const { promise, resolve } = Promise.withResolvers<Result<PingAnswer, string>>();
  let received = Buffer.alloc(0);
  let status: Members | null = null;
  let askedAt = 0;
  const socket = connect({ host: target.host, port: target.port });
  socket.setTimeout(patienceMs, () =>
    finish(socket, err(`no answer within ${patienceMs / 1_000} s`)),
  );
  socket.on("connect", () =>
    socket.write(Buffer.concat([handshake(host, target.port), statusRequest])),
  );
  socket.on("error", (cause) => finish(socket, err(messageOf(cause))));
  socket.on("close", () =>
    resolve(
      status === null
        ? err("the router closed the connection without a word")
        : ok({ status, ms: null }),
    ),
  );
  socket.on("data", (bytes) => {
    received = Buffer.concat([received, Buffer.from(bytes)]);
    if (status === null) {
      const response = readStatusResponse(received, 0);
      if (response.kind === "need-more") return;
      const json = response.kind === "ok" ? parseJson(response.value) : null;
      status = json?.ok ? membersOf(json.value) : null;
      if (response.kind !== "ok" || status === null) {
        finish(socket, err("the answer is no status of a Minecraft server"));
        return;
      }
      received = received.subarray(response.end);
      askedAt = performance.now();
      socket.write(frame(0x01, new Uint8Array(8)));
    }
    if (readPong(received).kind === "ok") {
      finish(socket, ok({ status, ms: performance.now() - askedAt }));
    }
  });
  return promise;

  function finish(ended: Socket, result: Result<PingAnswer, string>): void {
    resolve(result);
    ended.destroy();
  }
}

const handshake = (host: string, port: number): Uint8Array =>
  frame(
    0x00,
    encodeVarInt(protocol),
    encodeString(host),
    Uint8Array.of(port >> 8, port & 0xff),
    encodeVarInt(1),
  );

function readPong(bytes: Uint8Array): Parsed<null> {
  const packet = openFrame(bytes, 0, 9);
  if (packet.varInt() !== 0x01) packet.fail("the packet is no pong");
  packet.skip(8);
  return packet.finish(() => null);
}

/** What a player would see, for a terminal. */
function answerText(host: string, { status, ms }: PingAnswer): string {
  const players = within(status, "players");
  const sample = listOf(players, "sample").map((player) => textOf(player, "name") ?? "");
  const lines = [
    `${host} answers${ms === null ? ", but not to the ping itself" : ` in ${ms.toFixed(1)} ms`}`,
    ...textIn(status["description"])
      .split("\n")
      .map((line) => `  ${plain(line).trimEnd()}`),
    `version  ${plain(textOf(within(status, "version"), "name") ?? "none")}`,
    `players  ${numberOf(players, "online") ?? "?"} of ${numberOf(players, "max") ?? "?"}`,
    ...sample.map((name) => `  ${plain(name)}`),
  ];
  return `${lines.join("\n")}\n`;
}

/** The words of a chat component, without colours (https://minecraft.wiki/w/Text_component_format). */
function textIn(component: unknown): string {
  if (typeof component === "string") return component.replace(/§./gu, "");
  if (Array.isArray(component)) return component.map(textIn).join("");
  const members = membersOf(component);
  if (members === null) return "";
  const own = textOf(members, "text") ?? textOf(members, "translate") ?? "";
  return textIn(own) + textIn(members["extra"]);
}

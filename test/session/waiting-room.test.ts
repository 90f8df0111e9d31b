import { describe, expect, test } from "bun:test";
import { createDeadlines } from "../../src/base/deadlines.ts";
import { configurationFormat } from "../../src/protocol/configuration.ts";
import {
  closeRoom,
  createRooms,
  enterRoom,
  type RoomEnd,
  transferFromRoom,
} from "../../src/session/waiting-room.ts";
import { frame, string, varint } from "../support/minecraft/wire.ts";
import { connection } from "../support/session/connection.ts";
import { manualDeadlines, until } from "../support/session/session-clock.ts";

const uuid = "5627dd98-e6be-3c21-b8a8-e92344183641";
const limitMs = 90_000;

/** Clientbound ids of protocols 771 to 776. */
const ids = { disconnect: 2, keepAlive: 4, ping: 5, transfer: 0x0b, clear: 0x11, show: 0x12 };

const acknowledged = frame(0x03);
const brand = frame(0x02, string("minecraft:brand"), string("vanilla"));
const click = (id: string): Buffer => frame(0x08, string(id), varint(0));

function keepAlive(number: number): Buffer {
  const id = Buffer.alloc(8);
  id.writeUInt32BE(number, 4);
  return frame(0x04, id);
}

function pong(number: number): Buffer {
  const id = Buffer.alloc(4);
  id.writeUInt32BE(number);
  return frame(0x05, id);
}

/** A client in a room, on a clock that the test moves. Dispose cuts the connection. */
async function inRoom(protocol = 771) {
  const format = configurationFormat(protocol);
  if (format === null) throw new Error(`no format for protocol ${protocol}`);
  const ends = await connection();
  const { player, client } = ends;
  const clock = manualDeadlines();
  const stopping = new AbortController();
  const rooms = createRooms(stopping.signal);
  const screen = { title: "Survival", lines: ["2 waiting"] };
  const room = enterRoom(
    client,
    format,
    { name: "Steve", uuid },
    {
      deadlines: clock,
      rooms,
      text: () => ({ ...screen, lines: [...screen.lines] }),
      leftMs: () => limitMs - clock.now(),
    },
  );
  expect((await player.readFrame()).id).toBe(0x02);
  return {
    ...ends,
    clock,
    stopping,
    rooms,
    room,
    screen,
    /** The client accepts Login Success and is shown the first text. */
    async accept() {
      await player.send(acknowledged);
      expect((await player.readFrame()).id).toBe(ids.show);
    },
    [Symbol.dispose]: () => ends[Symbol.dispose](),
  };
}

describe("a client in the waiting room", () => {
  test("sends its brand, is kept alive every 8 s, and sees the text as soon as it changes", async () => {
    using bench = await inRoom();
    const { player, clock, screen, room } = bench;
    await bench.accept();
    await player.send(brand);
    clock.advance(3_000);
    screen.lines = ["3 waiting"];
    clock.advance(3_000);
    const shown = await player.readFrame();
    expect(shown.id).toBe(ids.show);
    expect(Buffer.from(shown.body).toString("latin1")).toContain("3 waiting");
    for (const number of [1, 2, 3]) {
      clock.advance(9_000);
      const asked = await player.readFrame();
      expect(asked.id).toBe(ids.keepAlive);
      expect(Buffer.from(asked.body).readUInt32BE(4)).toBe(number);
      await player.send(keepAlive(number));
      await until("the answer is read", () => room.answered === number);
    }
    expect(room.end).toBeNull();
  });

  test("is transferred to where it came from, and the connection ends behind that", async () => {
    using bench = await inRoom();
    const { player, clock, room, rooms } = bench;
    await bench.accept();
    transferFromRoom(room, "play.example.org", 25_565);
    expect((await player.readFrame()).id).toBe(ids.clear);
    const sent = await player.readFrame();
    expect(sent.id).toBe(ids.transfer);
    expect(Buffer.from(sent.body)).toEqual(
      Buffer.concat([string("play.example.org"), varint(25_565)]),
    );
    await player.waitForEnd();
    expect(rooms.inside.size).toBe(0);
    player.finish();
    await until("the connection is gone", () => room.client.closed);
    expect(clock.pending).toBe(0);
  });

  test("reads why it is over when the dialog is gone", async () => {
    using bench = await inRoom();
    const { player, room } = bench;
    await bench.accept();
    const closing = closeRoom(room, "It did not start in time.");
    expect((await player.readFrame()).id).toBe(ids.clear);
    expect((await player.readFrame()).id).toBe(ids.ping);
    await player.send(Buffer.concat([brand, pong(1)]));
    const ended = await player.readFrame();
    expect(ended.id).toBe(ids.disconnect);
    expect(Buffer.from(ended.body).toString("latin1")).toContain("It did not start in time.");
    await closing;
  });

  test("that gives no sign is disconnected all the same after 5 s", async () => {
    using bench = await inRoom();
    const { player, room, clock } = bench;
    await bench.accept();
    const closing = closeRoom(room, "Goodbye");
    expect((await player.readFrame()).id).toBe(ids.clear);
    expect((await player.readFrame()).id).toBe(ids.ping);
    clock.advance(5_000);
    expect((await player.readFrame()).id).toBe(ids.disconnect);
    await closing;
  });

  const ends: readonly {
    readonly name: string;
    readonly end: RoomEnd;
    readonly accepted?: false;
    readonly act: (bench: Awaited<ReturnType<typeof inRoom>>) => unknown;
  }[] = [
    {
      name: "leaves by the button",
      end: "left",
      act: ({ player }) => player.send(click("automc:leave")),
    },
    { name: "is gone", end: "gone", act: ({ player }) => player.finish() },
    { name: "is reset", end: "gone", act: ({ player }) => player.reset() },
    {
      name: "answers what was not asked",
      end: "out-of-turn",
      act: ({ player }) => player.send(keepAlive(1)),
    },
    {
      name: "sends a packet longer than 32 KiB",
      end: "out-of-turn",
      act: ({ player }) => player.send(frame(0x02, Buffer.alloc(40_000)).subarray(0, 64)),
    },
    {
      name: "sends packet after packet",
      end: "out-of-turn",
      act: ({ player }) => player.send(Buffer.concat(Array.from({ length: 100 }, () => brand))),
    },
    {
      name: "says something else than that it accepts",
      end: "out-of-turn",
      accepted: false,
      act: ({ player }) => player.send(brand),
    },
    {
      name: "never accepts",
      end: "mute",
      accepted: false,
      act: ({ clock }) => clock.advance(66_000),
    },
    { name: "answers no keep-alive", end: "mute", act: ({ clock }) => clock.advance(75_000) },
    {
      name: "has waited as long as it may",
      end: "late",
      act: async ({ player, clock, room }) => {
        for (let number = 1; room.end === null; number += 1) {
          clock.advance(9_000);
          await player.send(keepAlive(number));
          await until("it is answered", () => room.answered === number || room.end !== null);
        }
      },
    },
    {
      name: "is there when the router stops",
      end: "stopping",
      act: ({ stopping }) => stopping.abort(),
    },
  ];

  test.each([...ends])("that $name: $end", async ({ end, accepted, act }) => {
    using bench = await inRoom();
    const { room, rooms, clock } = bench;
    if (accepted !== false) await bench.accept();
    await act(bench);
    await until("the stay is over", () => room.end !== null);
    expect(room.end).toBe(end);
    expect(room.control.signal.aborted).toBe(true);
    expect(rooms.inside.size).toBe(0);
    expect(clock.pending).toBe(0);
  });

  test("that comes while the router stops is not kept", async () => {
    const stopped = AbortSignal.abort();
    using ends = await connection();
    const format = configurationFormat(777);
    if (format === null) throw new Error("no format");
    const room = enterRoom(
      ends.client,
      format,
      { name: "Steve", uuid },
      {
        deadlines: createDeadlines(),
        rooms: createRooms(stopped),
        text: () => ({ title: "", lines: [] }),
        leftMs: () => limitMs,
      },
    );
    expect(room.end).toBe("stopping");
  });
});

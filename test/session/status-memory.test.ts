import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { longestStatus, readStatusResponse, statusResponse } from "../../src/protocol/status.ts";
import { toIcon } from "../../src/session/icon.ts";
import { createStatusMemory, type StatusMemory } from "../../src/session/status-memory.ts";
import { faviconOf, greyPng } from "../support/minecraft/icon.ts";

const icon = `data:image/png;base64,${"iVBORw0KGgo".repeat(300)}`;
const online = {
  version: { name: "Paper 1.21.11", protocol: 774 },
  enforcesSecureChat: true,
  description: { text: "Survival", color: "gold" },
  players: {
    max: 60,
    online: 2,
    sample: [{ name: "Alex", id: "00000000-0000-0000-0000-000000000000" }],
  },
  favicon: icon,
  forgeData: { channels: [], mods: [], fmlNetworkVersion: 3, d: "\u0001\ud83d\ude00" },
  modinfo: { type: "FML", modList: [{ modid: "a", version: "1" }] },
};

function remembering() {
  let nowMs = 0;
  let changes = 0;
  const memory = createStatusMemory({ now: () => nowMs, changed: () => (changes += 1) });
  return {
    memory,
    advance: (ms: number) => (nowMs += ms),
    changes: () => changes,
  };
}

/** A memory of one backend's answer to a client of protocol 774. */
function memoryOf(json: string): StatusMemory {
  const { memory } = remembering();
  memory.remember("a", 774, json);
  return memory;
}

/** What a client reads; null for silence. */
function shown(memory: StatusMemory, protocol = 774, text = "", backend = "a"): unknown {
  const frame = memory.asleepStatus(backend, { protocol, text });
  if (frame === null) return null;
  const response = readStatusResponse(frame, 0);
  if (response.kind !== "ok") throw new Error(`a client could not read it: ${response.kind}`);
  expect(response.end).toBe(frame.length);
  return JSON.parse(response.value);
}

const { sample: _, ...limits } = online.players;
const asleep = { ...online, players: { ...limits, online: 0 } };

describe("a sleeping backend that was seen running", () => {
  test("keeps everything but its players; the description as it was where no text is set", () => {
    expect(shown(memoryOf(JSON.stringify(online)))).toEqual(asleep);
  });

  test("has the text as its description", () => {
    const text = 'Zzz <b>"§6\u2028';
    expect(shown(memoryOf(JSON.stringify(online)), 774, text)).toEqual({
      ...asleep,
      description: { text },
    });
  });

  test("keeps the order of its members, with the icon last", () => {
    const entry = shown(memoryOf(JSON.stringify(online)), 774, "Zzz");
    expect(Object.keys(entry as object)).toEqual([
      "version",
      "enforcesSecureChat",
      "description",
      "players",
      "forgeData",
      "modinfo",
      "favicon",
    ]);
  });

  test("is remembered for each protocol by itself, and for no other backend", () => {
    const { memory } = remembering();
    memory.remember("a", 47, '{"version":{"name":"old","protocol":47}}');
    memory.remember("a", 774, '{"version":{"name":"new","protocol":774}}');
    expect(shown(memory, 47)).toEqual({ version: { name: "old", protocol: 47 } });
    expect(shown(memory, 774)).toEqual({ version: { name: "new", protocol: 774 } });
    expect(shown(memory, 774, "", "b")).toBeNull();
    expect(memory.asleepStatus("b", { protocol: 774, text: "Zzz" })).toEqual(
      statusResponse({ protocol: 774, text: "Zzz" }),
    );
  });

  const others: readonly { name: string; version: unknown; shown: unknown }[] = [
    {
      name: "that states its own version states it to all",
      version: { name: "1.20.1", protocol: 763 },
      shown: { name: "1.20.1", protocol: 763 },
    },
    {
      name: "that echoed its client's protocol echoes it to all",
      version: { name: "Velocity 1.7.2-1.21.11", protocol: 774 },
      shown: { name: "Velocity 1.7.2-1.21.11", protocol: 5 },
    },
  ];
  for (const { name, version, shown: expected } of others) {
    test(`seen by a client of another protocol only: one ${name}`, () => {
      const memory = memoryOf(JSON.stringify({ ...online, version }));
      expect(shown(memory, 5)).toEqual({ ...asleep, version: expected });
    });
  }

  test("shows its latest answer to a client of a protocol that it has not seen", () => {
    const { memory } = remembering();
    memory.remember("a", 47, '{"version":{"name":"x","protocol":1},"description":"first"}');
    memory.remember("a", 774, '{"version":{"name":"x","protocol":1},"description":"second"}');
    memory.remember("a", 47, '{"version":{"name":"x","protocol":1},"description":"third"}');
    expect(shown(memory, 5)).toMatchObject({ description: "third" });
  });

  test("shows its new answer once it has given one; an icon that has gone is gone", () => {
    const memory = memoryOf(JSON.stringify(online));
    memory.remember("a", 774, '{"description":"new"}');
    expect(shown(memory)).toEqual({ description: "new" });
  });

  test("of which nothing is known gives mc-router's answer, byte for byte, and none without a text", () => {
    const { memory } = remembering();
    expect(memory.asleepStatus("a", { protocol: -1, text: "<Zzz>" })).toEqual(
      statusResponse({ protocol: -1, text: "<Zzz>" }),
    );
    expect(memory.asleepStatus("a", { protocol: 774, text: "" })).toBeNull();
  });

  test("whose answer would become longer than clients read gives mc-router's", () => {
    const memory = memoryOf(JSON.stringify(online));
    const text = "x".repeat(longestStatus - icon.length);
    expect(memory.asleepStatus("a", { protocol: 774, text })).toEqual(
      statusResponse({ protocol: 774, text }),
    );
  });
});

describe("an answer that no client could read is ignored", () => {
  const deep = longestStatus / 2 - 20;
  test.each([
    { name: "no JSON", json: "hello" },
    { name: "nothing", json: "" },
    { name: "a string", json: '"hello"' },
    { name: "null", json: "null" },
    { name: "an array", json: "[]" },
    { name: "players that are a list", json: '{"players":[]}' },
    { name: "players that are null", json: '{"players":null}' },
    { name: "a version that is text", json: '{"version":"1.21"}' },
    { name: "cut off", json: '{"description":"' },
    { name: "longer than clients read", json: `{"a":"${"x".repeat(longestStatus)}"}` },
  ])("$name", ({ json }) => {
    const memory = memoryOf(JSON.stringify(online));
    memory.remember("a", 774, json);
    expect(shown(memory)).toEqual(asleep);
  });

  test.each([
    { name: "lists in lists", json: `{"a":${"[".repeat(deep)}${"]".repeat(deep)}}` },
    { name: "objects in objects", json: `${'{"a":'.repeat(5_000)}1${"}".repeat(5_000)}` },
    { name: "a member named like a prototype", json: '{"__proto__":{"x":1},"constructor":1}' },
    { name: "an icon that is no image", json: '{"favicon":{"a":1},"description":"x"}' },
    { name: "numbers beyond any range", json: '{"players":{"max":1e999,"online":-1e999}}' },
  ])("hostile, and harmless: $name", ({ json }) => {
    const memory = memoryOf(json);
    expect(() => shown(memory, 774, "Zzz")).not.toThrow();
    expect(shown(memory, 774, "Zzz")).toMatchObject({ description: { text: "Zzz" } });
    expect(({} as Record<string, unknown>)["x"]).toBeUndefined();
  });

  test("whatever is remembered, a client can read what is shown", () => {
    const entry = fc.oneof(
      fc.json(),
      fc.string(),
      fc.object().map((object) => JSON.stringify(object)),
    );
    fc.assert(
      fc.property(entry, fc.string({ unit: "binary" }), fc.integer(), (json, text, protocol) => {
        const { memory } = remembering();
        memory.remember("a", 774, json);
        const seen = shown(memory, protocol, text);
        if (text !== "") {
          expect((seen as { description: unknown }).description).toEqual({ text });
        }
      }),
    );
  });
});

describe("looking", () => {
  test("happens once in 30 s for each backend and protocol", () => {
    const { memory, advance } = remembering();
    expect(memory.mayLook("a", 774)).toBe(true);
    expect(memory.mayLook("a", 774)).toBe(false);
    expect(memory.mayLook("a", 47)).toBe(true);
    expect(memory.mayLook("b", 774)).toBe(true);
    advance(29_999);
    expect(memory.mayLook("a", 774)).toBe(false);
    advance(1);
    expect(memory.mayLook("a", 774)).toBe(true);
    expect(memory.mayLook("a", 774)).toBe(false);
  });

  test("changes nothing that is shown or saved", () => {
    const { memory, changes } = remembering();
    memory.mayLook("a", 774);
    expect(shown(memory)).toBeNull();
    expect(memory.save()).toEqual([]);
    expect(changes()).toBe(0);
  });
});

describe("the memory is bounded", () => {
  test("to 1,000 backends: the one longest unheard of makes room", () => {
    const { memory } = remembering();
    for (let index = 0; index < 1_000; index += 1) {
      memory.remember(`b${index}`, 774, JSON.stringify(online));
    }
    memory.remember("b0", 774, JSON.stringify(online));
    memory.remember("b1000", 774, JSON.stringify(online));
    expect(memory.save()).toHaveLength(1_000);
    expect(shown(memory, 774, "", "b0")).toEqual(asleep);
    expect(shown(memory, 774, "", "b1")).toBeNull();
  });

  test("to 8 protocols of each, whatever clients claim to be", () => {
    const { memory } = remembering();
    for (let protocol = 0; protocol < 10_000; protocol += 1) {
      memory.mayLook("a", protocol);
      memory.remember("a", protocol, JSON.stringify({ ...online, description: `${protocol}` }));
    }
    expect(memory.save()[0]?.answers.map(({ protocol }) => protocol)).toEqual([
      9_992, 9_993, 9_994, 9_995, 9_996, 9_997, 9_998, 9_999,
    ]);
  });

  test("and keeps the icon once for all protocols", () => {
    const { memory } = remembering();
    for (let protocol = 0; protocol < 8; protocol += 1) {
      memory.remember("a", protocol, JSON.stringify(online));
    }
    const text = JSON.stringify(memory.save());
    expect(text.split(icon)).toHaveLength(2);
  });
});

describe("what is saved", () => {
  const memoryOfTwo = (): StatusMemory => {
    const { memory } = remembering();
    memory.remember("a", 774, JSON.stringify(online));
    memory.remember("b", 47, '{"description":"b"}');
    return memory;
  };
  const throughFile = (memory: StatusMemory): unknown[] =>
    JSON.parse(JSON.stringify(memory.save()));

  test("comes back as it was", () => {
    const { memory, changes } = remembering();
    expect(memory.restore(throughFile(memoryOfTwo()))).toBe(0);
    expect(shown(memory)).toEqual(asleep);
    expect(shown(memory, 47, "", "b")).toEqual({ description: "b" });
    expect(memory.save()).toEqual(memoryOfTwo().save());
    expect(changes()).toBe(0);
  });

  test("a backend's icon is its last one, over a restart as well", () => {
    const favicon = faviconOf(greyPng(64));
    const { memory } = remembering();
    memory.remember("a", 774, JSON.stringify({ ...online, favicon }));
    const { memory: next } = remembering();
    next.restore(memory.save());
    expect(next.icon("a")).toEqual(toIcon(favicon));
    expect(next.icon("a")).not.toBeNull();
    expect(next.icon("b")).toBeNull();
    next.remember("a", 774, JSON.stringify({ ...online, favicon: undefined }));
    expect(next.icon("a")).toBeNull();
  });

  test("changes when an answer does, and not by the players who come and go", () => {
    const { memory, changes } = remembering();
    memory.remember("a", 774, JSON.stringify(online));
    memory.remember("a", 774, JSON.stringify({ ...online, players: { max: 60, online: 9 } }));
    expect(changes()).toBe(1);
    memory.remember("a", 774, JSON.stringify({ ...online, favicon: undefined }));
    memory.remember("a", 774, JSON.stringify({ ...online, favicon: undefined, description: "" }));
    expect(changes()).toBe(3);
  });

  const [good] = throughFile(memoryOfTwo()) as Record<string, unknown>[];
  const damaged: readonly { name: string; saved: unknown }[] = [
    { name: "nothing", saved: null },
    { name: "text", saved: "a" },
    { name: "another version", saved: { ...good, version: 2 } },
    { name: "no backend", saved: { ...good, backend: 7 } },
    { name: "an icon that is none", saved: { ...good, favicon: "http://example.com/a.png" } },
    { name: "an icon longer than clients read", saved: { ...good, favicon: icon.repeat(99) } },
    { name: "no answers", saved: { ...good, answers: {} } },
    { name: "an answer without a protocol", saved: { ...good, answers: [{ json: "{}" }] } },
    {
      name: "an answer that is no JSON",
      saved: { ...good, answers: [{ protocol: 1, json: "{" }] },
    },
    {
      name: "an answer with players online",
      saved: { ...good, answers: [{ protocol: 1, json: '{"players":{"max":1,"online":5}}' }] },
    },
  ];
  test.each(damaged)("is left out where it is damaged: $name", ({ saved }) => {
    const { memory } = remembering();
    expect(memory.restore([saved, ...throughFile(memoryOfTwo()).slice(1)])).toBe(1);
    expect(memory.save().map(({ backend }) => backend)).toEqual(["b"]);
  });

  test("is bounded as it comes back, too", () => {
    const { memory } = remembering();
    memory.restore(
      Array.from({ length: 1_500 }, (_, index) => ({ ...good, backend: `b${index}` })),
    );
    expect(memory.save()).toHaveLength(1_000);
    expect(memory.save()[0]?.backend).toBe("b500");
  });
});

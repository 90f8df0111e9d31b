import { expect, test } from "bun:test";
import {
  emptyRoutesFile,
  parseRoutesFile,
  type RouteEdit,
  type RoutesFile,
  readRoutes,
  routesFileText,
  withEdits,
} from "../../../src/providers/static/routes-file.ts";
import { parseAddress } from "../../../src/routing/address.ts";
import { parsePattern } from "../../../src/routing/pattern.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function parsed(text: string): RoutesFile {
  const file = parseRoutesFile(bytes(text));
  if (!file.ok) throw new Error(file.error);
  return file.value;
}

/** `hostname address` of every route. */
const routed = (text: string, simplifySrv = false): string[] =>
  [...readRoutes(parsed(text), simplifySrv).routes].map(
    ([key, route]) => `${key} ${route.address.text}`,
  );

const readable: readonly { name: string; text: string; routes: readonly string[] }[] = [
  {
    name: "upstream's own example",
    text: '{\n  "default-server": null,\n  "mappings": {\n    "a.example.com": "10.0.0.1:25566"\n  }\n}\n',
    routes: ["a.example.com 10.0.0.1:25566"],
  },
  { name: "an empty object", text: "{}", routes: [] },
  { name: "null", text: "null", routes: [] },
  { name: "null for everything", text: '{"default-server":null,"mappings":null}', routes: [] },
  { name: "an empty default", text: '{"default-server":""}', routes: [] },
  { name: "a default", text: '{"default-server":"lobby:1"}', routes: ["* lobby:1"] },
  {
    name: "keys in any case",
    text: '{"Default-Server":"d:1","MAPPINGS":{"a":"b:2"}}',
    routes: ["a b:2", "* d:1"],
  },
  {
    name: "mappings twice: they are merged, as Go does it",
    text: '{"mappings":{"a":"b:1","c":"x:1"},"Mappings":{"c":"d:2"}}',
    routes: ["a b:1", "c d:2"],
  },
  {
    name: "mappings that a later null takes back",
    text: '{"mappings":{"a":"b:1"},"default-server":"d:1","mappings":null,"default-server":null}',
    routes: ["* d:1"],
  },
  { name: "a byte order mark", text: '\ufeff{"mappings":{"a":"b:1"}}', routes: ["a b:1"] },
  {
    name: "an unknown key that is nested as deeply as Go reads",
    text: `{"x":${"[".repeat(9_000)}${"]".repeat(9_000)},"mappings":{"a":"b:1"}}`,
    routes: ["a b:1"],
  },
  { name: "unknown keys", text: '{"x":{"y":[1]},"mappings":{"a":"b"}}', routes: ["a b:25565"] },
  {
    name: "hostnames in other spellings, and a wildcard",
    text: '{"mappings":{"A.Example.COM.":"b:1"," *.c ":"d:2"}}',
    routes: ["a.example.com b:1", "*.c d:2"],
  },
];

for (const { name, text, routes } of readable) {
  test(`${name} is read`, () => expect(routed(text)).toEqual([...routes]));
}

const unreadable: readonly { name: string; content: string | Uint8Array; error: string }[] = [
  { name: "an empty file", content: "", error: "it is empty, expected a JSON object" },
  {
    name: "a comment",
    content: '{\n  "mappings": {\n    // none\n  }\n}',
    error: 'it is no JSON: line 3, column 5: "/" is not expected there (JSON has no comments)',
  },
  {
    name: "a trailing comma",
    content: '{"mappings": {"a": "b",}}',
    error: 'it is no JSON: line 1, column 24: "}" is not expected there',
  },
  {
    name: "half of a file",
    content: '{"mappings": {"a": "b"',
    error: "it is no JSON: line 1, column 23: it ends too early",
  },
  { name: "a list", content: "[]", error: "it is no JSON object" },
  {
    name: "a default that is a number",
    content: '{"default-server": 1}',
    error: 'its "default-server" is no string',
  },
  {
    name: "mappings that are a list",
    content: '{"mappings": []}',
    error: 'its "mappings" is no object',
  },
  {
    name: "a backend that is no string",
    content: '{"mappings": {"a": {"backend": "b"}}}',
    error: 'its "mappings" has something else than a string for "a"',
  },
];

for (const { name, content, error } of unreadable) {
  test(`${name} is one readable error`, () => {
    const given = typeof content === "string" ? bytes(content) : content;
    expect(parseRoutesFile(given)).toEqual({ ok: false, error });
  });
}

test("an entry that cannot be used is named, and the others apply", () => {
  const file = parsed('{"default-server":"a b","mappings":{"x y":"z:1","q":"","ok":"z:2"}}');
  const { routes, problems } = readRoutes(file, false);
  expect([...routes.keys()]).toEqual(["ok"]);
  expect([...problems]).toEqual([
    ["x y", "the hostname has whitespace or a control character inside"],
    ["q", "the address is empty, expected host:port"],
    ["default-server", "the address has whitespace or a control character inside"],
  ]);
});

test("an entry that no client can match, or nothing can dial, is named with what was meant", () => {
  const file = parsed('{"mappings":{".a.org":"z:1","b.org":"${BACKEND}","süd.org":"z:2"}}');
  const { routes, problems } = readRoutes(file, false);
  expect([...routes.keys()]).toEqual(["xn--sd-xka.org"]);
  expect([...problems]).toEqual([
    [".a.org", "the hostname starts with a dot; did you mean *.a.org or a.org?"],
    ["b.org", "the address has a placeholder that was not filled in (${BACKEND})"],
  ]);
});

const unknownKeys: readonly { text: string; problem: string | null }[] = [
  {
    text: '{"defaultServer":"a:1"}',
    problem: 'it is no key of a routes file and is ignored; did you mean "default-server"?',
  },
  {
    text: '{"routes":{}}',
    problem: 'it is no key of a routes file and is ignored; did you mean "mappings"?',
  },
  {
    text: '{"a.example.org":{"backend":"b:1"}}',
    problem: 'it is ignored: hostnames stand inside of "mappings", each with the address as text',
  },
  {
    text: '{"a.example.org":"b:1"}',
    problem: 'it is ignored: hostnames stand inside of "mappings", each with the address as text',
  },
  {
    text: '{"n":1}',
    problem: 'it is no key of a routes file ("default-server" and "mappings" are) and is ignored',
  },
  { text: '{"$schema":"x","_comment":"y"}', problem: null },
];
for (const { text, problem } of unknownKeys) {
  test(`the unknown key in ${text} ${problem === null ? "is a note" : "is named"}`, () => {
    const { problems } = readRoutes(parsed(text), false);
    expect([...problems.values()]).toEqual(problem === null ? [] : [problem]);
  });
}

test("hostnames are read as look-ups will read them", () => {
  const text = '{"mappings":{"_minecraft._tcp.a.example":"b:1"}}';
  expect(routed(text, true)).toEqual(["a.example b:1"]);
});

test("a file is written byte for byte as mc-router writes it", () => {
  expect(routesFileText(emptyRoutesFile)).toBe('{"default-server":"","mappings":{}}');
  const file = parsed(
    '{"mappings":{"b":"x:1","10":"y:2","2":"<&>\u2028"},"Default-Server":"d:1","note":["<kept>"]}',
  );
  expect(routesFileText(file)).toBe(
    String.raw`{"default-server":"d:1","mappings":{"10":"y:2","2":"\u003c\u0026\u003e\u2028","b":"x:1"},"note":["\u003ckept\u003e"]}`,
  );
  expect(parsed(routesFileText(file))).toEqual(file);
});

/** `hostname=address`, or `hostname` alone to take its route away; `*` is the default. */
function edit(text: string): RouteEdit {
  const [name = "", backend] = text.split("=");
  const pattern = name === "*" ? ({ kind: "default" } as const) : parsePattern(name);
  if ("ok" in pattern && !pattern.ok) throw new Error(pattern.error);
  const address = backend === undefined ? null : parseAddress(backend);
  if (address !== null && !address.ok) throw new Error(address.error);
  return { pattern: "ok" in pattern ? pattern.value : pattern, address: address?.value ?? null };
}

const editable = '{"default-server":"d:1","mappings":{"A.b":"x:1","c":"y","bad host":"?"},"n":1}';
const edits: readonly { name: string; edits: readonly string[]; text: string }[] = [
  {
    name: "a new hostname",
    edits: ["e=z:9"],
    text: '{"default-server":"d:1","mappings":{"A.b":"x:1","bad host":"?","c":"y","e":"z:9"},"n":1}',
  },
  {
    name: "another backend for a hostname in another spelling",
    edits: ["a.B.=z:9"],
    text: '{"default-server":"d:1","mappings":{"a.b":"z:9","bad host":"?","c":"y"},"n":1}',
  },
  {
    name: "a removal, and a removal of nothing",
    edits: ["a.b", "nothing"],
    text: '{"default-server":"d:1","mappings":{"bad host":"?","c":"y"},"n":1}',
  },
  {
    name: "another default",
    edits: ["*=z:9"],
    text: '{"default-server":"z:9","mappings":{"A.b":"x:1","bad host":"?","c":"y"},"n":1}',
  },
  {
    name: "no default",
    edits: ["*"],
    text: '{"default-server":"","mappings":{"A.b":"x:1","bad host":"?","c":"y"},"n":1}',
  },
  {
    name: "the last of several changes to one hostname",
    edits: ["c=z:8", "c", "c=z:9"],
    text: '{"default-server":"d:1","mappings":{"A.b":"x:1","bad host":"?","c":"z:9"},"n":1}',
  },
];

for (const row of edits) {
  test(`${row.name} changes that and nothing else`, () => {
    const edited = withEdits(parsed(editable), row.edits.map(edit), false);
    expect(routesFileText(edited)).toBe(row.text);
  });
}

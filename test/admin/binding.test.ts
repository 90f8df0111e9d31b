import { expect, test } from "bun:test";
import { bindingProblem, bindingText, parseBinding } from "../../src/admin/binding.ts";

const good: readonly { text: string; binding: object; printed?: string }[] = [
  { text: ":8080", binding: { kind: "tcp", host: "", port: 8080 } },
  { text: "127.0.0.1:0", binding: { kind: "tcp", host: "127.0.0.1", port: 0 } },
  {
    text: "127.0.0.1:http",
    binding: { kind: "tcp", host: "127.0.0.1", port: 80 },
    printed: "127.0.0.1:80",
  },
  { text: "[::1]:8080", binding: { kind: "tcp", host: "::1", port: 8080 } },
  {
    text: "Router.internal:65535",
    binding: { kind: "tcp", host: "router.internal", port: 65535 },
    printed: "router.internal:65535",
  },
  { text: "unix:/run/router/api.sock", binding: { kind: "unix", path: "/run/router/api.sock" } },
];
for (const { text, binding, printed } of good) {
  test(`${text} is a binding`, () => {
    const parsed = parseBinding(text);
    expect(parsed).toEqual({ ok: true, value: binding } as typeof parsed);
    if (parsed.ok) expect(bindingText(parsed.value)).toBe(printed ?? text);
  });
}

for (const text of [
  "",
  "8080",
  "host",
  "host:",
  "host:no-such-service",
  ":65536",
  "::1:80",
  "[x]:1",
  "a b:1",
  "unix:",
  "unix:api.sock",
  "http://a:1",
]) {
  test(`${JSON.stringify(text)} is no binding, with and without a token`, () => {
    expect(parseBinding(text).ok).toBe(false);
    expect(bindingProblem(text, "token", true)).toBe("host:port, :port or unix:/path");
  });
}

const doors: readonly { binding: string; isLocal: boolean }[] = [
  { binding: "127.0.0.1:8080", isLocal: true },
  { binding: "127.9.9.9:8080", isLocal: true },
  { binding: "[::1]:8080", isLocal: true },
  { binding: "localhost:8080", isLocal: true },
  { binding: "unix:/run/api.sock", isLocal: true },
  { binding: ":8080", isLocal: false },
  { binding: "0.0.0.0:8080", isLocal: false },
  { binding: "[::]:8080", isLocal: false },
  { binding: "10.0.0.1:8080", isLocal: false },
  { binding: "router.internal:8080", isLocal: false },
];
for (const { binding, isLocal } of doors) {
  test(`without a token ${binding} is ${isLocal ? "fine" : "refused, unless that is allowed"}`, () => {
    const problem = bindingProblem(binding, null, false);
    if (isLocal) expect(problem).toBeNull();
    else expect(problem).toContain("AUTOMC_API_TOKEN");
    expect(bindingProblem(binding, null, true)).toBeNull();
    expect(bindingProblem(binding, "token", false)).toBeNull();
  });
}

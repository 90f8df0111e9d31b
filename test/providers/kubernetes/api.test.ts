import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createKubernetesApi, type ObjectEvent } from "../../../src/providers/kubernetes/api.ts";
import { createCredentialStore } from "../../../src/providers/kubernetes/credentials.ts";
import type { Bearer, KubeAccess } from "../../../src/providers/kubernetes/kubeconfig.ts";
import recording from "../../fixtures/kubernetes-answers.json";
import { plainAccess, startFakeKubernetes } from "../../support/engines/fake-kubernetes.ts";

const { signal } = new AbortController();

/** An API that gives these answers, one after the other, and the client of an access to it. */
function answering(
  answers: readonly { readonly status: number; readonly body: string }[],
  access: Partial<KubeAccess> = {},
) {
  const fake = startFakeKubernetes();
  const authorizations: string[] = [];
  let next = 0;
  fake.intercept = (request) => {
    authorizations.push(request.headers.get("authorization") ?? "");
    const { status, body } = answers[Math.min(next, answers.length - 1)] ?? {
      status: 500,
      body: "",
    };
    next += 1;
    return new Response(body, { status });
  };
  return {
    fake,
    authorizations,
    api: createKubernetesApi({ ...plainAccess(fake.url), ...access }),
  };
}

/** Everything that a watch tells. */
async function watch(api: ReturnType<typeof createKubernetesApi>) {
  const events: string[] = [];
  const versions: string[] = [];
  let isOpen = false;
  const failure = await api.watch(
    "/api/v1/services",
    "210",
    {
      open: () => {
        isOpen = true;
      },
      event: ({ kind, object }: ObjectEvent) => {
        events.push(`${kind} ${(object["metadata"] as { name: string }).name}`);
      },
      reached: (version) => void versions.push(version),
    },
    signal,
  );
  return { events, versions, failure, isOpen };
}

const json = (body: unknown) => ({ status: 200, body: `${JSON.stringify(body)}\n` });

describe("a watch", () => {
  test("tells what a real API server has told", async () => {
    await using served = answering([recording.watch]).fake;
    const told = await watch(createKubernetesApi(plainAccess(served.url)));
    expect(told).toEqual({
      events: ["set survival", "deleted lobby", "set creative"],
      versions: ["211", "212", "215", "215", "215"],
      failure: null,
      isOpen: true,
    });
  });

  const failures: readonly (readonly [
    string,
    { status: number; body: string },
    number | null,
    RegExp,
  ])[] = [
    [
      "from before the history",
      recording["watch, gone"],
      410,
      /the watch was ended: too old resource version: 5/,
    ],
    ["by nobody", recording.unauthorized, 401, /status 401: Unauthorized/],
    ["by somebody without rights", recording.forbidden, 403, /status 403: services is forbidden/],
    ["that is answered with nonsense", json({ hello: "you" }), null, /no event/],
    ["with an event that nobody knows", json({ type: "RENAMED", object: {} }), null, /no event/],
  ];
  test.each(failures)("%s says so", async (_, answer, status, message) => {
    const { fake, api } = answering([answer]);
    await using _fake = fake;
    const { failure, events } = await watch(api);
    expect(events).toEqual([]);
    expect(failure?.status).toBe(status);
    expect(failure?.message).toMatch(message);
  });

  test("ends at once when it is stopped", async () => {
    await using fake = startFakeKubernetes();
    const stopping = new AbortController();
    const listener = { open: () => stopping.abort(), event() {}, reached() {} };
    const failure = await fake.api.watch("/api/v1/services", "1", listener, stopping.signal);
    expect(failure).not.toBeNull();
  });
});

describe("credentials", () => {
  const certificates = { ca: null, serverName: null, verify: true };
  const withBearer = (bearer: Bearer): KubeAccess => ({
    ...plainAccess("https://x"),
    tls: certificates,
    bearer,
  });

  async function authorizationOf(bearer: Bearer): Promise<string | undefined> {
    const current = await createCredentialStore(withBearer(bearer)).current(signal);
    if (!current.ok) throw new Error(current.error);
    return current.value.headers["authorization"];
  }

  test("are what the kubeconfig gives", async () => {
    expect(await authorizationOf({ kind: "none" })).toBeUndefined();
    expect(await authorizationOf({ kind: "token", token: "abc" })).toBe("Bearer abc");
    expect(await authorizationOf({ kind: "basic", username: "me", password: "pw" })).toBe(
      "Basic bWU6cHc=",
    );
  });

  test("that the API refuses are read anew, once for each request", async () => {
    const folder = mkdtempSync(join(tmpdir(), "automc-token-"));
    using _folder = { [Symbol.dispose]: () => rmSync(folder, { recursive: true }) };
    const path = join(folder, "token");
    writeFileSync(path, "first\n");
    const { fake, api, authorizations } = answering(
      [json({}), recording.unauthorized, json({}), recording.unauthorized],
      { bearer: { kind: "token-file", path } },
    );
    await using _fake = fake;
    const call = () => api.call({ method: "GET", path: "/version" }, signal);
    expect(await call()).toMatchObject({ ok: true });
    writeFileSync(path, "second");
    expect(await call()).toMatchObject({ ok: true });
    expect(await call()).toMatchObject({ ok: false, error: { status: 401 } });
    expect(authorizations).toEqual(
      ["first", "first", "second", "second", "second"].map((token) => `Bearer ${token}`),
    );
  });

  test("of a file that is gone are a failure in words", async () => {
    const { fake, api, authorizations } = answering([json({})], {
      bearer: { kind: "token-file", path: "/nowhere/token" },
    });
    await using _fake = fake;
    const answered = await api.call({ method: "GET", path: "/version" }, signal);
    expect(answered).toMatchObject({ ok: false, error: { status: null } });
    expect(answered.ok ? "" : answered.error.message).toContain("/nowhere/token");
    expect(authorizations).toEqual([]);
  });

  /** A program that counts how often it was run. */
  function plugin(status: string, folder: string): Bearer {
    const script = `echo x >>"$COUNT"; printf '%s' '{"kind":"ExecCredential","status":${status}}'`;
    return {
      kind: "exec",
      plugin: {
        apiVersion: "client.authentication.k8s.io/v1",
        command: ["/bin/sh", "-c", script],
        env: { COUNT: join(folder, "count") },
        cluster: null,
      },
    };
  }

  const rows: readonly (readonly [string, string, number])[] = [
    ["without an end is asked once", '{"token":"abc"}', 1],
    [
      "that ends later is asked once",
      '{"token":"abc","expirationTimestamp":"2999-01-01T00:00:00Z"}',
      1,
    ],
    [
      "that has ended is asked each time",
      '{"token":"abc","expirationTimestamp":"2000-01-01T00:00:00Z"}',
      2,
    ],
  ];
  test.each(rows)("a program for a token %s", async (_, status, runs) => {
    const folder = mkdtempSync(join(tmpdir(), "automc-exec-"));
    using _folder = { [Symbol.dispose]: () => rmSync(folder, { recursive: true }) };
    const store = createCredentialStore(withBearer(plugin(status, folder)));
    for (let times = 0; times < 2; times++) {
      const current = await store.current(signal);
      expect(current).toMatchObject({
        ok: true,
        value: { headers: { authorization: "Bearer abc" } },
      });
    }
    expect((await Bun.file(join(folder, "count")).text()).trim().split("\n")).toHaveLength(runs);
  });

  const exec = (script: string, program = "/bin/sh"): Bearer => ({
    kind: "exec",
    plugin: {
      apiVersion: "client.authentication.k8s.io/v1",
      command: [program, "-c", script],
      env: {},
      cluster: null,
    },
  });
  const failing: readonly (readonly [string, Bearer, string])[] = [
    [
      "fails",
      exec("echo no account >&2; echo more >&2; exit 4"),
      "/bin/sh ended with 4: no account",
    ],
    ["says nothing", exec("exit 1"), "/bin/sh ended with 1: it did not say why"],
    ["prints nonsense", exec("echo secret"), "/bin/sh printed no ExecCredential with a status"],
    [
      "gives nothing",
      exec(`echo '{"status":{"clientCertificateData":"x"}}'`),
      "/bin/sh gave neither a token nor a certificate with its key",
    ],
  ];
  test.each(failing)("a program that %s is named", async (_, bearer, error) => {
    expect(await createCredentialStore(withBearer(bearer)).current(signal)).toEqual({
      ok: false,
      error,
    });
  });

  test("a program that is not there is named", async () => {
    const current = await createCredentialStore(withBearer(exec("", "/nowhere/login"))).current(
      signal,
    );
    expect(current.ok ? "" : current.error).toStartWith("/nowhere/login cannot be run: ");
  });

  test("a program is told what it is asked for, and may give a certificate", async () => {
    const script = `case "$KUBERNETES_EXEC_INFO" in *'"interactive":false,"cluster":{"server":"https://x"}'*) ;; *) exit 1;; esac
      echo '{"status":{"clientCertificateData":"CERT","clientKeyData":"KEY"}}'`;
    const bearer: Bearer = {
      kind: "exec",
      plugin: {
        apiVersion: "client.authentication.k8s.io/v1",
        command: ["sh", "-c", script],
        env: { PATH: process.env["PATH"] ?? "" },
        cluster: { server: "https://x" },
      },
    };
    const current = await createCredentialStore(withBearer(bearer)).current(signal);
    expect(current).toEqual({
      ok: true,
      value: {
        headers: {},
        tls: { ca: null, cert: "CERT", key: "KEY", verify: true, serverName: null },
      },
    });
  });
});

test("who acts as somebody else says so", async () => {
  await using fake = startFakeKubernetes();
  let seen: string | null = null;
  fake.intercept = ({ headers }) => {
    seen = headers.get("impersonate-user");
    return null;
  };
  const api = createKubernetesApi({
    ...plainAccess(fake.url),
    actAs: { "impersonate-user": "bob" },
  });
  await api.list("/api/v1/services", () => {}, signal);
  expect(String(seen)).toBe("bob");
});

test("a proxy stands in between where the kubeconfig names one", async () => {
  await using fake = startFakeKubernetes();
  await using proxy = startFakeKubernetes();
  const api = createKubernetesApi({ ...plainAccess(fake.url), proxy: proxy.url });
  expect(await api.list("/api/v1/services", () => {}, signal)).toMatchObject({ ok: true });
  expect([fake.requests.length, proxy.requests.length]).toEqual([0, 1]);
});

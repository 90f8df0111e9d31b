import { expect, test } from "bun:test";
import { err, ok } from "../../src/base/result.ts";
import { createEnvironment } from "../../src/config/environment.ts";
import { type Secrets, secretsReader } from "../../src/config/secrets.ts";

const credentials = "/run/credentials/router";

/** The secrets that a router reads again which had read `last`, with what it warns of. */
function readAgain(files: Readonly<Record<string, string>>, last: Secrets) {
  const variables = {
    AUTOMC_API_TOKEN_FILE: "/run/api",
    AUTOMC_WAKER_TOKEN_FILE: "/run/waker",
    AUTO_SCALE_WEBHOOK_HEADERS_FILE: "/run/headers",
    CREDENTIALS_DIRECTORY: credentials,
  };
  const readFile = (path: string) => {
    const text = files[path];
    return text === undefined ? err("ENOENT: no such file") : ok(text);
  };
  const warned: string[] = [];
  const read = secretsReader(createEnvironment(variables, readFile));
  return { secrets: read(last, (message) => warned.push(message)), warned };
}

const last: Secrets = {
  apiTokens: { change: "api-1", read: "read-1" },
  wakerToken: "waker-1",
  scalerHeaders: { authorization: "Bearer 1" },
};

test("every secret is taken as its file or credential says now", () => {
  const files = {
    "/run/api": "api-2\n",
    [`${credentials}/AUTOMC_API_READ_TOKEN`]: "read-2\n",
    "/run/waker": "waker-2\n",
    "/run/headers": "Authorization=Bearer 2\n",
  };
  expect(readAgain(files, last)).toEqual({
    secrets: {
      apiTokens: { change: "api-2", read: "read-2" },
      wakerToken: "waker-2",
      scalerHeaders: { authorization: "Bearer 2" },
    },
    warned: [],
  });
});

test("one that cannot be used, or is gone, stays as it was, with a warning that does not tell it", () => {
  const files = { "/run/api": "", "/run/waker": "s3cret\n\n", "/run/headers": "X-From=2" };
  const { secrets, warned } = readAgain(files, last);
  expect(secrets).toEqual({ ...last, scalerHeaders: { "x-from": "2" } });
  expect(warned).toEqual([
    expect.stringMatching(/^AUTOMC_API_TOKEN_FILE="\/run\/api": .*not empty; .* stays in force$/),
    expect.stringMatching(/^AUTOMC_API_READ_TOKEN is not set any more; .* stays in force$/),
    expect.stringMatching(/^AUTOMC_WAKER_TOKEN=.* stays in force$/),
  ]);
  expect(warned.join()).not.toContain("s3cret");
});

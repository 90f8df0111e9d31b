import { expect, test } from "bun:test";
import { join } from "node:path";
import { Validator } from "@seriousme/openapi-schema-validator";
import { version } from "../../package.json";
import { openApiDocument } from "../../src/admin/openapi.ts";

const page = join(import.meta.dir, "../../docs/openapi.json");

test("the document is valid OpenAPI 3.1", async () => {
  const { valid, errors } = await new Validator().validate({ ...openApiDocument(version) });
  expect(errors ?? []).toEqual([]);
  expect(valid).toBe(true);
});

test("docs/openapi.json is what `bun run openapi` prints", async () => {
  const text = `${JSON.stringify(openApiDocument(version), null, 2)}\n`;
  expect(await Bun.file(page).text()).toBe(text);
});

test("every operation has an id of its own", () => {
  const text = JSON.stringify(openApiDocument(version));
  const ids = [...text.matchAll(/"operationId":"(\w+)"/g)].map(([, id]) => id);
  expect(ids.length).toBeGreaterThan(15);
  expect(new Set(ids).size).toBe(ids.length);
});

import { parseFirstJson } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";

/**
 * The string members of a JSON object, by name in lower case, as mc-router reads a body: text behind the
 * first value is ignored, the last member of a name counts, null means not given. The error is one readable
 * phrase.
 */
export function readFields(
  body: Uint8Array,
  names: readonly string[],
): Result<ReadonlyMap<string, string>, string> {
  // A byte order mark is kept, as it is no JSON.
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(body);
  const json = parseFirstJson(text);
  if (!json.ok) return err(`the body is not JSON: ${json.error.reason}`);
  const { value } = json.value;
  if (value === null) return ok(new Map());
  if (typeof value !== "object" || Array.isArray(value)) return err("the body is no JSON object");

  const fields = new Map<string, string>();
  for (const [key, member] of Object.entries(value)) {
    const name = key.toLowerCase();
    if (!names.includes(name) || member === null) continue;
    if (typeof member !== "string") return err(`${JSON.stringify(name)} is no string`);
    fields.set(name, member);
  }
  return ok(fields);
}

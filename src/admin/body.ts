import { parseFirstJson } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";

/**
 * * The string members of a request's JSON object, by name in lower case, as mc-router reads a body: text
 * behind the first value is ignored, the last member of a name counts, null means not given. "bad" for
 * anything else, also for a body that breaks off.
 */
export async function readFields(
  request: Request,
  names: readonly string[],
): Promise<Result<ReadonlyMap<string, string>, "bad">> {
  const text = await readText(request);
  const json = text === null ? null : parseFirstJson(text);
  if (json === null || !json.ok) return err("bad");
  const { value } = json.value;
  if (value === null) return ok(new Map());
  if (typeof value !== "object" || Array.isArray(value)) return err("bad");

  const fields = new Map<string, string>();
  for (const [key, member] of Object.entries(value)) {
    const name = key.toLowerCase();
    if (!names.includes(name) || member === null) continue;
    if (typeof member !== "string") return err("bad");
    fields.set(name, member);
  }
  return ok(fields);
}

/** Null when the client left, or when its transfer encoding is broken. */
async function readText(request: Request): Promise<string | null> {
  try {
    // Not `request.text()`: that drops a byte order mark, which is no JSON.
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(await request.arrayBuffer());
  } catch {
    return null;
  }
}

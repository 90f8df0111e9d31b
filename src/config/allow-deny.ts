import { parseJson, positionText } from "../base/json.ts";
import { err, type Result } from "../base/result.ts";
import { readWakePermissions, type WakePermissions } from "../session/wake-permission.ts";

/**
 * What the text of an allow and deny file says. The error is a clause about the file, with line and column
 * where there are any.
 */
export function parseAllowDeny(
  text: string,
  simplifySrv: boolean,
): Result<WakePermissions, string> {
  const json = parseJson(text.replace(/^\ufeff/, ""));
  if (json.ok) return readWakePermissions(json.value, simplifySrv);
  return err(`it is no JSON: ${positionText(text, json.error.at)}: ${json.error.reason}`);
}

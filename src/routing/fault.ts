import { ipBytes } from "../base/ip.ts";
import { toHostname } from "./hostname.ts";

/** Why no client can ever send that hostname, to complete "the hostname ..."; null when one can. */
export function hostnameFault(text: string): string | null {
  const fault = textFault(text) ?? spellingFault(text);
  if (fault === null || fault.includes("did you mean")) return fault;
  const meant = suggestion(text);
  return meant === null ? fault : `${fault}; did you mean ${meant}?`;
}

/**
 * Why nothing can be dialled at that host without brackets, to complete "the address ..."; null when it can.
 */
export function hostFault(host: string): string | null {
  const fault = textFault(host);
  if (fault !== null || isIpLiteral(host)) return fault;
  const name = toHostname(host);
  const last = name.split(".").at(-1) ?? "";
  if (/^\d+$/.test(last)) return "is no IPv4 address, which has four numbers from 0 to 255";
  return labelFault(name) ?? characterFault(name);
}

/** What comes of texts that were meant for another program: a shell, a template, a compose file. */
export function textFault(text: string): string | null {
  const invisible = /\p{Cf}/u.exec(text)?.[0];
  if (invisible !== undefined) {
    const code = (invisible.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
    return `has an invisible character (U+${code})`;
  }
  const placeholder = /\$\{[^}]*\}?|\{\{.*?(?:\}\}|$)|\$[A-Za-z_]\w*|%[A-Za-z_]\w*%/.exec(
    text,
  )?.[0];
  if (placeholder !== undefined) return `has a placeholder that was not filled in (${placeholder})`;
  if (/["'`\u2018-\u201f]/.test(text)) return "has quotation marks, which count as part of it";
  if (text.includes("#")) return 'has a "#" inside; a comment cannot follow';
  if (text.includes(";")) return 'has a ";" inside; entries are separated by commas or newlines';
  return null;
}

function spellingFault(text: string): string | null {
  const name = toHostname(text);
  if (name.includes(":") && isIpLiteral(name)) return null;
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return "is a URL, expected only its hostname";
  if (/:\d*$/.test(text)) return "has a port, which no client sends with it";
  if (text.startsWith(".") && !text.includes("..")) {
    return `starts with a dot; did you mean *${text} or ${text.slice(1)}?`;
  }
  return labelFault(name) ?? characterFault(text.includes("/") ? text : name);
}

const labelFault = (name: string): string | null =>
  name.split(".").includes("") ? "has an empty label (a dot at an end, or two in a row)" : null;

/**
 * Labels are letters, digits, `-` and, by custom, `_`. Other letters have become ASCII unless IDNA forbids
 * them.
 */
function characterFault(name: string): string | null {
  const odd = /[^a-z0-9._-]/u.exec(name)?.[0];
  return odd === undefined
    ? null
    : `has the character ${JSON.stringify(odd)}, which no hostname has`;
}

/** What was most likely meant; null when that is no hostname either. */
function suggestion(text: string): string | null {
  if (text.includes(";")) return null;
  const meant = text
    .replace(/^[a-z][a-z0-9+.-]*:\/\//i, "")
    .replace(/["'`\u2018-\u201f]|\p{Cf}/gu, "")
    .replace(/[/#?].*$/s, "")
    .replace(/:\d*$/, "")
    .replace(/\.{2,}/g, ".")
    .replace(/^\.|\.$/g, "");
  const isName = meant !== "" && textFault(meant) === null && spellingFault(meant) === null;
  return isName ? meant : null;
}

const isIpLiteral = (text: string): boolean => ipBytes(text) !== null;

import {
  isIn,
  leftToRight,
  mappedToNothing,
  otherSpaces,
  prohibited,
  rightToLeft,
  unassigned,
} from "./stringprep-tables.ts";

/**
 * A password as SCRAM hashes it: prepared by SASLprep (RFC 4013). A password that SASLprep forbids counts as
 * it is, because PostgreSQL does the same when it stores one.
 */
export function saslPrep(password: string): string {
  if (/^[\x20-\x7e]*$/.test(password)) return password;
  const mapped = [...password]
    .filter((character) => !isIn(mappedToNothing, codeOf(character)))
    .map((character) => (isIn(otherSpaces, codeOf(character)) ? " " : character))
    .join("");
  const prepared = mapped.normalize("NFKC");
  const codes = [...prepared].map(codeOf);
  if (codes.length === 0) return password;
  if (codes.some((code) => isIn(prohibited, code) || isIn(unassigned, code))) return password;
  return isDirectionClear(codes) ? prepared : password;
}

/**
 * RFC 3454, section 6: text with right-to-left characters begins and ends with one, and has none of the
 * others.
 */
function isDirectionClear(codes: readonly number[]): boolean {
  const isRight = (code: number | undefined) => code !== undefined && isIn(rightToLeft, code);
  if (!codes.some(isRight)) return true;
  return (
    isRight(codes[0]) && isRight(codes.at(-1)) && !codes.some((code) => isIn(leftToRight, code))
  );
}

const codeOf = (character: string): number => character.codePointAt(0) ?? 0;

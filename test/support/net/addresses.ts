import {
  type AddressRange,
  type AddressSet,
  createAddressSet,
  parseAddressRange,
} from "../../../src/limits/cidr.ts";

/** The range that an entry of a setting stands for. Throws for one that is none. */
export function rangeOf(entry: string): AddressRange {
  const range = parseAddressRange(entry);
  if (!range.ok) throw new Error(`${entry} ${range.error}`);
  return range.value;
}

/** The addresses of these entries. */
export const addressSetOf = (...entries: readonly string[]): AddressSet =>
  createAddressSet(entries.map(rangeOf));

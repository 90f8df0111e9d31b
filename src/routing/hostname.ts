declare const hostnameBrand: unique symbol;

/** A hostname in the one form that routing, wakes, labels and logs share. Only `toHostname` makes one. */
export type Hostname = string & { readonly [hostnameBrand]: true };

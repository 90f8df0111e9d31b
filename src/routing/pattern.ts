import type { Hostname } from "./hostname.ts";

/** What a route claims: one hostname, every hostname below a suffix (`*.example.com`, any depth), or whatever nobody else claims. */
export type Pattern =
  | { readonly kind: "exact"; readonly hostname: Hostname }
  | { readonly kind: "wildcard"; readonly suffix: Hostname }
  | { readonly kind: "default" };

/** The pattern's one printed form: `play.example.com`, `*.example.com` or `*`. */
export function patternText(pattern: Pattern): string {
  switch (pattern.kind) {
    case "exact":
      return pattern.hostname;
    case "wildcard":
      return `*.${pattern.suffix}`;
    case "default":
      return "*";
  }
}

/** The page with `text` between its marks `<!-- mark -->` and `<!-- /mark -->`. Throws when it has lost them. */
export function withMarked(page: string, mark: string, text: string): string {
  const [from, to] = [`<!-- ${mark} -->\n`, `<!-- /${mark} -->`];
  const [before, rest] = page.split(from);
  const after = rest?.split(to)[1];
  if (before === undefined || after === undefined) throw new Error(`the mark ${mark} is missing`);
  return `${before}${from}\n${text.trim()}\n\n${to}${after}`;
}

import type { Dice } from "../dice.ts";

/** Changes of the table `servers` by chance, without end. */
export interface TableChanges {
  /** Hostnames that are routed all the time, though their addresses change. */
  readonly lasting: readonly string[];
  /** SQL that makes their rows. */
  readonly fill: string;
  /** SQL of one more change: a lasting server moves, another one comes, moves or goes. */
  next(): string;
}

/** Changes among 40 servers that last and 200 that come and go, at these addresses. */
export function planTableChanges(dice: Dice, addresses: readonly string[]): TableChanges {
  const names = (kind: string, count: number): readonly string[] =>
    Array.from({ length: count }, (_, index) => `${kind}${index}`);
  const lasting = names("lasting", 40);
  const passing = names("passing", 200);
  const rows = lasting.map((name) => `('${name}', '${name}.x', '${dice.pick(addresses)}')`);

  return {
    lasting: lasting.map((name) => `${name}.x`),
    fill: `INSERT INTO servers VALUES ${rows.join(", ")}`,
    next() {
      const address = dice.pick(addresses);
      const kind = dice.below(3);
      if (kind === 0) {
        return `UPDATE servers SET address = '${address}' WHERE name = '${dice.pick(lasting)}'`;
      }
      const name = dice.pick(passing);
      if (kind === 1) return `DELETE FROM servers WHERE name = '${name}'`;
      return `INSERT INTO servers VALUES ('${name}', '${name}.x', '${address}')
        ON CONFLICT (name) DO UPDATE SET address = excluded.address`;
    },
  };
}

import lock from "../../bun.lock";
import { dependencies } from "../../package.json";
import type { Stamp } from "./compile.ts";

/**
 * The components of the binaries as CycloneDX 1.5 JSON: the npm packages that they contain, and Bun. Packages that only
 * build or test are left out.
 */
export function sbom({ version, commit, date }: Stamp): string {
  const packages = Object.keys(dependencies).map((name) => {
    const [resolved, ...rest] = lock.packages[name] ?? [""];
    const exact = resolved.slice(name.length + 1);
    const integrity = String(rest.at(-1)).replace(/^sha512-/, "");
    return {
      type: "library",
      "bom-ref": `pkg:npm/${name}@${exact}`,
      name,
      version: exact,
      purl: `pkg:npm/${name}@${exact}`,
      hashes: [{ alg: "SHA-512", content: Buffer.from(integrity, "base64").toString("hex") }],
    };
  });
  const components = [
    {
      type: "framework",
      "bom-ref": `pkg:npm/bun@${Bun.version}`,
      name: "bun",
      version: Bun.version,
      purl: `pkg:npm/bun@${Bun.version}`,
    },
    ...packages,
  ];
  const self = `pkg:generic/automc-router@${version}`;
  const text = {
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
    metadata: {
      timestamp: date.toISOString(),
      component: {
        type: "application",
        "bom-ref": self,
        name: "automc-router",
        version,
        licenses: [{ license: { id: "MIT" } }],
        properties: [{ name: "commit", value: commit }],
      },
    },
    components,
    dependencies: [{ ref: self, dependsOn: components.map((component) => component["bom-ref"]) }],
  };
  return `${JSON.stringify(text, null, 2)}\n`;
}

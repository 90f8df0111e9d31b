import type { Stamp } from "./compile.ts";
import { targets } from "./targets.ts";

/** The notes of a release: the section of its version in CHANGELOG.md, and which file is for which system. */
export function releaseNotes(changes: string, { version, commit }: Stamp): string {
  const sections = changes.split(/^## /m).slice(1);
  const section = sections.find((text) => text.startsWith(`${version}\n`));
  if (section === undefined) throw new Error(`CHANGELOG.md has no section ${version}`);
  const rows = targets.map(
    ({ name, needs }) => `| \`automc-router-${version}-${name}.tar.gz\` | ${needs} |`,
  );
  return `# automc-router ${version}

Built from commit ${commit}. \`sha256sum --check --ignore-missing SHA256SUMS\` checks what was downloaded.

| file | needs |
| --- | --- |
| \`automc-router_${version}_amd64.deb\`, \`automc-router_${version}_arm64.deb\` | Debian 11, Ubuntu 20.04 or newer |
${rows.join("\n")}
| \`automc-router-${version}.cdx.json\` | the components, as CycloneDX |

x64 binaries use AVX2 where the CPU has it. A CPU without SSE4.2 (\`grep -c sse4_2 /proc/cpuinfo\` prints 0) cannot
run them: the program ends with SIGILL.

## Changes

${section.slice(section.indexOf("\n")).trim()}
`;
}

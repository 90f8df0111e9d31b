import { join } from "node:path";
import { unitText } from "../system/unit.ts";
import { ar, type Entry, gzip, tar } from "./archive.ts";
import type { Stamp } from "./compile.ts";
import { bashCompletion, fishCompletion, zshCompletion } from "./completion.ts";
import { manPage } from "./man.ts";

/** Debian's name of a CPU. */
export type DebianArchitecture = "amd64" | "arm64";

const maintainer = "The automc-router authors <automc-router@users.noreply.invalid>";

const source = (name: string): Promise<string> =>
  Bun.file(join(import.meta.dir, "debian", name)).text();

/** The Debian package of that binary. The same binary and stamp give the same bytes. */
export async function debianPackage(
  binary: Uint8Array,
  architecture: DebianArchitecture,
  stamp: Stamp,
): Promise<Buffer> {
  const files = await installedFiles(binary, stamp);
  const size = files.reduce((total, { content }) => total + Buffer.from(content).length, 0);
  const control = `Package: automc-router
Version: ${stamp.version}
Architecture: ${architecture}
Maintainer: ${maintainer}
Installed-Size: ${Math.ceil(size / 1024)}
Depends: libc6 (>= 2.17)
Section: net
Priority: optional
Description: Minecraft router that wakes sleeping servers
 Routes Minecraft Java players by the hostname they typed, live from Postgres,
 and starts sleeping servers while the player waits in the login screen.
 Runs as a hardened systemd service; takes the place of itzg/mc-router.
`;
  const sums = files.map(({ path, content }) => {
    const hash = new Bun.CryptoHasher("md5").update(Buffer.from(content)).digest("hex");
    return `${hash}  ${path}\n`;
  });
  const script = async (path: string): Promise<Entry> => ({
    path,
    content: await source(path),
    mode: 0o755,
  });
  const controls: readonly Entry[] = [
    { path: "control", content: control },
    { path: "md5sums", content: sums.join("") },
    { path: "conffiles", content: "/etc/automc-router.env\n" },
    await script("postinst"),
    await script("prerm"),
    await script("postrm"),
  ];
  return ar(
    [
      { path: "debian-binary", content: "2.0\n" },
      { path: "control.tar.gz", content: compressed(controls, stamp) },
      { path: "data.tar.gz", content: compressed(files, stamp) },
    ],
    stamp.date,
  );
}

const compressed = (entries: readonly Entry[], { date }: Stamp): Buffer =>
  gzip(new Uint8Array(tar(entries, date)));

async function installedFiles(binary: Uint8Array, stamp: Stamp): Promise<readonly Entry[]> {
  const zipped = (text: string): Buffer => gzip(new TextEncoder().encode(text));
  const units = "usr/lib/systemd/system/automc-router";
  const documents = "usr/share/doc/automc-router";
  return [
    { path: "etc/automc-router.env", content: await source("automc-router.env"), mode: 0o640 },
    { path: "usr/bin/automc-router", content: binary, mode: 0o755 },
    { path: `${units}.service`, content: packagedUnit("service") },
    { path: `${units}@.service`, content: packagedUnit("template") },
    { path: `${units}.socket`, content: packagedUnit("socket") },
    { path: "usr/share/man/man8/automc-router.8.gz", content: zipped(manPage(stamp)) },
    {
      path: "usr/share/bash-completion/completions/automc-router",
      content: bashCompletion(),
    },
    { path: "usr/share/zsh/vendor-completions/_automc-router", content: zshCompletion() },
    {
      path: "usr/share/fish/vendor_completions.d/automc-router.fish",
      content: fishCompletion(),
    },
    { path: `${documents}/copyright`, content: await source("copyright") },
    { path: `${documents}/changelog.gz`, content: zipped(changelog(stamp)) },
    { path: "usr/share/lintian/overrides/automc-router", content: await source("overrides") },
  ];
}

/** The unit as the program prints it, with the package's paths and without the line that says where to put it. */
const packagedUnit = (kind: Parameters<typeof unitText>[0]): string =>
  unitText(kind)
    .replaceAll("/usr/local/bin/automc-router", "/usr/bin/automc-router")
    .replace(/^# automc-router unit.*\n(#\n)?/, "");

const changelog = ({
  version,
  date,
}: Stamp): string => `automc-router (${version}) stable; urgency=medium

  * The changes of this version are in its release notes.

 -- ${maintainer}  ${date.toUTCString().replace("GMT", "+0000")}
`;

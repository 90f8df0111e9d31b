import { dirname } from "node:path";
import { buildOnce } from "../process/build-once.ts";
import { repository } from "./container-engine.ts";

/** The file tree of Debian 13, with its Docker; null when it could not be made, which is told on stderr. Making it takes half a minute, once on a machine. */
export const debian13 = (): Promise<string | null> =>
  buildOnce({ script: "build-debian-13.sh", product: "Debian 13", tests: "newer Docker engine's" });

/** Arguments: the tree, a directory, the paths that are the same in both worlds, `--`, the command. */
const script = `set -e
over=$1/over
root=$over/root
if ! mountpoint -q "$over"; then
  mkdir "$over"
  mount -t tmpfs tmpfs "$over"
  mkdir "$over/upper" "$over/work" "$root"
  mount -t overlay overlay -o "lowerdir=$0,upperdir=$over/upper,workdir=$over/work" "$root"
  mount -t proc proc "$root/proc"
  mount --rbind /sys "$root/sys"
  mount --rbind /dev "$root/dev"
  mount -t tmpfs tmpfs "$root/run"
fi
while [ "$1" != -- ]; do
  mkdir -p "$root$1"
  mountpoint -q "$root$1" || mount --bind "$1" "$root$1"
  shift
done
shift
exec chroot "$root" "$@"`;

/**
 * What to put in front of a command so that it runs in the tree, as the same process, in a mount namespace that is nobody else's. The
 * directory, Bun and the tests are where they are outside. The tree stays as it is: what is written beside those goes with the namespace.
 */
export const insideTree = (tree: string, directory: string): readonly string[] => [
  ...["sh", "-c", script, tree],
  ...[directory, dirname(process.execPath), repository, "--"],
];

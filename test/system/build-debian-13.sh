#!/usr/bin/env bash
# Makes a file tree of Debian 13 with systemd and Docker (26.1, API 1.45), for tests on a system newer than Debian 12, in
# a cache folder (DEBIAN_13_CACHE), and prints the tree. Needs root, 450 MB of disk and, with a mirror near by, half a
# minute. A second caller waits for the first; a finished tree is left as it is.
set -euo pipefail

out=${DEBIAN_13_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/automc-router/debian-13}
mkdir -p "$out"
out=$(cd "$out" && pwd)
exec 9>"$out/.lock"
flock 9
echo "$out/tree"
[[ -x $out/tree/usr/lib/systemd/systemd && -x $out/tree/usr/bin/dbus-daemon ]] && exit 0
rm -rf "$out/tree"
renice -n 19 $$ >/dev/null

# One that was left unfinished by a kill is begun anew.
unfinished=$out/unfinished
rm -rf "$unfinished"
trap 'rm -rf "$unfinished"' EXIT
command -v debootstrap >/dev/null ||
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends debootstrap >/dev/null
mirror=$(awk '/^URIs:/{print $2; exit}' /etc/apt/sources.list.d/debian.sources)

# What it mounts and starts goes with it, however it ends.
unshare --mount --propagation private --pid --fork --kill-child --mount-proc \
  debootstrap --variant=minbase --include=docker.io,iptables,systemd-sysv,dbus --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
  trixie "$unfinished" "$mirror" >&2
rm -rf "$unfinished"/var/{cache/apt,lib/apt/lists}/*
mv -T "$unfinished" "$out/tree"

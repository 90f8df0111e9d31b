#!/usr/bin/env bash
# Builds a real kube-apiserver and kube-controller-manager 1.20.2 for the Kubernetes system test, from the source package of Debian 12,
# which has no binary one, into a cache folder (KUBE_APISERVER_CACHE), and prints that folder. Needs root for apt, 1.7 GB of scratch disk
# and 7 minutes of one core; JOBS=2 takes two. Whoever comes second waits for the first; a folder that has both programs is left as it is.
set -euo pipefail

out=${KUBE_APISERVER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/automc-router/kube-apiserver}
mkdir -p "$out"
out=$(cd "$out" && pwd)
exec 9>"$out/.lock"
flock 9
echo "$out"
[[ -x $out/kube-apiserver && -x $out/kube-controller-manager ]] && exit 0
renice -n 19 $$ >/dev/null

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
version=v1.20.2
jobs=${JOBS:-1}
export DEBIAN_FRONTEND=noninteractive
command -v etcd >/dev/null && [[ -x /usr/lib/go-1.19/bin/go ]] ||
  apt-get install -y -qq --no-install-recommends golang-1.19-go etcd-server >/dev/null

# apt gets a state of its own, so that the machine's lists stay as they are: the same mirror, with its sources.
cd "$work"
mkdir -p apt/{lists/partial,cache/archives/partial} src
mirror=$(awk '/^URIs:/{print $2; exit}' /etc/apt/sources.list.d/debian.sources)
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
printf '%s [signed-by=%s] %s bookworm main\n' deb-src "$keyring" "$mirror" deb "$keyring" "$mirror" >apt/sources.list
printf 'Dir::Etc::sourcelist "%s/apt/sources.list";\nDir::Etc::sourceparts "-";\nDir::State::lists "%s/apt/lists";\nDir::Cache "%s/apt/cache";\n' \
  "$work" "$work" "$work" >apt/apt.conf
export APT_CONFIG=$work/apt/apt.conf
apt-get update -qq >&2
apt-get source -qq --download-only kubernetes >&2
apt-get download -qq golang-github-modern-go-reflect2-dev >&2
unset APT_CONFIG
tar xzf kubernetes_*.orig.tar.gz
source=$(echo "$work"/kubernetes-1.20.*)

# The source's own reflect2 corrupts memory when it is built by Go 1.18 or newer; Debian's is newer.
dpkg -x golang-github-modern-go-reflect2-dev_*.deb reflect2
vendored=$source/vendor/github.com/modern-go/reflect2
rm "$vendored"/*.go
cp reflect2/usr/share/gocode/src/github.com/modern-go/reflect2/*.go "$vendored/"
rm -f "$vendored"/*_test.go

mkdir -p gopath/src/k8s.io
ln -sfn "$source" gopath/src/k8s.io/kubernetes
export GOPATH=$work/gopath GO111MODULE=off CGO_ENABLED=0 GOCACHE=$work/gocache GOFLAGS="" GOMAXPROCS=$jobs
export PATH=/usr/lib/go-1.19/bin:$PATH
cd gopath/src/k8s.io/kubernetes

# One generated file is not in the source package.
go build -p "$jobs" -o "$work/openapi-gen" k8s.io/kubernetes/vendor/k8s.io/kube-openapi/cmd/openapi-gen
packages=$(grep -rl --include=*.go '+k8s:openapi-gen=' pkg cmd plugin staging/src/k8s.io |
  grep -vE 'staging/src/k8s.io/(code-generator|sample-apiserver)/|/testdata/|_test.go' |
  xargs -n1 dirname | sort -u | sed 's#^staging/src/#vendor/#; s#^#k8s.io/kubernetes/#' | paste -sd,)
"$work/openapi-gen" -i "$packages" -p k8s.io/kubernetes/pkg/generated/openapi -O zz_generated.openapi \
  -h hack/boilerplate/boilerplate.generatego.txt --output-base "$GOPATH/src" -r "$work/violations.txt" >&2

flags="-s -w"
for package in client-go/pkg component-base; do
  name=k8s.io/kubernetes/vendor/k8s.io/$package/version
  flags="$flags -X $name.gitVersion=$version -X $name.gitMajor=1 -X $name.gitMinor=20 -X $name.gitTreeState=clean"
done
for program in kube-apiserver kube-controller-manager; do
  go build -p "$jobs" -ldflags "$flags" -o "$work/$program" "k8s.io/kubernetes/cmd/$program"
  mv "$work/$program" "$out/$program"
done

#!/usr/bin/env bash
# Make a Debian in a folder, for chroot: packaging/debian-root.sh FOLDER SUITE ARCHITECTURE [PACKAGE …]
#
# One that is there already is taken as it is. Wants to be root, and debootstrap; for an architecture that this machine
# is not of, qemu-user-static too. Mirrors and proxies are those of this machine's apt, else Debian's own.
set -euo pipefail
folder=$1 suite=$2 architecture=$3
shift 3
fail() { echo "$0: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || fail "only root can make a Debian root, and work in it"

case $architecture in
    amd64) machine=x86_64 ;;
    arm64) machine=aarch64 ;;
    *) fail "no architecture that Octoroute is built for: $architecture" ;;
esac
if [ "$machine" != "$(uname -m)" ]; then
    known=/proc/sys/fs/binfmt_misc/qemu-$machine
    [ -e /proc/sys/fs/binfmt_misc/register ] || mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
    [ -e "$known" ] || update-binfmts --enable "qemu-$machine" || true
    [ -e "$known" ] || fail "this kernel can't run $machine programs (apt-get install qemu-user-static binfmt-support)"
fi

if [ -e "$folder/.complete" ]; then exit; fi
command -v debootstrap >/dev/null || fail "debootstrap is missing (apt-get install debootstrap)"

# Where this machine's apt gets what Debian publishes under a label
mirror() {
    # shellcheck disable=SC2016  # the variable is apt's
    apt-get indextargets --format '$(REPO_URI)' "Label: $1" 'Created-By: Packages' 2>/dev/null | sed -n 1p
}
debian=$(mirror Debian || true)
debian=${debian:-http://deb.debian.org/debian}
security=$(mirror Debian-Security || true)
security=${security:-http://deb.debian.org/debian-security}

rm -rf --one-file-system "$folder"  # one that was not finished may have /proc in it
mkdir -p "$folder"
debootstrap --arch="$architecture" --variant=minbase "$suite" "$folder" "$debian" >&2

cp -L /etc/resolv.conf /etc/hosts "$folder/etc/"
apt-config dump Acquire > "$folder/etc/apt/apt.conf.d/90-as-outside" 2>/dev/null || true
cat > "$folder/etc/apt/sources.list" <<LIST
deb $debian $suite main
deb $debian $suite-updates main
deb $security $suite-security main
LIST
inside() {
    chroot "$folder" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 "$@" >&2
}
inside apt-get -qq update
inside apt-get -qq --yes dist-upgrade
if [ $# -gt 0 ]; then inside apt-get -qq --yes --no-install-recommends install "$@"; fi
inside apt-get clean
touch "$folder/.complete"

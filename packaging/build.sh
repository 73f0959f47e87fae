#!/usr/bin/env bash
# Build the binaries: packaging/build.sh [x86_64 | aarch64], without an argument those of this machine's processor.
#
# Into dist/<platform>/ (or $OCTOROUTE_OUT) go `octoroute`, which is one file, `octoroute-folder/`, which is the same
# with a launcher and its files beside it, `octoroute.cdx.json`, which is their SBOM, and THIRD_PARTY_LICENSES.
#
# On Linux they are built with Debian 12's own Python, so that they run on whatever has Debian 12's C library or a newer
# one, whichever machine built them: right here where this is a Debian 12 that has the packages below, else in a Debian
# root under build/, which only root can make (debian-root.sh). On macOS, with the python3.11 that is in the path.
set -euo pipefail
cd "$(dirname "$0")/.."
packages=(binutils ca-certificates libpython3.11 python3.11 python3.11-venv)

machine=${1:-$(uname -m | sed s/arm64/aarch64/)}
case $(uname -s)/$machine in
    Linux/x86_64) platform=linux-x86_64 architecture=amd64 ;;
    Linux/aarch64) platform=linux-aarch64 architecture=arm64 ;;
    Darwin/x86_64 | Darwin/aarch64) platform=macos-$machine ;;
    *) echo "$0: no binaries are built for $(uname -s) on $machine" >&2; exit 2 ;;
esac
out=${OCTOROUTE_OUT:-dist/$platform}

git() { command git -c safe.directory="$PWD" "$@" 2>/dev/null; }  # also where root builds a user's checkout
OCTOROUTE_COMMIT=${OCTOROUTE_COMMIT-$(git describe --always --dirty --abbrev=12 --exclude='*' || true)}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct || echo 315532800)}
export OCTOROUTE_COMMIT SOURCE_DATE_EPOCH

is_debian_12() {
    grep -qx ID=debian /etc/os-release && grep -qx 'VERSION_ID="12"' /etc/os-release &&
        dpkg-query --show "${packages[@]}" >/dev/null 2>&1
}

in_debian_root() {
    local root=build/debian12-$architecture passed=(OCTOROUTE_COMMIT SOURCE_DATE_EPOCH) name
    packaging/debian-root.sh "$root" bookworm "$architecture" "${packages[@]}"
    rm -rf "$root/octoroute"
    mkdir "$root/octoroute"
    tar -c --exclude=__pycache__ octoroute packaging octoroute.spec pyproject.toml README.md LICENSE |
        tar -x --no-same-owner -C "$root/octoroute"
    # pip finds its index the way it does out here.
    for name in /etc/pip.conf ~/.config/pip/pip.conf /etc/ssl/certs/ca-certificates.crt \
        "${PIP_CONFIG_FILE:-}" "${PIP_CERT:-}"; do
        if [ -f "$name" ]; then install -D -m 644 "$name" "$root$name"; fi
    done
    passed+=(PIP_CONFIG_FILE PIP_CERT PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST PIP_DEFAULT_TIMEOUT)
    passed+=(http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY)
    local settings=()
    for name in "${passed[@]}"; do
        if [ -n "${!name:-}" ]; then settings+=("$name=${!name}"); fi
    done
    chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME="$HOME" "${settings[@]}" \
        bash /octoroute/packaging/freeze.sh /octoroute/out
    mkdir -p "$out"
    rm -rf "$out/octoroute-folder"
    cp -r "$root/octoroute/out/." "$out"
    chown -R --reference=pyproject.toml "$out"
}

if [ "$(uname -s)" = Darwin ]; then
    PYTHON=$(command -v python3.11) packaging/freeze.sh "$out"
elif [ "$machine" = "$(uname -m)" ] && is_debian_12; then
    packaging/freeze.sh "$out"
else
    in_debian_root
fi

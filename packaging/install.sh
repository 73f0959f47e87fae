#!/bin/sh
# Install Octoroute: find the right archive of a release, check it, put the program in place, say what was done.
#
#   curl -fsSL https://github.com/slb350/octoroute/releases/latest/download/install.sh | sh
#
# Nothing is changed before everything has been downloaded, its checksum compared, and the program started once.
#
#   OCTOROUTE_VERSION   which version (default: the latest)
#   OCTOROUTE_PREFIX    below which directory (default: /usr/local for root, else ~/.local)
#   OCTOROUTE_RELEASES  where releases are (default: those of the project on GitHub; a mirror has the same layout)
set -eu

releases=${OCTOROUTE_RELEASES:-https://github.com/slb350/octoroute/releases}
guide=https://github.com/slb350/octoroute/blob/main/docs/deployment.md
oldest_glibc=2.36 # Debian 12's, where the binaries are built

say() { printf '%s\n' "$*"; }

fail() {
    say "octoroute was not installed: $*" >&2
    exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

# The platform, as archives are named after it.
platform() {
    case $(uname -s) in
    Linux)
        check_c_library
        case $(uname -m) in
        x86_64 | amd64) say linux-x86_64 ;;
        aarch64 | arm64) say linux-aarch64 ;;
        *) fail "there is no binary for Linux on $(uname -m). With Python 3.11 or newer, pipx can install it: $guide" ;;
        esac
        ;;
    Darwin)
        # Under Rosetta, uname tells of an Intel processor that isn't there.
        if [ "$(uname -m)" = arm64 ] || [ "$(sysctl -n sysctl.proc_translated 2>/dev/null)" = 1 ]; then
            say macos-aarch64
        else
            say macos-x86_64
        fi
        ;;
    *) fail "there is no binary for $(uname -s). With Python 3.11 or newer, pipx can install it: $guide" ;;
    esac
}

# What the C library is too old for would only show as a riddle when the program starts.
check_c_library() {
    instead="pipx and Docker work here: $guide"
    [ "$(getconf LONG_BIT)" = 64 ] || fail "this system is a 32-bit one, the binaries are for 64 bits. $instead"
    found=$(getconf GNU_LIBC_VERSION 2>/dev/null) || found=
    found=${found#glibc }
    [ -n "$found" ] || fail "this system's C library is not glibc (Alpine's is musl). $instead"
    first=$(printf '%s\n%s\n' "$oldest_glibc" "$found" | sort -t . -k 1,1n -k 2,2n | head -n 1)
    [ "$first" = "$oldest_glibc" ] ||
        fail "this system's C library is glibc $found; $oldest_glibc or newer is needed (Debian 12, Ubuntu 24.04). $instead"
}

# fetch URL FILE
fetch() {
    if has curl; then curl -fsSL --retry 3 -o "$2" "$1"; else wget -q -O "$2" "$1"; fi ||
        fail "$1 could not be downloaded."
}

checksum() {
    if has sha256sum; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d ' ' -f 1
}

main() {
    platform=$(platform)
    has curl || has wget || fail "neither curl nor wget is here to download it with."
    has sha256sum || has shasum || fail "neither sha256sum nor shasum is here to check the download with."
    if [ -n "${OCTOROUTE_PREFIX:-}" ]; then
        prefix=$OCTOROUTE_PREFIX
    elif [ "$(id -u)" = 0 ]; then
        prefix=/usr/local
    else
        prefix=$HOME/.local
    fi
    for directory in "$prefix/bin" "$prefix/share"; do
        mkdir -p "$directory" 2>/dev/null || true
        [ -w "$directory" ] ||
            fail "$directory can't be written to. Run it as root, or set OCTOROUTE_PREFIX to a directory of your own."
    done

    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' HUP INT TERM

    if [ -n "${OCTOROUTE_VERSION:-}" ]; then
        fetch "$releases/download/v${OCTOROUTE_VERSION#v}/SHA256SUMS" "$work/SHA256SUMS"
    else
        fetch "$releases/latest/download/SHA256SUMS" "$work/SHA256SUMS"
    fi
    archive=$(sed -n "s/^[0-9a-f]*  *\(octoroute-.*-$platform\.tar\.gz\)\$/\1/p" "$work/SHA256SUMS")
    [ -n "$archive" ] || fail "the release has no archive for $platform."
    name=${archive%.tar.gz}
    version=${name#octoroute-}
    version=${version%-"$platform"}

    say "Downloading $archive ..."
    # From the version that the checksums are of: a newer one may come out meanwhile.
    fetch "$releases/download/v$version/$archive" "$work/$archive"
    expected=$(sed -n "s/^\([0-9a-f]*\)  *$archive\$/\1/p" "$work/SHA256SUMS")
    got=$(checksum "$work/$archive")
    [ "$got" = "$expected" ] || fail "the checksum of $archive is $got, and should be $expected."

    tar -xzf "$work/$archive" -C "$work"
    told=$("$work/$name/octoroute" --version) ||
        fail "the program does not start here. It unpacks itself below ${TMPDIR:-/tmp}: may programs run there?"

    # Moved into place, so that neither half a program nor a changed running one is ever there.
    cp "$work/$name/octoroute" "$prefix/bin/.octoroute.new"
    chmod 755 "$prefix/bin/.octoroute.new"
    mv -f "$prefix/bin/.octoroute.new" "$prefix/bin/octoroute"
    cp -R "$work/$name/share/." "$prefix/share/"

    say "Installed $told"
    say "  program:                $prefix/bin/octoroute"
    say "  manual and completions: below $prefix/share"
    say "The checksum of $archive was right. Nothing was started."
    case :$PATH: in
    *:"$prefix/bin":*) ;;
    *) say "Note: $prefix/bin is not on your PATH. Add it: export PATH=\"$prefix/bin:\$PATH\"" ;;
    esac
    say "Next: octoroute config -o config.toml, name your model servers in it, then octoroute check, then octoroute."
    say "As a systemd service: $guide"
}

# All of it is read before any of it is run: a download that breaks off does nothing.
main

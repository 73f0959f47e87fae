#!/usr/bin/env bash
# Make what a release offers, of what packaging/build.sh put into dist/<platform>/: an archive for each platform, a .deb
# and an .rpm for those of Linux, SBOMs, install.sh, and SHA256SUMS of it all, in dist/. Same inputs, same bytes.
# Needs Linux, Python with its venv module, make, and Go for nfpm.
set -euo pipefail
cd "$(dirname "$0")/.."

nfpm=github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
# Every file gets the time of the commit.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH TZ=UTC
umask 022

stage=build/package
rm -rf "$stage"

# What is the same for every platform.
make .venv/run.done >&2
mkdir -p "$stage/share/man/man1"
.venv/bin/python packaging/manpage.py >"$stage/share/man/man1/octoroute.1"
.venv/bin/python packaging/completions.py "$stage/share"
cp octoroute/config/example.toml "$stage/config.toml"

# archive NAME: a .tar.gz in dist/ of the folder of this name in $stage
archive() {
    tar --create --directory "$stage" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
        --format=ustar "$1" | gzip --no-name --best >"dist/$1.tar.gz"
}

# The archive of a platform: what install.sh, the Homebrew formula and people by hand take things from.
for_hand() {
    local name=octoroute-$version-$1
    mkdir "$stage/$name"
    cp "dist/$1/octoroute" "dist/$1/THIRD_PARTY_LICENSES" LICENSE README.md CHANGELOG.md "$stage/config.toml" \
        "$stage/$name/"
    cp -R "$stage/share" "$stage/$name/"
    case $1 in
    linux-*) sed 's,/usr/bin/octoroute,/usr/local/bin/octoroute,' systemd/octoroute.service >"$stage/$name/octoroute.service" ;;
    esac
    archive "$name"
}

# The .deb and the .rpm of a platform, whose processor Debian and Go call something else.
for_package_managers() {
    local arch=${1/linux-x86_64/amd64}
    arch=${arch/linux-aarch64/arm64}
    gzip --no-name --best <"$stage/share/man/man1/octoroute.1" >"$stage/octoroute.1.gz"
    gzip --no-name --best <CHANGELOG.md >"$stage/changelog.gz"
    gzip --no-name --best >"$stage/changelog.Debian.gz" <<END
octoroute (${version/rc/\~rc}-1) unstable; urgency=medium

  * See changelog.gz.

 -- The Octoroute authors <octoroute@users.noreply.github.com>  $(date -R -d "@$SOURCE_DATE_EPOCH")
END
    cat LICENSE <(echo) "dist/$1/THIRD_PARTY_LICENSES" >"$stage/copyright"
    rm -rf "$stage/folder"
    cp -R "dist/$1/octoroute-folder" "$stage/folder"
    find "$stage/folder" -name '*.so*' -exec chmod 644 {} +
    for packager in deb rpm; do
        # 1.0.0rc1 comes before 1.0.0.
        VERSION=${version/rc/\~rc} ARCH=$arch \
            go run "$nfpm" package --config packaging/linux/nfpm.yaml --packager "$packager" --target dist/ >&2
    done
}

rm -f dist/octoroute-*-{linux,macos}-*.tar.gz dist/octoroute*.{deb,rpm} dist/*.cdx.json dist/SHA256SUMS
for binary in dist/*/octoroute; do
    platform=$(basename "$(dirname "$binary")")
    for_hand "$platform"
    cp "dist/$platform/octoroute.cdx.json" "dist/octoroute-$version-$platform.cdx.json"
    case $platform in
    linux-*) for_package_managers "$platform" ;;
    esac
done
cp packaging/install.sh dist/

cd dist
shopt -s nullglob
sha256sum octoroute-*-{linux,macos}-*.tar.gz octoroute*.{deb,rpm,cdx.json} install.sh >SHA256SUMS
cat SHA256SUMS

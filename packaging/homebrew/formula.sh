#!/bin/sh
# Print the Homebrew formula of a release: formula.sh dist/SHA256SUMS
set -eu

sums=$1
formula=$(cat "$(dirname "$0")/octoroute.rb.in")
for platform in macos-aarch64 macos-x86_64 linux-aarch64 linux-x86_64; do
    line=$(grep -E "^[0-9a-f]{64}  octoroute-.*-$platform\.tar\.gz\$" "$sums") || {
        echo "$sums has no octoroute archive for $platform" >&2
        exit 1
    }
    version=${line##*octoroute-}
    version=${version%-"$platform".tar.gz}
    formula=$(printf '%s\n' "$formula" | sed "s/@SHA256_$platform@/${line%% *}/; s/@VERSION@/$version/g")
done
printf '%s\n' "$formula"

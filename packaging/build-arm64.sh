#!/usr/bin/env bash
# Build the aarch64 binaries on any Linux machine: on Arm as build.sh does, elsewhere in an emulated Debian root, which
# takes about five minutes, and packages: apt-get install debootstrap qemu-user-static binfmt-support
exec "$(dirname "$0")/build.sh" aarch64

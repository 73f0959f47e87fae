#!/bin/sh
# Before the files go. dpkg says "remove" or "upgrade", rpm 0 or 1. An upgrade leaves the service running: what comes
# after it restarts it.
set -e

case ${1:-} in
remove | 0) ;;
*) exit 0 ;;
esac

if [ -d /run/systemd/system ]; then
    systemctl --quiet disable --now octoroute.service
fi

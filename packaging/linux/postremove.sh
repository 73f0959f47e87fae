#!/bin/sh
# After the files are gone. dpkg says "remove", and "purge" where the configuration is to go, too; rpm, which knows no
# purge, says 0 and keeps what was edited as config.toml.rpmsave.
set -e

case ${1:-} in
remove | 0)
    if [ -d /run/systemd/system ]; then
        systemctl daemon-reload
    fi
    ;;
purge)
    # With the keys that were put beside the configuration.
    rm -rf /etc/octoroute
    if getent passwd octoroute >/dev/null && command -v userdel >/dev/null; then
        userdel octoroute
    fi
    ;;
esac

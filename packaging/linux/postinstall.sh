#!/bin/sh
# After the files are in place. dpkg says "configure" and the version before, if any; rpm 1 for an installation, 2 for an
# upgrade. Nothing here starts a service that did not run, or fails the package where the configuration is at fault.
set -e

config=/etc/octoroute/config.toml

case ${1:-} in
configure) before=${2:-} ;;
1) before= ;;
[2-9]) before=yes ;;
*) exit 0 ;; # dpkg's undoing of something that failed
esac

if ! getent passwd octoroute >/dev/null; then
    useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin \
        --comment "Octoroute" octoroute
fi
# It may hold keys: the service reads it, and changes nothing.
chgrp octoroute /etc/octoroute
if [ -e "$config" ]; then
    chgrp octoroute "$config"
fi

if [ ! -d /run/systemd/system ]; then # a container, or a root that is being made
    exit 0
fi
systemctl daemon-reload

# The problems of the configuration in the eyes of the new version, with the service's account, environment and (as it
# runs) credentials. Not by hand: systemd puts keys of the environment into no list of processes, and nothing of what the
# service says into a process of root's. `octoroute check` exits with 1 where only an endpoint is down.
problems() {
    {
        systemd-run --quiet --pipe --wait --collect --uid=octoroute \
            --property=EnvironmentFile=-/etc/octoroute/environment \
            --property="Environment=$(systemctl show --property=Environment --value octoroute.service)" \
            /usr/bin/octoroute check --config "$config" >/dev/null
    } 2>&1 || [ $? -eq 1 ]
}

if systemctl is-active --quiet octoroute.service; then
    if found=$(problems); then
        systemctl restart octoroute.service ||
            echo "octoroute: it did not start again; see: journalctl -u octoroute" >&2
    else
        cat >&2 <<END
octoroute: NOT RESTARTED. This version does not accept $config:

$found

The version before still runs and serves, until it is stopped. Mend the file, then:
  sudo octoroute check --config $config
  sudo systemctl restart octoroute
END
    fi
elif [ -z "$before" ]; then
    cat <<END
octoroute: it is not started, as $config names example servers. Next:
  sudoedit $config
  sudo octoroute check --config $config
  sudo systemctl enable --now octoroute
END
fi

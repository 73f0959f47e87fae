"""A Debian that is really booted, in a container, to install the packages in. Needs root, debootstrap, systemd-nspawn.

Its root is made once and kept in build/; what a run changes in it is forgotten at its end. The network is the
host's. It is driven by entering its first process's namespaces, which needs no systemd on the host.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

PROJECT = Path(__file__).parents[2]
PACKAGES = ("systemd", "systemd-sysv", "dbus", "ca-certificates")
"""What a bare root lacks that any Debian with a service manager has."""
NSPAWN = ("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--volatile=overlay", "--boot")
NSENTER = ("nsenter", "--mount", "--uts", "--ipc", "--pid", "--cgroup", "--root", "--wd")
BOOT_SECONDS = 120


class CommandFailed(Exception):
    """A command in the container exited with another code than 0."""


class Container:
    """`root` is its file system as the host sees it, below /proc; `pid` the host's number of its first process."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.root = Path(f"/proc/{pid}/root")

    async def run(self, command: str, *, stdin: str = "", fails: bool = False) -> str:
        """Run a shell command; its output, stderr included, with the end of lines stripped.

        Raises:
            CommandFailed: it exited with another code than 0, or with `fails` with 0.
        """
        done = await trio.run_process(
            [*NSENTER, f"--target={self.pid}", "/bin/sh", "-c", command],
            stdin=stdin.encode(),
            capture_stdout=True,
            stderr=subprocess.STDOUT,
            check=False,
            env={
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "LC_ALL": "C.UTF-8",
                "DEBIAN_FRONTEND": "noninteractive",
            },
        )
        output = done.stdout.decode().strip()
        if (done.returncode != 0) != fails:
            raise CommandFailed(f"$ {command}\n{output}\nexit code {done.returncode}")
        return output

    async def property(self, name: str) -> str:
        """What systemd says of the service."""
        return await self.run(f"systemctl show --property {shlex.quote(name)} --value octoroute")


async def _root(suite: str) -> Path:
    if os.getuid() != 0:
        sys.exit("Only root can boot a container.")
    if shutil.which("systemd-nspawn") is None:
        sys.exit("systemd-nspawn is missing (apt-get install systemd-container)")
    root = PROJECT / "build" / f"booted-{suite}"
    asked = await trio.run_process(["dpkg", "--print-architecture"], capture_stdout=True)
    architecture = asked.stdout.decode().strip()
    await trio.run_process([PROJECT / "packaging/debian-root.sh", root, suite, architecture, *PACKAGES])
    return root


@asynccontextmanager
async def booted(suite: str) -> AsyncGenerator[Container]:
    """A container of a Debian release, booted; ended at once when the context is left."""
    root = await _root(suite)
    log = root.with_suffix(".log")
    with log.open("wb") as console:
        nspawn: trio.Process = await trio.lowlevel.open_process(
            [*NSPAWN, f"--directory={root}"],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            start_new_session=True,
            # systemd 257 does not boot on the older kind of control groups, which the host may have.
            env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
        )
    try:
        with trio.fail_after(BOOT_SECONDS):
            while (pid := _first_process(nspawn.pid)) is None:
                if nspawn.poll() is not None:
                    sys.exit(f"The container did not boot; see {log}")
                await trio.sleep(0.05)
            container = Container(pid)
            # "degraded": some other service is not made for containers. Asked again, as it may have no bus yet.
            state = ""
            while state not in ("running", "degraded"):
                await trio.sleep(0.1)
                state = await container.run("systemctl is-system-running --wait; true")
        yield container
    finally:
        with trio.CancelScope(shield=True), trio.move_on_after(30):
            if nspawn.poll() is None:
                os.kill(nspawn.pid, signal.SIGTERM)  # ends the container without a shutdown
            await nspawn.wait()


def _first_process(nspawn: int) -> int | None:
    """The host's number of the container's first process; None as long as it has not begun."""
    for pid in Path(f"/proc/{nspawn}/task/{nspawn}/children").read_text().split():
        if Path(f"/proc/{pid}/comm").read_text().strip() == "systemd":
            return int(pid)
    return None

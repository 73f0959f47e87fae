"""Wake on LAN for real: a machine in a network of its own, that answers nothing until its card gets the packet."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

import pytest
import trio

from octoroute.config.model import Endpoint
from tests.serving import chat, client, running
from tests.slow.sleeping_machine import BOOT_SECONDS

NETWORK = "198.18.77"
"""In the range for benchmarks (RFC 2544): nobody's real network."""
PORT = 8123


class Machine(NamedTuple):
    mac: str
    process: subprocess.Popen[str]


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


def missing() -> str | None:
    """Why it can't be tried here."""
    if os.name != "posix" or os.getuid() != 0 or shutil.which("ip") is None:
        return "wants root, and `ip` of iproute2"
    name = f"octoroute-{os.getpid()}-try"
    try:
        ip("netns", "add", name)
        ip("netns", "delete", name)
    except subprocess.CalledProcessError as error:
        return f"no network namespaces here: {error.stderr.strip()}"
    return None


@pytest.fixture
def machine() -> Iterator[Machine]:
    """The sleeping machine, on the other end of a cable."""
    if problem := missing():
        pytest.skip(problem)
    name, ours, theirs = f"octoroute-{os.getpid()}", f"oct{os.getpid()}a", f"oct{os.getpid()}b"
    with ExitStack() as undo:
        ip("netns", "add", name)
        undo.callback(ip, "netns", "delete", name)
        ip("link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", name)
        ip("address", "add", f"{NETWORK}.1/24", "dev", ours)
        ip("link", "set", ours, "up")
        ip("-n", name, "link", "set", theirs, "up")
        shown = subprocess.run(
            ["ip", "-n", name, "-brief", "link", "show", theirs], check=True, capture_output=True, text=True
        )
        sleeper = [sys.executable, "-m", "tests.slow.sleeping_machine", theirs, f"{NETWORK}.2", str(PORT)]
        process = subprocess.Popen(
            ["ip", "netns", "exec", name, *sleeper], stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        undo.callback(process.wait)
        undo.callback(os.killpg, process.pid, 9)
        assert process.stdout is not None
        undo.callback(process.stdout.close)
        assert process.stdout.readline() == "asleep\n"
        yield Machine(shown.stdout.split()[2], process)


async def test_a_request_wakes_a_sleeping_machine(machine: Machine) -> None:
    places = Endpoint(
        name="sleeper",
        base_url=f"http://{NETWORK}.2:{PORT}/v1",
        wake_mac=machine.mac,
        wake_timeout_seconds=60,
    )
    settings = {"server": {"connect_timeout_seconds": 2}, "health": {"timeout_seconds": 2}}
    with trio.fail_after(120):
        async with running(places, **settings) as daemon, client(daemon, timeout=90) as http:
            (endpoint,) = daemon.service.fleet
            assert endpoint.health.asleep
            started = trio.current_time()
            answer = await http.post("/v1/chat/completions", json=chat())
            assert answer.status_code == 200
            assert BOOT_SECONDS < trio.current_time() - started < 60
            assert machine.process.stdout is not None
            assert machine.process.stdout.readline() == "woken\n"
            # It is awake now: a request costs nothing more.
            started = trio.current_time()
            assert (await http.post("/v1/chat/completions", json=chat())).status_code == 200
            assert trio.current_time() - started < BOOT_SECONDS

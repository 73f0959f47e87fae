"""Machines that sleep and lose their power, for real: each in a network of its own, at the other end of a cable."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

import httpx
import pytest
import trio

from octoroute.config.model import Endpoint
from octoroute.fleet import transport
from tests.fakes.model_server import FakeModelServer
from tests.serving import chat, client, running, until
from tests.slow.sleeping_machine import BOOT_SECONDS

NETWORK = "198.18.77"
"""In the range for benchmarks (RFC 2544): nobody's real network."""
PORT = 8123


class Machine(NamedTuple):
    mac: str
    process: subprocess.Popen[str]
    unplug: Callable[[], None]


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
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """The sleeping machine; its model server takes the options that a test names as the fixture's parameter."""
    if problem := missing():
        pytest.skip(problem)
    name, ours, theirs = f"octoroute-{os.getpid()}", f"oct{os.getpid()}a", f"oct{os.getpid()}b"
    with ExitStack() as undo:
        ip("netns", "add", name)
        undo.callback(ip, "netns", "delete", name)
        ip("link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", name)
        undo.callback(ip, "link", "delete", ours)  # a namespace takes its time to go, and its links with it
        ip("address", "add", f"{NETWORK}.1/24", "dev", ours)
        ip("link", "set", ours, "up")
        ip("-n", name, "link", "set", theirs, "up")
        shown = subprocess.run(
            ["ip", "-n", name, "-brief", "link", "show", theirs], check=True, capture_output=True, text=True
        )
        sleeper = [sys.executable, "-m", "tests.slow.sleeping_machine", theirs, f"{NETWORK}.2", str(PORT)]
        sleeper += getattr(request, "param", [])
        process = subprocess.Popen(
            ["ip", "netns", "exec", name, *sleeper], stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        undo.callback(process.wait)
        undo.callback(os.killpg, process.pid, 9)
        assert process.stdout is not None
        undo.callback(process.stdout.close)
        assert process.stdout.readline() == "asleep\n"
        yield Machine(
            shown.stdout.split()[2], process, partial(ip, "-n", name, "link", "set", theirs, "down")
        )


WAKE_SECONDS = 10
SETTINGS = {"server": {"connect_timeout_seconds": 2}, "health": {"timeout_seconds": 2}}


def sleeper(machine: Machine) -> Endpoint:
    return Endpoint(
        name="sleeper",
        base_url=f"http://{NETWORK}.2:{PORT}/v1",
        wake_mac=machine.mac,
        wake_timeout_seconds=WAKE_SECONDS,
    )


async def test_a_request_wakes_a_sleeping_machine(machine: Machine) -> None:
    with trio.fail_after(120):
        async with running(sleeper(machine), **SETTINGS) as daemon, client(daemon, timeout=90) as http:
            (endpoint,) = daemon.service.fleet
            assert endpoint.health.asleep
            started = trio.current_time()
            answer = await http.post("/v1/chat/completions", json=chat())
            assert answer.status_code == 200
            assert BOOT_SECONDS < trio.current_time() - started < WAKE_SECONDS
            assert machine.process.stdout is not None
            assert machine.process.stdout.readline() == "woken\n"
            # It is awake now: a request costs nothing more.
            started = trio.current_time()
            assert (await http.post("/v1/chat/completions", json=chat())).status_code == 200
            assert trio.current_time() - started < BOOT_SECONDS


@pytest.mark.parametrize("machine", [["--first-after", "300"]], indirect=True)
async def test_a_request_whose_machine_loses_its_power_goes_elsewhere(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing tells of it but the system's own probes: without them the request waits for its whole limit, 300 s."""
    for name in ("PROBE_AFTER_SECONDS", "PROBE_EVERY_SECONDS", "PROBES"):
        monkeypatch.setattr(transport, name, 1)
    with trio.fail_after(120):
        async with (
            FakeModelServer("spare") as spare,
            running({"fast": sleeper(machine), "deep": spare}, **SETTINGS) as daemon,
            client(daemon, timeout=90) as http,
            trio.open_nursery() as nursery,
        ):
            answers: list[httpx.Response] = []

            async def ask() -> None:
                answers.append(await http.post("/v1/chat/completions", json=chat()))

            nursery.start_soon(ask)
            (endpoint,) = daemon.service.fleet.tiers["fast"]
            await until(lambda: endpoint.in_flight and not endpoint.waking)
            await trio.sleep(1)  # the request is with the machine
            machine.unplug()
            await spare.wait_for(1)
        assert answers[0].headers["x-octoroute-reason"] == "fallback_up"

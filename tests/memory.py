"""Many streams through a daemon in a process of its own, whose memory and open files are then looked at."""

from __future__ import annotations

import re
from pathlib import Path

import trio

from tests.fakes.model_server import Cut, FakeModelServer, Flapping, Ok
from tests.process import DaemonProcess, serving
from tests.raw_client import Ended, RawClient, raw_client, request
from tests.serving import SECONDS, chat

CLIENTS = 8
PER_CONNECTION = 50
STREAM = request("POST", "/v1/chat/completions", chat(stream=True))


async def streams(url: str, count: int) -> None:
    """So many streams of 62 events by a few clients at a time, over kept connections. One in fifty is left half-way."""
    left = count

    async def one_client() -> None:
        nonlocal left
        while left > 0:
            async with raw_client(url) as http:
                for number in range(PER_CONNECTION):
                    left -= 1
                    await http.send(STREAM)
                    if number == PER_CONNECTION - 1 or not await _read(http):
                        break
                    http.received = b""
                await http.body_has(b"token")

    async with trio.open_nursery() as nursery:
        for _ in range(CLIENTS):
            nursery.start_soon(one_client)


async def _read(http: RawClient) -> bool:
    """Read a stream; False where it was cut short, and the connection has ended with it."""
    try:
        answer = await http.answer()
    except Ended:
        assert b'"error"' in http.received
        return False
    assert answer.body.endswith(b"[DONE]\n\n")
    return True


def flaky() -> FakeModelServer:
    """One in a hundred of its streams breaks off."""
    whole = Ok(["token "] * 60)
    return FakeModelServer(behaviour=Flapping(whole, Cut(whole, 20), 100), keep=0)


def files(process: DaemonProcess) -> int:
    return len([*Path(f"/proc/{process.process.pid}/fd").iterdir()])


def memory(process: DaemonProcess) -> float:
    """Resident, in MiB."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process.process.pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


async def growth(folder: Path, first: int, then: int) -> float:
    """By how many MiB the daemon grew between the first streams and the rest. It is left without a client's socket."""
    async with flaky() as fake, serving(folder, fake) as daemon:
        idle = files(daemon)
        await streams(daemon.url, first)
        before = memory(daemon)
        await streams(daemon.url, then)
        after = memory(daemon)
        with trio.fail_after(SECONDS):
            # What may be left are kept connections to the model server.
            while files(daemon) > idle + CLIENTS:  # noqa: ASYNC110  # another process's state
                await trio.sleep(0.02)
        return after - before

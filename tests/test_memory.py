"""Streams leave nothing behind: no task, no socket, no memory. tests/slow/test_memory.py does it ten times as long."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import pytest
import trio

from octoroute.relay.exchange import Exchange
from tests.memory import CLIENTS, flaky, growth, streams
from tests.serving import SECONDS, connection_tasks, running, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def files() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


async def test_no_task_no_socket_and_no_exchange_is_left() -> None:
    async with flaky() as fake, running(fake) as daemon:
        tasks, open_files = trio.lowlevel.current_statistics().tasks_living, files()
        with trio.fail_after(3 * SECONDS):
            await streams(daemon.url, 300)
        await until(lambda: connection_tasks() == 0)
        # Kept connections to the model server: a file at either end, and two tasks of the fake's.
        kept = fake.connections
        assert kept <= CLIENTS
        assert files() <= open_files + 2 * kept
        assert trio.lowlevel.current_statistics().tasks_living <= tasks + 2 * kept
        assert all(each.in_flight == 0 for each in daemon.service.fleet)
        gc.collect()
        assert [each for each in gc.get_objects() if isinstance(each, Exchange)] == []


async def test_memory_does_not_grow(tmp_path: Path) -> None:
    with trio.fail_after(60):
        assert await growth(tmp_path, 200, 300) < 5

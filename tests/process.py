"""The daemon as a process of its own, stopped by real signals."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from tests.fakes.model_server import FakeModelServer

SECONDS = 30


class DaemonProcess:
    """`stderr` is all that it has said so far, `url` where it listens."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self._stderr: list[bytes] = []
        self._stdout: list[bytes] = []
        self._news = trio.lowlevel.ParkingLot()

    @property
    def stderr(self) -> str:
        return b"".join(self._stderr).decode()

    @property
    def stdout(self) -> str:
        return b"".join(self._stdout).decode()

    @property
    def url(self) -> str:
        found = re.search(r"listens on (\S+)", self.stderr)
        assert found is not None, self.stderr
        return found[1]

    @property
    def log(self) -> list[dict[str, Any]]:
        """Its log lines."""
        return [json.loads(line) for line in self.stderr.splitlines() if line.startswith("{")]

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def says(self, text: str) -> None:
        """Wait until it has said `text` on stderr."""
        with trio.fail_after(SECONDS):
            while text not in self.stderr:
                assert self.process.poll() is None, self.stderr
                await self._news.park()

    async def ended(self) -> int:
        """Its exit code, once it has ended."""
        with trio.fail_after(SECONDS):
            return await self.process.wait()

    async def read(self) -> None:
        """Read all that it says, until it has ended."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._read, self.process.stdout, self._stdout)
            nursery.start_soon(self._read, self.process.stderr, self._stderr)

    async def _read(self, stream: trio.abc.ReceiveStream, into: list[bytes]) -> None:
        async for data in stream:
            into.append(bytes(data))
            self._news.unpark_all()
        await trio.lowlevel.checkpoint()
        self._news.unpark_all()


@asynccontextmanager
async def octoroute(
    *arguments: str,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    command: Sequence[str] = (sys.executable, "-m", "octoroute"),
) -> AsyncGenerator[DaemonProcess]:
    """Run the command; killed in the end, if it has not ended by itself."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OCTOROUTE_")}
    root = Path(__file__).parent.parent
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        process: trio.Process = await trio.lowlevel.open_process(
            [*command, *arguments],
            cwd=cwd,
            env={**kept, "PYTHONPATH": str(root), "RUNTIME_DIRECTORY": str(cwd / "run"), **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        running = DaemonProcess(process)
        nursery.start_soon(running.read)
        try:
            yield running
        except Exception as error:  # noqa: BLE001  # raised again below, outside of an exception group
            failure = error
        finally:
            if process.poll() is None:
                process.kill()
        with trio.move_on_after(SECONDS):
            await process.wait()
    if failure is not None:
        raise failure


@asynccontextmanager
async def serving(cwd: Path, fake: FakeModelServer, server: str = "") -> AsyncGenerator[DaemonProcess]:
    """The started daemon in front of a fake, with these lines in its `[server]` table."""
    (cwd / "config.toml").write_text(config_text(fake, server))
    async with octoroute(cwd=cwd) as running:
        await running.says("/metrics")
        yield running


def config_text(fake: FakeModelServer, server: str = "") -> str:
    return f"""\
[server]
host = "127.0.0.1"
port = 0
{server}
[[models.fast]]
name = "{fake.name}"
base_url = "{fake.base_url}"
[routing]
strategy = "rule"
"""

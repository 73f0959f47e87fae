"""Does it stay as it is? Mixed traffic and faults for as long as you like: `just soak [minutes]`.

    python -m benchmarks.soak [minutes] [--clients 100] [--every 20]

Starts the daemon in a process of its own, in front of six scripted model servers that die and return every few seconds and
fail now and then while they live (500, 503, 429, garbage, answers cut short), and changes its configuration every half
minute. Clients stream, ask for buffered answers, and leave half-way. A line every so many seconds tells:

    minutes    since the start
    requests   that are over
    per s      since the line before
    broken     answers that broke off after they had begun, since their server died or cut them
    left       by their clients, half-way
    refused    with a status other than 200
    lost       neither answered, nor refused, nor broken by their server: there should be none
    RSS MiB    resident memory of the daemon
    files      that it has open: its sockets, and a dozen of its own
    threads    of the daemon
    running, waiting      requests at model servers and in queues, as /metrics tells
    CPU %      of one core, since the line before

Tasks can't be seen from outside of a process. But every task of the daemon serves a connection, which is a file, or a request,
which runs or waits; what is left of one shows in the last line, when the clients have gone.

The verdict: nothing was lost, nothing is left, and memory grew by less than `FLAT_MIB` in the second half, by the line
that fits it best. The exit code is 0 where all of that holds, else 1.
"""

from __future__ import annotations

import argparse
import itertools
import re
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import httpx
import trio

from benchmarks import procfs
from tests.process import DaemonProcess, octoroute
from tests.storm import Storm

RELOAD_SECONDS = 30
FAULTS = 0.03
"""The part of the requests that a server that is up does not answer well."""
BETWEEN_DEATHS = (2.0, 6.0)
FLAT_MIB = 3.0
"""The allocator takes memory in arenas of 1 MiB, some of which fill while others empty. 1 KiB that leaks with each request
would be 15 MiB in the second half of ten minutes."""
HEAD = "minutes requests  per s broken  left refused  lost  RSS MiB files threads running waiting  CPU %"


class Look(NamedTuple):
    """The daemon from outside."""

    at: float
    rss: float
    files: int
    threads: int
    running: int
    waiting: int
    cpu: float


async def look(daemon: DaemonProcess) -> Look:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        text = (await http.get(f"{daemon.url}/metrics")).text
    running, waiting = (
        sum(map(float, re.findall(rf"^octoroute_requests_{name}{{.*}} (.*)$", text, re.MULTILINE)))
        for name in ("in_flight", "waiting")
    )
    pid = daemon.process.pid
    return Look(
        time.monotonic(),
        procfs.memory(pid).rss,
        *_files_and_threads(pid),
        int(running),
        int(waiting),
        procfs.cpu_seconds(pid),
    )


def _files_and_threads(pid: int) -> tuple[int, int]:
    process = Path(f"/proc/{pid}")
    return len([*(process / "fd").iterdir()]), len([*(process / "task").iterdir()])


class Soak:
    """One run."""

    def __init__(self, daemon: DaemonProcess, storm: Storm, first: Look) -> None:
        self._daemon = daemon
        self._storm = storm
        self._began = first.at
        self.looks = [first]
        self._requests = 0

    async def tell(self) -> Look:
        """Look, and print a line."""
        now, before = await look(self._daemon), self.looks[-1]
        counts, requests = self._storm.counts, len(self._storm.outcomes)
        seconds = max(now.at - before.at, 0.001)
        print(
            f"{(now.at - self._began) / 60:7.1f} {requests:8} {(requests - self._requests) / seconds:6.1f}"
            f" {counts['broken']:6} {counts['left']:5} {counts['refused']:7} {counts['lost']:5}"
            f" {now.rss:8.1f} {now.files:5} {now.threads:7} {now.running:7} {now.waiting:7}"
            f" {100 * (now.cpu - before.cpu) / seconds:6.1f}",
            flush=True,
        )
        self._requests = requests
        self.looks.append(now)
        return now

    async def tell_every(self, seconds: float) -> None:
        while True:
            await trio.sleep(seconds)
            await self.tell()

    def growth(self) -> float:
        """MiB in the second half, by linear regression."""
        half = [each for each in self.looks if each.at >= (self._began + self.looks[-1].at) / 2]
        if len(half) < 2:
            return 0.0
        slope = statistics.linear_regression([each.at for each in half], [each.rss for each in half]).slope
        return slope * (half[-1].at - half[0].at)


async def change_the_file(daemon: DaemonProcess, file: Path, storm: Storm) -> None:
    for number in itertools.count(1):
        await trio.sleep(RELOAD_SECONDS)
        await trio.Path(file).write_text(storm.configuration(number))
        daemon.send(signal.SIGHUP)


async def soak(minutes: float, clients: int, every: float) -> bool:
    """Run, print, and tell whether all is well."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "config.toml"
        async with Storm(clients=clients, faults=FAULTS, between_deaths=BETWEEN_DEATHS).servers_up() as storm:
            file.write_text(storm.configuration(0))
            async with octoroute(cwd=Path(folder), env={"OCTOROUTE_LOG": "error"}) as daemon:
                await daemon.says("/metrics")
                first = await look(daemon)
                run = Soak(daemon, storm, first)
                print(HEAD)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(run.tell_every, every)
                    nursery.start_soon(change_the_file, daemon, file, storm)
                    await storm.run(daemon.url, minutes * 60)
                    nursery.cancel_scope.cancel("the time is over")
                growth = run.growth()
                await trio.sleep(1)
                print("the clients have gone:")
                last = await run.tell()
                kept = sum(server.connections for server in storm.servers)
                daemon.send(signal.SIGTERM)
                code = await daemon.ended()
    for detail in storm.details[:10]:
        print(detail)
    requests = len(storm.outcomes)
    more = last.files - first.files
    nobody = unexplained(storm)
    verdict = {
        f"lost: {storm.counts['lost']} of {requests} requests": not storm.counts["lost"],
        f"broken, and not by a server: {len(nobody)}": not nobody,
        f"left behind: {last.running} running, {last.waiting} waiting": not last.running and not last.waiting,
        f"open files: {more:+} since the start, {kept} of them connections kept to servers": more <= kept,
        f"memory in the second half: {growth:+.2f} MiB (flat: less than {FLAT_MIB:g})": growth < FLAT_MIB,
        f"exit code: {code}": code == 0,
    }
    for text, well in verdict.items():
        print(f"{'ok ' if well else 'BAD'} {text}")
    return all(verdict.values())


def unexplained(storm: Storm) -> set[str]:
    broken = {each for each, outcome in storm.outcomes.items() if outcome == "broken"}
    return broken - storm.broken_by_death


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("minutes", type=float, nargs="?", default=10, help="default: %(default)s")
    parser.add_argument("--clients", type=int, default=100, help="at once (default: %(default)s)")
    parser.add_argument(
        "--every", type=float, default=20, help="seconds between two lines (default: %(default)s)"
    )
    options = parser.parse_args()
    sys.exit(not trio.run(soak, options.minutes, options.clients, options.every))


if __name__ == "__main__":
    main()

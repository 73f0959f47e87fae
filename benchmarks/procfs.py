"""What a process and its children have used, from Linux's /proc: CPU seconds and memory."""

import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")
_GONE = (FileNotFoundError, ProcessLookupError)
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Memory(NamedTuple):
    """Resident memory in MiB; `pss` counts shared pages by their share, and is None where the kernel won't tell."""

    rss: float
    pss: float | None


class _Stat(NamedTuple):
    parent: int
    ticks: int


def _stat(pid: int) -> _Stat:
    # The command's name may hold spaces and brackets, so count from the last bracket (proc_pid_stat(5)).
    fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    # utime and stime are all threads' (10 ms steps); cutime and cstime those of children that have ended.
    return _Stat(parent=int(fields[1]), ticks=sum(map(int, fields[11:15])))


def _family(pid: int) -> dict[int, _Stat]:
    """The process and all its descendants that live."""
    everyone: dict[int, _Stat] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            with suppress(*_GONE):
                everyone[int(entry.name)] = _stat(int(entry.name))
    if pid not in everyone:
        raise ProcessLookupError(f"process {pid} is gone")
    family = {pid}
    while True:
        more = {child for child, stat in everyone.items() if stat.parent in family} - family
        if not more:
            return {member: everyone[member] for member in family}
        family |= more


def cpu_seconds(pid: int) -> float:
    """CPU time, user and system, that the process and its children have used since their start."""
    return sum(stat.ticks for stat in _family(pid).values()) / _TICKS_PER_SECOND


def memory(pid: int) -> Memory:
    totals = {"Rss": 0, "Pss": 0}
    for member in _family(pid):
        try:
            for line in (_PROC / str(member) / "smaps_rollup").read_text().splitlines():
                name, _, value = line.partition(":")
                if name in totals:
                    totals[name] += int(value.split()[0])
        except _GONE:
            continue
        except OSError:  # no smaps_rollup in this kernel or sandbox
            return Memory(sum(map(_rss_kib, _family(pid))) / 1024, None)
    return Memory(totals["Rss"] / 1024, totals["Pss"] / 1024)


def _rss_kib(pid: int) -> float:
    with suppress(*_GONE):
        return int((_PROC / str(pid) / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024
    return 0.0

"""What systemd is told of the service: sd_notify(3), where it asked to be told.

Without `$NOTIFY_SOCKET` (run by hand, under another supervisor) nothing is sent and nothing fails.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable

import trio

from octoroute.telemetry.logs import get_logger

log = get_logger("octoroute.systemd")

STATUS_SECONDS = 10.0
"""How old the words of `systemctl status` may be."""


def notify(*assignments: str) -> None:
    """Send assignments such as `READY=1`; what can't be sent is logged, and stops nothing."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):  # Linux's abstract namespace
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notifying:
            notifying.connect(address)
            notifying.sendall("\n".join(assignments).encode())
    except OSError as error:
        log.warning("systemd could not be told", error=str(error))


def ready(status: str) -> None:
    """It serves; again after a reload."""
    notify("READY=1", f"STATUS={status}")


def reloading() -> None:
    """A reload begins; `ready` ends it."""
    # Type=notify-reload wants the time, to know this answer from an earlier reload's.
    notify("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")


def stopping(status: str, seconds: float) -> None:
    """The drain begins, and may take so long, even where the unit's TimeoutStopSec is shorter."""
    notify("STOPPING=1", f"STATUS={status}", f"EXTEND_TIMEOUT_USEC={round(seconds * 1e6)}")


def watchdog_seconds() -> float | None:
    """How often a sign of life is due, in seconds: twice as often as systemd wants it; None where it doesn't."""
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    meant_for_us = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(microseconds) / 2e6 if microseconds.isdecimal() and meant_for_us else None


async def keep_informed(status: Callable[[], str]) -> None:
    """Give signs of life from the event loop, and the status where its words changed, until cancelled."""
    if "NOTIFY_SOCKET" not in os.environ:
        return
    watchdog = watchdog_seconds()
    pause = min(watchdog or STATUS_SECONDS, STATUS_SECONDS)
    told = None
    while True:
        words = status()
        assignments = ["WATCHDOG=1"] if watchdog else []
        if words != told:
            assignments.append(f"STATUS={words}")
            told = words
        if assignments:
            notify(*assignments)
        await trio.sleep(pause)

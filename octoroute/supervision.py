"""Keeps a background task alive: a crash is reported, and the task started again after a capped backoff."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal

import trio

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
STABLE_SECONDS = 120.0
"""A task that ran this long before it crashed starts again at the first, shortest pause."""


class Supervisor:
    """Runs one task for as long as the daemon lives. `status` and `failures` are for `/health`."""

    def __init__(
        self, task: Callable[[], Awaitable[None]], on_crash: Callable[[Exception, float], None]
    ) -> None:
        self._task = task
        self._on_crash = on_crash
        self.failures = 0
        self.status: Literal["operational", "restarting"] = "operational"

    async def run(self) -> None:
        """Run the task until cancelled; `on_crash` gets what it raised, and the seconds until the next start."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            started = trio.current_time()
            self.status = "operational"
            try:
                await self._task()
            except Exception as error:  # noqa: BLE001  # a crash of any kind must not end the watch over the fleet
                self.failures += 1
                self.status = "restarting"
                if trio.current_time() - started > STABLE_SECONDS:
                    pause = FIRST_PAUSE_SECONDS
                self._on_crash(error, pause)
            else:
                return
            await trio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

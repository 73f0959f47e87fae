"""Remembers what router models decided, and lets concurrent identical questions share one call.

Keys are digests: no prompt is kept. An entry is a key, a judgement and a time, so that the number of entries bounds
the bytes, too.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import trio

from octoroute.routing.classifier import Judgement

MAX_ENTRIES = 4096
"""About 2 MB."""


class _Entry(NamedTuple):
    judgement: Judgement
    until: float


class _Flight:
    """A question that is being asked. `judgement` stays None where its asker was cancelled."""

    def __init__(self) -> None:
        self.landed = trio.Event()
        self.judgement: Judgement | None = None


class Decisions:
    """The cache. Only what was decided is kept: who failed a moment ago may be back."""

    def __init__(self, ttl_seconds: float, *, max_entries: int = MAX_ENTRIES) -> None:
        self._ttl = ttl_seconds
        self._max = max_entries
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._flights: dict[bytes, _Flight] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def known(self, key: bytes) -> Judgement | None:
        """The decision on an earlier question, not older than `ttl_seconds`."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if trio.current_time() >= entry.until:
            del self._entries[key]
            return None
        return entry.judgement

    async def judgement(
        self, key: bytes, ask: Callable[[], Awaitable[Judgement]], deadline: float
    ) -> Judgement:
        """The result of `ask`, or of the same question that is under way; waits until `deadline` at most.

        The asker's client may hang up: then the first of those who wait asks again, and the others wait for that.
        """
        while (flight := self._flights.get(key)) is not None:
            with trio.move_on_at(deadline):
                await flight.landed.wait()
            if flight.judgement is not None:
                return flight.judgement
            if trio.current_time() >= deadline:
                return Judgement(None, failed="could not decide: no answer in time")
        return await self._fly(key, ask)

    async def _fly(self, key: bytes, ask: Callable[[], Awaitable[Judgement]]) -> Judgement:
        flight = self._flights[key] = _Flight()
        try:
            flight.judgement = await ask()
        finally:
            # Without an await, so that nobody sees a flight that has landed.
            del self._flights[key]
            flight.landed.set()
        if flight.judgement.tier is not None:
            self._keep(key, flight.judgement)
        return flight.judgement

    def _keep(self, key: bytes, judgement: Judgement) -> None:
        if not self._ttl:
            return
        self._entries[key] = _Entry(judgement, trio.current_time() + self._ttl)
        self._entries.move_to_end(key)
        while len(self._entries) > self._max:
            self._entries.popitem(last=False)

"""Is there room: take a place, wait for one in a bounded queue, or be refused.

A place that becomes free is handed to a waiter at once, so that nobody who comes later overtakes. Among
the waiters, clients take turns: somebody with a hundred requests does not starve somebody with one.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable

import trio

from octoroute.errors import QueueFull
from octoroute.fleet.endpoint import Endpoint


class Place:
    """One request's place at an endpoint; `release` gives it back, once."""

    __slots__ = ("_admission", "endpoint")

    def __init__(self, endpoint: Endpoint, admission: Admission) -> None:
        self.endpoint = endpoint
        self._admission: Admission | None = admission
        endpoint.in_flight += 1

    def release(self) -> None:
        if self._admission is not None:
            admission, self._admission = self._admission, None
            self.endpoint.in_flight -= 1
            admission.dispatch()


class _Waiter:
    __slots__ = ("arrived", "choose", "place")

    def __init__(self, choose: Callable[[], Endpoint | None]) -> None:
        self.choose = choose
        self.arrived = trio.Event()
        self.place: Place | None = None


class Admission:
    """The queue of one tier. `choose` functions say which endpoint would take a request now, or None."""

    def __init__(self, max_waiting: int, max_wait_seconds: float) -> None:
        self._max_waiting = max_waiting
        self._max_wait = max_wait_seconds
        self._queues: OrderedDict[str, deque[_Waiter]] = OrderedDict()

    @property
    def waiting(self) -> int:
        """How many requests wait now."""
        return sum(len(queue) for queue in self._queues.values())

    def limit(self, max_waiting: int, max_wait_seconds: float) -> None:
        """Set new limits; those who wait already stay."""
        self._max_waiting, self._max_wait = max_waiting, max_wait_seconds

    def take(self, choose: Callable[[], Endpoint | None]) -> Place | None:
        """A place now, or None. A place is only free while nobody who could use it waits."""
        endpoint = choose()
        return None if endpoint is None else Place(endpoint, self)

    async def wait(self, client: str, choose: Callable[[], Endpoint | None]) -> Place:
        """Wait for a place, in turn.

        Raises:
            QueueFull: as many as may wait do so already, or the wait took too long.
        """
        if self.waiting >= self._max_waiting:
            raise QueueFull(
                f"All places are taken and {self._max_waiting} requests wait already.",
                headers={"Retry-After": "5"},
            )
        waiter = _Waiter(choose)
        queue = self._queues.setdefault(client, deque())
        queue.append(waiter)
        try:
            with trio.move_on_after(self._max_wait):
                await waiter.arrived.wait()
        finally:
            # Without an await from here to the return: a place that was handed over is never lost.
            if waiter.place is None:
                self._forget(client, waiter)
        if waiter.place is None:
            raise QueueFull(
                f"No place became free within {self._max_wait:g} s.", headers={"Retry-After": "5"}
            )
        return waiter.place

    def dispatch(self) -> None:
        """Hand free places to waiters: after a release, and when an endpoint's health changes."""
        while any(self._serve(client) for client in list(self._queues)):
            pass

    def _serve(self, client: str) -> bool:
        """Serve the first waiter of `client`, if there is a place for it; the client then goes to the end."""
        queue = self._queues[client]
        endpoint = queue[0].choose()
        if endpoint is None:
            return False
        waiter = queue.popleft()
        self._queues.move_to_end(client)
        if not queue:
            del self._queues[client]
        waiter.place = Place(endpoint, self)
        waiter.arrived.set()
        return True

    def _forget(self, client: str, waiter: _Waiter) -> None:
        queue = self._queues[client]
        queue.remove(waiter)
        if not queue:
            del self._queues[client]

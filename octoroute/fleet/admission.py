"""Is there room: take a place, wait for one in a bounded queue, or be refused.

A place that becomes free is handed to a waiter at once, so that nobody who comes later overtakes. Among
the waiters, clients take turns: somebody with a hundred requests does not starve somebody with one.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable

import trio

from octoroute.errors import Draining, QueueFull
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
            admission.released()


class _Waiter:
    __slots__ = ("arrived", "choose", "hopeless", "place")

    def __init__(self, choose: Callable[[], Endpoint | None], hopeless: Callable[[], bool]) -> None:
        self.choose = choose
        self.hopeless = hopeless
        self.arrived = trio.Event()
        """A place is here, or none is to be hoped for."""
        self.place: Place | None = None


class Admission:
    """The queue of one tier. `choose` functions say which endpoint would take a request now, or None."""

    def __init__(self, max_waiting: int, max_wait_seconds: float) -> None:
        self._max_waiting = max_waiting
        self._max_wait = max_wait_seconds
        self._queues: OrderedDict[str, deque[_Waiter]] = OrderedDict()
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many requests wait now."""
        return sum(len(queue) for queue in self._queues.values())

    def limit(self, max_waiting: int, max_wait_seconds: float) -> None:
        """Set new limits; those who wait already stay."""
        self._max_waiting, self._max_wait = max_waiting, max_wait_seconds

    def close(self) -> None:
        """The daemon is stopping: whoever waits is refused, and whoever would have to."""
        self._closed = True
        for queue in self._queues.values():
            for waiter in queue:
                waiter.arrived.set()
        self._queues.clear()

    def take(self, choose: Callable[[], Endpoint | None]) -> Place | None:
        """A place now, or None. A place is only free while nobody who could use it waits."""
        endpoint = choose()
        return None if endpoint is None else Place(endpoint, self)

    async def wait(
        self,
        client: str,
        choose: Callable[[], Endpoint | None],
        hopeless: Callable[[], bool],
        *,
        patience: float | None = None,
    ) -> Place | None:
        """Wait for a place, in turn. None as soon as `hopeless` says that no endpoint takes requests any more.

        `patience` is how many seconds that may take where it is more than a matter of free places; else the
        queue's own limit holds.

        Raises:
            QueueFull: as many as may wait do so already, or the wait took too long.
            Draining: the daemon is stopping.
        """
        if self._closed:
            raise _draining()
        if self.waiting >= self._max_waiting:
            raise QueueFull(
                f"All places are taken and {self._max_waiting} requests wait already.",
                headers={"Retry-After": "5"},
            )
        longest = self._max_wait if patience is None else patience
        waiter = _Waiter(choose, hopeless)
        queue = self._queues.setdefault(client, deque())
        queue.append(waiter)
        cut = True
        try:
            with trio.move_on_after(longest):
                await waiter.arrived.wait()
            cut = False
        finally:
            # Without an await from here to the return: a place that was handed over is never lost.
            if waiter.place is not None:
                if cut:  # handed over in the same moment in which the request was cancelled
                    waiter.place.release()
            elif not waiter.arrived.is_set():
                self._forget(client, waiter)
        if waiter.place is None and self._closed:
            raise _draining()
        if waiter.place is None and not waiter.arrived.is_set():
            raise QueueFull(f"No place became free within {longest:g} s.", headers={"Retry-After": "5"})
        return waiter.place

    def released(self) -> None:
        """Hand on the one place that became free."""
        any(self._serve(client) for client in list(self._queues))

    def dispatch(self) -> None:
        """After a change of health: hand out free places, and send away who waits for nothing."""
        for client, queue in list(self._queues.items()):
            for waiter in [waiter for waiter in queue if waiter.hopeless()]:
                self._forget(client, waiter)
                waiter.arrived.set()
        while any(self._serve(client) for client in list(self._queues)):
            pass

    def _serve(self, client: str) -> bool:
        """Serve the first waiter of `client` for whom there is a place; the client then goes to the end."""
        for waiter in self._queues[client]:  # one waits for this endpoint, the next one for that
            endpoint = waiter.choose()
            if endpoint is not None:
                self._queues.move_to_end(client)
                self._forget(client, waiter)
                waiter.place = Place(endpoint, self)
                waiter.arrived.set()
                return True
        return False

    def _forget(self, client: str, waiter: _Waiter) -> None:
        queue = self._queues[client]
        queue.remove(waiter)
        if not queue:
            del self._queues[client]


def _draining() -> Draining:
    return Draining("Octoroute is shutting down.", headers={"Connection": "close", "Retry-After": "5"})

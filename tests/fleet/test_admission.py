"""Places are never given twice, never lost, and go to waiting clients in turn."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from octoroute.config import model as config
from octoroute.errors import Draining, QueueFull
from octoroute.fleet.admission import Admission, Place
from octoroute.fleet.endpoint import Endpoint
from octoroute.fleet.upstream import Upstream

Choose = Callable[[], Endpoint | None]


def make_endpoint(name: str = "a", places: int | None = 1) -> Endpoint:
    table = config.Endpoint(name=name, base_url="http://model-server.invalid/v1", max_concurrent=places)
    return Endpoint(name, "fast", table, Upstream(table, connect_timeout=1, ssl_context=None))


def any_of(*endpoints: Endpoint) -> Choose:
    return lambda: next((endpoint for endpoint in endpoints if endpoint.has_room), None)


def never() -> bool:
    return False


async def enter(admission: Admission, client: str, choose: Choose) -> Place:
    """As a request does it: take a place, or wait for one."""
    place = admission.take(choose) or await admission.wait(client, choose, never)
    assert place is not None
    return place


def taken(admission: Admission, endpoint: Endpoint) -> Place:
    place = admission.take(any_of(endpoint))
    assert place is not None
    return place


class Queue:
    """Requests that wait, by name, and the places that they were given."""

    def __init__(self, admission: Admission, nursery: trio.Nursery) -> None:
        self.admission = admission
        self.nursery = nursery
        self.served: list[str] = []
        self.places: dict[str, Place | None] = {}
        self.scopes: dict[str, trio.CancelScope] = {}

    async def add(self, name: str, choose: Choose, hopeless: Callable[[], bool] = never) -> None:
        """`name` is the client's, and a number."""

        async def wait() -> None:
            with self.scopes.setdefault(name, trio.CancelScope()):
                self.places[name] = await self.admission.wait(name[0], choose, hopeless)
                self.served.append(name)

        self.nursery.start_soon(wait)
        await wait_all_tasks_blocked()


async def test_a_place_is_taken_and_given_back_once() -> None:
    endpoint = make_endpoint(places=2)
    admission = Admission(10, 10)
    first, second = taken(admission, endpoint), taken(admission, endpoint)
    assert (endpoint.in_flight, admission.take(any_of(endpoint))) == (2, None)
    first.release()
    first.release()
    assert endpoint.in_flight == 1
    second.release()
    assert endpoint.in_flight == 0


async def test_an_endpoint_without_a_limit_has_always_room() -> None:
    endpoint = make_endpoint(places=None)
    admission = Admission(0, 1)
    for _ in range(1000):
        taken(admission, endpoint)
    assert endpoint.in_flight == 1000


async def test_a_client_is_served_in_its_own_order(autojump_clock: MockClock) -> None:
    endpoint = make_endpoint()
    admission = Admission(10, 10)
    place: Place | None = taken(admission, endpoint)
    async with trio.open_nursery() as nursery:
        queue = Queue(admission, nursery)
        for name in ("a1", "a2", "a3", "a4"):
            await queue.add(name, any_of(endpoint))
        for name in ("a1", "a2", "a3", "a4"):
            assert place is not None
            place.release()
            await wait_all_tasks_blocked()
            place = queue.places[name]
    assert queue.served == ["a1", "a2", "a3", "a4"]


async def test_clients_take_turns(autojump_clock: MockClock) -> None:
    endpoint = make_endpoint()
    admission = Admission(10, 10)
    place: Place | None = taken(admission, endpoint)
    async with trio.open_nursery() as nursery:
        queue = Queue(admission, nursery)
        for name in ("a1", "a2", "a3", "b1", "b2", "c1"):
            await queue.add(name, any_of(endpoint))
        for name in ("a1", "b1", "c1", "a2", "b2", "a3"):
            assert place is not None
            place.release()
            await wait_all_tasks_blocked()
            place = queue.places[name]
    assert queue.served == ["a1", "b1", "c1", "a2", "b2", "a3"]


async def test_a_newcomer_waits_behind_those_of_other_clients(autojump_clock: MockClock) -> None:
    endpoint = make_endpoint()
    admission = Admission(10, 10)
    place = taken(admission, endpoint)
    async with trio.open_nursery() as nursery:
        queue = Queue(admission, nursery)
        await queue.add("a1", any_of(endpoint))
        place.release()
        assert admission.take(any_of(endpoint)) is None  # handed to a1 already, who has not run yet
        await wait_all_tasks_blocked()
        assert queue.served == ["a1"]


async def test_one_who_waits_for_another_endpoint_is_in_nobodys_way(autojump_clock: MockClock) -> None:
    """Only a client's first waiter was looked at: whoever came later overtook the second one."""
    one, other = make_endpoint("one"), make_endpoint("other")
    admission = Admission(10, 10)
    taken(admission, one)
    place = taken(admission, other)
    async with trio.open_nursery() as nursery:
        queue = Queue(admission, nursery)
        await queue.add("a1", any_of(one))
        await queue.add("a2", any_of(one, other))
        place.release()
        assert admission.take(any_of(other)) is None
        await wait_all_tasks_blocked()
        assert queue.served == ["a2"]
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("first", ["cancel", "release"])
async def test_a_place_handed_over_in_the_tick_of_a_cancel_is_not_lost(
    first: str, autojump_clock: MockClock
) -> None:
    endpoint = make_endpoint()
    admission = Admission(10, 10)
    place = taken(admission, endpoint)
    async with trio.open_nursery() as nursery:
        queue = Queue(admission, nursery)
        await queue.add("a1", any_of(endpoint))
        await queue.add("b1", any_of(endpoint))
        if first == "cancel":
            queue.scopes["a1"].cancel()
        place.release()
        queue.scopes["a1"].cancel()
        await wait_all_tasks_blocked()
        if (given_ := queue.places.get("a1")) is not None:
            given_.release()  # it was served in spite of it, and its exchange gives the place back
        await wait_all_tasks_blocked()
        assert "b1" in queue.served
        assert (endpoint.in_flight, admission.waiting) == (1, 0)


async def test_a_place_handed_over_in_the_tick_of_the_time_limit_is_not_lost(
    autojump_clock: MockClock,
) -> None:
    endpoint = make_endpoint()
    admission = Admission(10, 5)
    place = taken(admission, endpoint)
    outcomes = []

    async def wait() -> None:
        try:
            outcomes.append(await admission.wait("a", any_of(endpoint), never))
        except QueueFull:
            outcomes.append(None)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.sleep(5)
        place.release()  # before or after the waiter's own alarm, which is trio's choice
    assert [given_ is not None for given_ in outcomes] == [bool(endpoint.in_flight)]
    assert admission.waiting == 0


async def test_a_full_queue_refuses_at_once(autojump_clock: MockClock) -> None:
    endpoint = make_endpoint()
    admission = Admission(2, 10)
    taken(admission, endpoint)
    async with trio.open_nursery() as nursery:
        queue = Queue(admission, nursery)
        await queue.add("a1", any_of(endpoint))
        await queue.add("a2", any_of(endpoint))
        start = trio.current_time()
        with pytest.raises(QueueFull, match="2 requests wait already") as caught:
            await admission.wait("b", any_of(endpoint), never)
        assert trio.current_time() == start
        assert 1 <= int(caught.value.headers["Retry-After"]) <= 30
        assert admission.waiting == 2
        nursery.cancel_scope.cancel()
    assert admission.waiting == 0


async def test_too_long_a_wait_is_refused(autojump_clock: MockClock) -> None:
    endpoint = make_endpoint()
    admission = Admission(2, 7.5)
    place = taken(admission, endpoint)
    start = trio.current_time()
    with pytest.raises(QueueFull, match=r"within 7\.5 s") as caught:
        await admission.wait("a", any_of(endpoint), never)
    assert trio.current_time() == start + 7.5
    assert 1 <= int(caught.value.headers["Retry-After"]) <= 30
    assert admission.waiting == 0
    place.release()
    assert endpoint.in_flight == 0


async def test_who_waits_for_more_than_a_place_has_a_limit_of_its_own(autojump_clock: MockClock) -> None:
    endpoint = make_endpoint()
    admission = Admission(2, 7.5)
    taken(admission, endpoint)
    start = trio.current_time()
    with pytest.raises(QueueFull, match=r"within 120 s"):
        await admission.wait("a", any_of(endpoint), never, patience=120)
    assert trio.current_time() == start + 120


async def test_new_limits_hold_for_whoever_comes(autojump_clock: MockClock) -> None:
    endpoint = make_endpoint()
    admission = Admission(5, 10)
    taken(admission, endpoint)
    async with trio.open_nursery() as nursery:
        queue = Queue(admission, nursery)
        await queue.add("a1", any_of(endpoint))
        admission.limit(0, 1)
        assert admission.waiting == 1
        with pytest.raises(QueueFull):
            await admission.wait("b", any_of(endpoint), never)
        nursery.cancel_scope.cancel()


async def test_a_change_of_health_serves_who_waits(autojump_clock: MockClock) -> None:
    full, back = make_endpoint("full"), make_endpoint("back", places=2)
    up: list[Endpoint] = [full]
    admission = Admission(5, 10)

    def first_up() -> Endpoint | None:
        return any_of(*up)()

    taken(admission, full)
    async with trio.open_nursery() as nursery:
        queue = Queue(admission, nursery)
        for name in ("a1", "a2", "b1"):
            await queue.add(name, first_up)
        up.append(back)
        admission.dispatch()
        await wait_all_tasks_blocked()
        assert sorted(queue.served) == ["a1", "b1"]
        assert back.in_flight == 2
        nursery.cancel_scope.cancel()


async def test_who_waits_for_what_went_down_is_sent_away_at_once(autojump_clock: MockClock) -> None:
    endpoint, down = make_endpoint(), False
    admission = Admission(5, 10)
    taken(admission, endpoint)
    async with trio.open_nursery() as nursery:
        queue = Queue(admission, nursery)
        await queue.add("a1", any_of(endpoint), lambda: down)
        await queue.add("a2", any_of(endpoint))
        admission.dispatch()
        await wait_all_tasks_blocked()
        assert queue.places == {}
        down = True
        admission.dispatch()
        await wait_all_tasks_blocked()
        assert queue.places == {"a1": None}
        assert admission.waiting == 1
        nursery.cancel_scope.cancel()
    assert (admission.waiting, endpoint.in_flight) == (0, 1)


async def test_a_stop_refuses_who_waits_and_who_would(autojump_clock: MockClock) -> None:
    endpoint = make_endpoint(places=2)
    admission = Admission(5, 10)
    place = taken(admission, endpoint)
    taken(admission, endpoint)
    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(close_soon, admission)
        for wait in (0, 1):
            await trio.sleep(wait)
            with pytest.raises(Draining) as caught:
                await admission.wait("a", any_of(endpoint), never)
            assert 1 <= int(caught.value.headers["Retry-After"]) <= 30
    assert trio.current_time() == start + 3  # at once, both times
    assert admission.waiting == 0
    place.release()
    assert endpoint.in_flight == 1


async def close_soon(admission: Admission) -> None:
    await trio.sleep(2)
    admission.close()


# Any requests, of any clients, at any time


class Request(NamedTuple):
    """Arrives, works for some time once it has a place, and is cancelled after `patience`."""

    client: str
    arrives: int
    works: int
    patience: int
    wishes: tuple[str, ...]


REQUESTS = st.lists(
    st.builds(
        Request,
        st.sampled_from("ABC"),
        st.integers(0, 6),
        st.integers(0, 4),
        st.integers(0, 12) | st.just(1000),
        st.sampled_from([("one", "two"), ("one", "two"), ("one",), ("two",)]),
    ),
    max_size=14,
)
LIMITS = st.tuples(st.integers(1, 2), st.integers(1, 2))


class Run:
    """Plays requests against a queue, and looks at what must hold at every step."""

    def __init__(
        self, requests: list[Request], limits: tuple[int, int], max_waiting: int, max_wait: int
    ) -> None:
        self.requests = requests
        self.endpoints = {
            name: make_endpoint(name, limit) for name, limit in zip(("one", "two"), limits, strict=True)
        }
        self.admission = Admission(max_waiting, max_wait)
        self.max_waiting, self.max_wait = max_waiting, max_wait
        self.waiting: dict[int, float] = {}
        self.numbers: dict[Choose, int] = {}
        self.refused = self.served = self.cancelled = 0

    async def play(self) -> None:
        async with trio.open_nursery() as nursery:
            for number, request in enumerate(self.requests):
                nursery.start_soon(self._request, number, request)
        self.look()
        assert self.refused + self.served + self.cancelled == len(self.requests)
        assert (self.admission.waiting, self.waiting) == (0, {})
        assert all(endpoint.in_flight == 0 for endpoint in self.endpoints.values())

    async def _request(self, number: int, request: Request) -> None:
        await trio.sleep(request.arrives)
        choose = any_of(*(self.endpoints[name] for name in request.wishes))
        self.numbers[choose] = number
        with trio.move_on_after(request.patience) as scope:
            place = self.admission.take(choose)
            start = trio.current_time()
            if place is None:
                self.waiting[number] = start
                try:
                    place = await self.admission.wait(request.client, choose, never)
                except QueueFull:
                    waited = trio.current_time() - start
                    assert waited == self.max_wait or (waited == 0 and len(self.waiting) > self.max_waiting)
                    self.refused += 1
                    return
                finally:
                    del self.waiting[number]
            assert place is not None
            self.look()
            for waiter in self.admission._queues.get(request.client, ()):
                other = self.numbers[waiter.choose]
                alike = self.requests[other].wishes == request.wishes
                assert not (alike and self.waiting[other] < start), "a client's requests are served in order"
            try:
                await trio.sleep(request.works)
            finally:
                place.release()
                self.look()
        self.cancelled += scope.cancelled_caught
        self.served += not scope.cancelled_caught

    def look(self) -> None:
        for endpoint in self.endpoints.values():
            limit = endpoint.settings.max_concurrent
            assert limit is not None
            assert 0 <= endpoint.in_flight <= limit
        assert self.admission.waiting <= self.max_waiting
        for queue in self.admission._queues.values():
            assert queue, "no empty queue is kept"
            for waiter in queue:
                assert waiter.choose() is None, "a place is free while somebody who could use it waits"


@settings(max_examples=150, deadline=None)
@given(REQUESTS, LIMITS, st.integers(0, 8), st.integers(1, 20))
def test_no_place_is_given_twice_or_lost(
    requests: list[Request], limits: tuple[int, int], max_waiting: int, max_wait: int
) -> None:
    async def main() -> None:
        with trio.fail_after(10_000):
            await Run(requests, limits, max_waiting, max_wait).play()

    trio.run(main, clock=MockClock(autojump_threshold=0))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from("ABCD"), min_size=2, max_size=20))
def test_a_client_waits_for_one_turn_of_each_other(clients: list[str]) -> None:
    """Between two places of a client that waits, nobody else gets two."""

    async def main() -> None:
        endpoint = make_endpoint()
        admission = Admission(100, 1000)
        order: list[str] = []
        place = taken(admission, endpoint)

        async def request(client: str) -> None:
            mine = await enter(admission, client, any_of(endpoint))
            order.append(client)
            await trio.sleep(1)
            mine.release()

        async with trio.open_nursery() as nursery:
            for client in clients:
                nursery.start_soon(partial(request, client))
                await wait_all_tasks_blocked()
            place.release()
        left = list(clients)
        for at, client in enumerate(order):
            left.remove(client)
            upcoming = order[at + 1 : at + 2]
            assert upcoming != [client] or set(left) == {client}

    trio.run(main, clock=MockClock(autojump_threshold=0))

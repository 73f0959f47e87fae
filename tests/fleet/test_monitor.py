"""The loop that watches the fleet: each endpoint when it is due, and none spoils it for the others."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from octoroute.config.model import Config, Endpoint, Health
from octoroute.errors import UpstreamError
from octoroute.fleet.fleet import Fleet
from octoroute.fleet.monitor import Monitor
from octoroute.telemetry.events import Event, HealthChanged, ProbeFailed
from tests.fakes.model_server import FakeModelServer, loading


class Way:
    """In the place of an endpoint's upstream: answers after `seconds`, or raises."""

    def __init__(self, seconds: float = 0, error: Exception | None = None) -> None:
        self.seconds, self.error = seconds, error
        self.asked_at: list[float] = []
        self.at_once = self.most_at_once = 0

    async def get(self, path: str, *, connect_within: float) -> Any:
        self.asked_at.append(trio.current_time())
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await trio.sleep(self.seconds)
        finally:
            self.at_once -= 1
        if self.error is not None:
            raise self.error
        return Listed()


class Listed:
    """An answer with an empty list of models."""

    status = 200

    def __init__(self) -> None:
        self.chunks = [b'{"data": []}']

    def __aiter__(self) -> Listed:
        return self

    async def __anext__(self) -> bytes:
        if not self.chunks:
            raise StopAsyncIteration
        return self.chunks.pop()

    async def aclose(self) -> None:
        pass


def down(seconds: float = 0) -> Way:
    return Way(seconds, UpstreamError("connect", "nobody there"))


class NoChance(Random):
    """Random numbers in the middle, so that nothing is jittered."""

    def random(self) -> float:
        return 0.5


class Watch:
    """A monitor over endpoints whose way is in the test's hands."""

    def __init__(self, *ways: Way, **settings: Any) -> None:
        self.events: list[Event] = []
        self.settings = Health(
            **{"interval_seconds": 10, "timeout_seconds": 4, "unhealthy_after": 2, **settings}
        )
        self.fleet = self.fleet_of(*ways)
        self.monitor = Monitor(lambda: self.fleet, lambda: self.settings, self.publish)

    def publish(self, event: Event) -> None:
        self.events.append(event)
        self.monitor.on_event(event)

    def fleet_of(self, *ways: Way) -> Fleet:
        endpoints = tuple(
            Endpoint(name=f"e{number}", base_url=f"http://e{number}.invalid/v1")
            for number in range(len(ways))
        )
        fleet = Fleet(
            Config(models={"fast": endpoints}, health=self.settings), publish=self.publish, random=NoChance()
        )
        for endpoint, way in zip(fleet, ways, strict=True):
            endpoint.upstream = way  # type: ignore[assignment]
        return fleet


async def test_a_sweep_asks_all_at_once(autojump_clock: MockClock) -> None:
    ways = [down(3), down(1), Way(100), Way(2)]
    watch = Watch(*ways)
    start = trio.current_time()
    results = await watch.monitor.sweep()
    assert trio.current_time() == start + 4  # the time limit of the one that hangs, not the sum
    assert [way.asked_at for way in ways] == [[start]] * 4
    assert {name: result.error_type for name, result in results.items()} == {
        "e0": "connect",
        "e1": "connect",
        "e2": "timeout",
        "e3": None,
    }
    assert watch.monitor.last_look == start + 4


async def test_failures_are_told_and_count(autojump_clock: MockClock) -> None:
    watch = Watch(down())
    await watch.monitor.sweep()
    assert watch.events == [ProbeFailed("fast", "e0", "connect", "nobody there")]
    await watch.monitor.sweep()
    assert watch.events[1:] == [
        ProbeFailed("fast", "e0", "connect", "nobody there"),
        HealthChanged("fast", "e0", old="healthy", new="unhealthy", detail="nobody there"),
    ]


def seconds(way: Way, start: float) -> list[float]:
    """When it was asked, after `start`."""
    return [round(time - start, 3) for time in way.asked_at]


async def test_the_healthy_are_probed_at_the_interval_until_cancelled(autojump_clock: MockClock) -> None:
    way, slow = Way(), Way(1)
    watch = Watch(way, slow)
    start = trio.current_time()
    with trio.move_on_after(35):
        await watch.monitor.run()
    assert seconds(way, start) == [0, 10, 20, 30]
    assert seconds(slow, start) == [0, 11, 22, 33]


async def test_the_dead_are_probed_soon_and_then_ever_more_rarely(autojump_clock: MockClock) -> None:
    dead, well = down(), Way()
    watch = Watch(dead, well)
    start = trio.current_time()
    with trio.move_on_after(50):
        await watch.monitor.run()
    assert seconds(dead, start) == [0, 10, 11, 13, 17, 25, 35, 45]
    assert seconds(well, start) == [0, 10, 20, 30, 40]


async def test_a_server_that_restarts_is_back_in_seconds(autojump_clock: MockClock) -> None:
    """Requests find out that it is down; nobody waits for the interval then."""
    way = Way()
    watch = Watch(way, interval_seconds=3600)
    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch.monitor.run)
        await trio.sleep(100)
        way.error = UpstreamError("connect", "nobody there")
        (endpoint,) = watch.fleet
        for _ in range(2):
            watch.fleet.record(endpoint, "failure")
        await trio.sleep(5)
        way.error = None
        await trio.sleep(4.5)
        nursery.cancel_scope.cancel()
    assert seconds(way, start) == [0, 101, 103, 107]
    assert [event.new for event in watch.events if isinstance(event, HealthChanged)] == [
        "unhealthy",
        "healthy",
    ]


async def test_jitter_keeps_probes_apart(autojump_clock: MockClock) -> None:
    ways = [down() for _ in range(20)]
    watch = Watch(*ways, unhealthy_after=1)
    watch.fleet._random = Random(1)
    start = trio.current_time()
    with trio.move_on_after(3):
        await watch.monitor.run()
    second = sorted(seconds(way, start)[1] for way in ways)
    assert 0.8 <= second[0] < 0.9
    assert 1.1 < second[-1] <= 1.2


async def test_one_probe_at_a_time_for_each_endpoint(autojump_clock: MockClock) -> None:
    slow, quick = Way(3), Way()
    watch = Watch(slow, quick, interval_seconds=1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch.monitor.run)
        await trio.sleep(1)
        results = await watch.monitor.sweep()
        nursery.cancel_scope.cancel()
    assert list(results) == ["e1", "e0"]
    assert slow.most_at_once == quick.most_at_once == 1


async def test_a_probe_from_before_a_reload_is_no_evidence(autojump_clock: MockClock) -> None:
    """It went with the old key, to the old path."""
    old, new = down(3), Way()
    watch = Watch(old, unhealthy_after=1)
    (endpoint,) = watch.fleet
    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch.monitor.run)
        await trio.sleep(1)
        endpoint.upstream = new  # type: ignore[assignment]
        await trio.sleep(4)
        nursery.cancel_scope.cancel()
    assert endpoint.health.state == "healthy"
    assert seconds(new, start) == [3]


async def test_a_reload_is_seen_at_the_next_look(autojump_clock: MockClock) -> None:
    before, after = Way(), Way()
    watch = Watch(before)
    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch.monitor.run)
        await trio.sleep(15)
        watch.settings = Health(interval_seconds=2, timeout_seconds=4)
        watch.fleet = watch.fleet_of(after)
        await trio.sleep(8)
        nursery.cancel_scope.cancel()
    assert seconds(before, start) == [0, 10]
    assert seconds(after, start) == [20, 22]


async def test_a_crash_at_one_endpoint_is_told_and_spoils_no_other_probe(autojump_clock: MockClock) -> None:
    for at_first in (True, False):
        crashing, slow = Way(0, RuntimeError("a defect")), down(3)
        watch = Watch(crashing, slow)
        with pytest.raises(RuntimeError, match="a defect"):
            await (watch.monitor.sweep() if at_first else watch.monitor.run())
        assert [event.endpoint for event in watch.events if isinstance(event, ProbeFailed)] == ["e1"]
        assert watch.monitor.last_look is not None
        crashing.error = None  # the supervisor starts it again
        with trio.move_on_after(20):
            await watch.monitor.run()
        assert len(crashing.asked_at) >= 2


async def test_endpoints_that_want_no_probe_get_none(autojump_clock: MockClock) -> None:
    way = Way()
    watch = Watch(way)
    settings = Endpoint(name="e0", base_url="http://e0.invalid/v1", health_path="")
    next(iter(watch.fleet)).settings = settings
    assert await watch.monitor.sweep() == {}
    assert (way.asked_at, watch.events) == ([], [])


async def test_it_is_late_when_nobody_looks_any_more(autojump_clock: MockClock) -> None:
    watch = Watch(Way())
    assert watch.monitor.is_late(trio.current_time())  # not one so far
    await watch.monitor.sweep()
    start = trio.current_time()
    assert [watch.monitor.is_late(start + seconds) for seconds in (0, 10, 34, 34.1)] == [
        False,
        False,
        False,
        True,
    ]


async def test_a_sweep_of_real_servers() -> None:
    with trio.fail_after(20):
        async with FakeModelServer("well") as well, FakeModelServer("loads") as loads:
            loads.models = loading()
            events: list[Event] = []
            config = Config(
                models={
                    "fast": (Endpoint(name="well", base_url=well.base_url),),
                    "deep": (Endpoint(name="loads", base_url=loads.base_url),),
                }
            )
            fleet = Fleet(config, publish=events.append)
            results = await Monitor(lambda: fleet, lambda: config.health, events.append).sweep()
            assert results["well"].models == ("well",)
            assert [(endpoint.id, endpoint.health.state) for endpoint in fleet] == [
                ("well", "healthy"),
                ("loads", "warming"),
            ]
            assert [type(event) for event in events] == [ProbeFailed, HealthChanged]
            await fleet.aclose()

"""The loop that watches the fleet: everybody at once, again and again, and no endpoint spoils it for the others."""

from __future__ import annotations

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

    async def get(self, path: str) -> Any:
        self.asked_at.append(trio.current_time())
        await trio.sleep(self.seconds)
        raise self.error or UpstreamError("connect", "nobody there")


class Watch:
    """A monitor over endpoints whose way is in the test's hands."""

    def __init__(self, *ways: Way, **settings: Any) -> None:
        self.events: list[Event] = []
        self.settings = Health(
            **{"interval_seconds": 10, "timeout_seconds": 4, "unhealthy_after": 2, **settings}
        )
        self.fleet = self.fleet_of(*ways)
        self.monitor = Monitor(lambda: self.fleet, lambda: self.settings, self.events.append)

    def fleet_of(self, *ways: Way) -> Fleet:
        endpoints = tuple(
            Endpoint(name=f"e{number}", base_url=f"http://e{number}.invalid/v1")
            for number in range(len(ways))
        )
        fleet = Fleet(Config(models={"fast": endpoints}, health=self.settings), publish=self.events.append)
        for endpoint, way in zip(fleet, ways, strict=True):
            endpoint.upstream = way  # type: ignore[assignment]
        return fleet


async def test_a_sweep_asks_all_at_once(autojump_clock: MockClock) -> None:
    ways = [Way(3), Way(1), Way(100), Way(2)]
    watch = Watch(*ways)
    start = trio.current_time()
    results = await watch.monitor.sweep()
    assert trio.current_time() == start + 4  # the time limit of the one that hangs, not the sum
    assert [way.asked_at for way in ways] == [[start]] * 4
    assert {name: result.error_type for name, result in results.items()} == {
        "e0": "connect",
        "e1": "connect",
        "e2": "timeout",
        "e3": "connect",
    }
    assert watch.monitor.last_sweep == start + 4


async def test_failures_are_told_and_count(autojump_clock: MockClock) -> None:
    watch = Watch(Way())
    await watch.monitor.sweep()
    assert watch.events == [ProbeFailed("fast", "e0", "connect", "nobody there")]
    await watch.monitor.sweep()
    assert watch.events[1:] == [
        ProbeFailed("fast", "e0", "connect", "nobody there"),
        HealthChanged("fast", "e0", old="healthy", new="unhealthy", detail="nobody there"),
    ]


async def test_sweeps_come_at_the_interval_until_cancelled(autojump_clock: MockClock) -> None:
    way = Way(1)
    watch = Watch(way)
    start = trio.current_time()
    with trio.move_on_after(35):
        await watch.monitor.run()
    assert [time - start for time in way.asked_at] == [10, 21, 32]


async def test_a_reload_is_seen_by_the_next_sweep(autojump_clock: MockClock) -> None:
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
    assert [time - start for time in before.asked_at] == [10]
    assert [time - start for time in after.asked_at] == [20, 22]


async def test_a_crash_at_one_endpoint_is_told_and_spoils_no_other_probe(autojump_clock: MockClock) -> None:
    crashing, fine = Way(0, RuntimeError("a defect")), Way(3)
    watch = Watch(crashing, fine)
    with pytest.RaisesGroup(pytest.RaisesExc(RuntimeError, match="a defect"), allow_unwrapped=True):
        await watch.monitor.sweep()
    assert [event.endpoint for event in watch.events if isinstance(event, ProbeFailed)] == ["e1"]
    assert watch.monitor.last_sweep is not None


async def test_endpoints_that_want_no_probe_get_none(autojump_clock: MockClock) -> None:
    way = Way()
    watch = Watch(way)
    settings = Endpoint(name="e0", base_url="http://e0.invalid/v1", health_path="")
    next(iter(watch.fleet)).settings = settings
    assert await watch.monitor.sweep() == {}
    assert (way.asked_at, watch.events) == ([], [])


async def test_it_is_late_when_sweeps_stop_coming(autojump_clock: MockClock) -> None:
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

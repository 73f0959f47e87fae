"""What a request holds is given back in every ending, and its end is told once."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from octoroute.relay.exchange import CLEANUP_SECONDS
from octoroute.relay.verdict import Usage
from octoroute.routing.route import Route
from octoroute.telemetry.events import Committed, Event, Finished, Routed
from tests.relay.in_memory import Script, new_exchange, scripted


async def test_the_last_taken_is_given_back_first() -> None:
    exchange = new_exchange()
    order: list[str] = []

    async def slow() -> None:
        await trio.lowlevel.checkpoint()
        order.append("answer")

    exchange.hold(lambda: order.append("place"))
    exchange.hold(slow)
    await exchange.release()
    assert order == ["answer", "place"]
    await exchange.release()
    assert order == ["answer", "place"]


async def test_a_cancelled_exchange_gives_back_all_the_same() -> None:
    exchange = new_exchange()
    given: list[str] = []

    async def give() -> None:
        await trio.lowlevel.checkpoint()
        given.append("answer")

    exchange.hold(give)
    with exchange.scope:
        exchange.cancel("test")
        await exchange.release()
    assert given == ["answer"]


async def test_giving_back_is_bounded(autojump_clock: trio.testing.MockClock) -> None:
    exchange = new_exchange()
    given: list[str] = []
    exchange.hold(lambda: given.append("place"))
    exchange.hold(trio.sleep_forever)
    began = trio.current_time()
    await exchange.release()
    assert trio.current_time() - began == CLEANUP_SECONDS
    assert given == ["place"]


async def test_one_that_fails_keeps_nothing_from_being_given_back() -> None:
    exchange = new_exchange()
    given: list[str] = []

    async def fail() -> None:
        await trio.lowlevel.checkpoint()
        raise RuntimeError("on purpose")

    exchange.hold(lambda: given.append("place"))
    exchange.hold(fail)
    await exchange.release()
    assert given == ["place"]


@pytest.mark.parametrize(("said_done", "status"), [(False, 499), (True, 200)])
async def test_who_left_before_the_end_counts_as_499(said_done: bool, status: int) -> None:
    events: list[Event] = []
    exchange = new_exchange(events)
    exchange.answered_status = 200
    exchange.said_done = said_done
    with exchange.scope:
        exchange.disconnected()
        await trio.sleep_forever()
    assert exchange.scope.cancelled_caught
    exchange.finished()
    assert isinstance(events[-1], Finished)
    assert events[-1].status == status


async def test_the_whole_story(autojump_clock: trio.testing.MockClock) -> None:
    events: list[Event] = []
    exchange = new_exchange(events)
    await trio.sleep(5)  # the body was slow to come: not our time
    exchange.received(10, 0)
    exchange.stream = True
    exchange.routed(Route("deep", "rule", "important", 2), None, 0.001)
    await trio.sleep(0.25)
    exchange.waits()
    await trio.sleep(3)
    assert exchange.goes_on() == 3
    exchange.endpoint = scripted(Script([]))
    exchange.committed()
    await trio.sleep(1)
    exchange.answered_status = 200
    exchange.usage = Usage(3, 4)
    exchange.finished()
    routed, committed, finished = events
    assert isinstance(routed, Routed)
    assert (routed.tier, routed.strategy) == ("deep", "rule")
    assert isinstance(committed, Committed)
    assert committed.seconds == pytest.approx(3.25)
    assert committed.overhead == pytest.approx(0.25)
    assert isinstance(finished, Finished)
    assert finished.seconds == pytest.approx(4.25)
    assert finished.time_to_first_token == pytest.approx(3.25)
    assert (finished.tier, finished.chosen_tier, finished.endpoint) == ("fast", "deep", "small")
    assert (finished.tokens_in, finished.tokens_out) == (3, 4)


async def test_the_total_limit(autojump_clock: trio.testing.MockClock) -> None:
    exchange = new_exchange()
    with exchange.scope:
        exchange.received(1, 7)
        await trio.sleep_forever()
    assert exchange.scope.cancelled_caught
    assert exchange.interruption().status == 504

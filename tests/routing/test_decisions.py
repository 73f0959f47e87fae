"""The cache of decisions, and one call for concurrent identical questions; in virtual time."""

from __future__ import annotations

import tracemalloc

import pytest
import trio
import trio.testing

from octoroute.routing.classifier import Judgement
from octoroute.routing.decisions import MAX_ENTRIES, Decisions

FAST = Judgement("fast", 0.9)
NOTHING = Judgement(None, failed="no")
NEVER = float("inf")


class Asker:
    """Takes a second, and counts."""

    def __init__(self, judgement: Judgement = FAST) -> None:
        self.calls = 0
        self._judgement = judgement

    async def __call__(self) -> Judgement:
        self.calls += 1
        await trio.sleep(1)
        return self._judgement


async def test_the_same_question_is_not_asked_twice_until_its_time_is_over(
    autojump_clock: trio.testing.MockClock,
) -> None:
    decisions, ask = Decisions(300), Asker()
    assert decisions.known(b"a") is None
    assert await decisions.judgement(b"a", ask, NEVER) == FAST
    await trio.sleep(299.9)
    assert decisions.known(b"a") == FAST
    assert decisions.known(b"b") is None
    await trio.sleep(0.2)
    assert decisions.known(b"a") is None
    assert len(decisions) == 0


async def test_a_time_of_nothing_switches_the_cache_off(autojump_clock: trio.testing.MockClock) -> None:
    decisions = Decisions(0)
    await decisions.judgement(b"a", Asker(), NEVER)
    assert decisions.known(b"a") is None


async def test_a_failure_is_not_kept(autojump_clock: trio.testing.MockClock) -> None:
    decisions = Decisions(300)
    assert await decisions.judgement(b"a", Asker(NOTHING), NEVER) == NOTHING
    assert decisions.known(b"a") is None


@pytest.mark.parametrize("judgement", [FAST, NOTHING])
async def test_twenty_at_once_ask_once(autojump_clock: trio.testing.MockClock, judgement: Judgement) -> None:
    decisions, ask, results = Decisions(0), Asker(judgement), []

    async def one() -> None:
        results.append(await decisions.judgement(b"a", ask, NEVER))

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(one)
    assert results == 20 * [judgement]
    assert ask.calls == 1
    assert trio.current_time() == pytest.approx(1, abs=0.1)


async def test_different_questions_do_not_wait_for_each_other(
    autojump_clock: trio.testing.MockClock,
) -> None:
    decisions, ask = Decisions(0), Asker()
    async with trio.open_nursery() as nursery:
        for key in (b"a", b"b", b"c"):
            nursery.start_soon(decisions.judgement, key, ask, NEVER)
    assert ask.calls == 3
    assert trio.current_time() == pytest.approx(1, abs=0.1)


async def test_whose_asker_hangs_up_is_answered_all_the_same(
    autojump_clock: trio.testing.MockClock,
) -> None:
    decisions, ask, results = Decisions(300), Asker(), []
    first = trio.CancelScope()

    async def one() -> None:
        results.append(await decisions.judgement(b"a", ask, NEVER))

    async def leaves() -> None:
        with first:
            await one()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(leaves)
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(19):
            nursery.start_soon(one)
        await trio.sleep(0.5)
        first.cancel("the client hung up")
    assert results == 19 * [FAST]
    assert ask.calls == 2  # its own, which was cut, and one for all the others
    assert trio.current_time() == pytest.approx(1.5, abs=0.1)


async def test_a_crash_reaches_the_asker_and_the_next_one_asks(
    autojump_clock: trio.testing.MockClock,
) -> None:
    decisions = Decisions(300)

    async def crash() -> Judgement:
        await trio.lowlevel.checkpoint()
        raise ValueError("a defect")

    with pytest.raises(ValueError, match="a defect"):
        await decisions.judgement(b"a", crash, NEVER)
    assert await decisions.judgement(b"a", Asker(), NEVER) == FAST


async def test_waiting_ends_at_the_deadline(autojump_clock: trio.testing.MockClock) -> None:
    decisions, ask = Decisions(300), Asker()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(decisions.judgement, b"a", ask, NEVER)
        await trio.testing.wait_all_tasks_blocked()
        judgement = await decisions.judgement(b"a", ask, trio.current_time() + 0.25)
        assert judgement.tier is None
        assert "in time" in judgement.failed
        assert trio.current_time() == pytest.approx(0.25, abs=0.1)
    assert ask.calls == 1


async def test_the_oldest_make_room() -> None:
    decisions = Decisions(300, max_entries=2)
    for key in (b"a", b"b", b"c"):
        await decisions.judgement(key, _at_once, NEVER)
    assert [decisions.known(key) for key in (b"a", b"b", b"c")] == [None, FAST, FAST]
    assert len(decisions) == 2


async def test_a_full_cache_is_small() -> None:
    decisions = Decisions(300)
    tracemalloc.start()
    try:
        for number in range(MAX_ENTRIES + 100):
            await decisions.judgement(number.to_bytes(16, "big"), _at_once, NEVER)
        assert tracemalloc.get_traced_memory()[0] < 4 * 2**20
    finally:
        tracemalloc.stop()
    assert len(decisions) == MAX_ENTRIES


async def _at_once() -> Judgement:
    await trio.lowlevel.checkpoint()
    return Judgement("fast", 0.9)

"""A crash of the background task is told, and the task started again: sooner at first, then ever more rarely."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from octoroute.supervision import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, STABLE_SECONDS, Supervisor


class Task:
    """Runs for the given seconds each time, then crashes; at the end it runs for ever."""

    def __init__(self, *runs: float) -> None:
        self.runs = list(runs)
        self.started_at: list[float] = []
        self.told: list[tuple[str, float, float]] = []
        self.supervisor = Supervisor(self.run, self.crashed)

    async def run(self) -> None:
        self.started_at.append(trio.current_time())
        if not self.runs:
            await trio.sleep_forever()
        await trio.sleep(self.runs.pop(0))
        raise ValueError(f"crash {len(self.started_at)}")

    def crashed(self, error: Exception, pause: float) -> None:
        self.told.append((str(error), pause, trio.current_time()))

    @property
    def pauses(self) -> list[float]:
        """As told, which must be as they were."""
        told = [pause for _, pause, _ in self.told]
        taken = [start - at for start, (_, _, at) in zip(self.started_at[1:], self.told, strict=False)]
        assert taken == told[: len(taken)]
        return told


async def supervised(task: Task, seconds: float = 10_000) -> None:
    with trio.move_on_after(seconds):
        await task.supervisor.run()


async def test_the_pause_doubles_up_to_a_cap(autojump_clock: MockClock) -> None:
    task = Task(*[0.0] * 9)
    await supervised(task)
    assert task.pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert (FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS) == (1, 60)
    assert [error for error, _, _ in task.told] == [f"crash {number}" for number in range(1, 10)]
    assert task.supervisor.failures == 9


async def test_a_stable_run_starts_the_pauses_again(autojump_clock: MockClock) -> None:
    task = Task(0, 0, 0, STABLE_SECONDS + 1, 0, STABLE_SECONDS, 0)
    await supervised(task)
    assert task.pauses == [1, 2, 4, 1, 2, 4, 8]


async def test_status_tells_whether_it_runs(autojump_clock: MockClock) -> None:
    task = Task(5)
    supervisor = task.supervisor
    seen = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervisor.run)
        for seconds in (4, 1.5, 1):
            await trio.sleep(seconds)
            seen.append((supervisor.status, supervisor.failures))
        nursery.cancel_scope.cancel()
    assert seen == [("operational", 0), ("restarting", 1), ("operational", 1)]


@pytest.mark.parametrize("seconds", [0.5, 1.5])
async def test_cancelling_ends_it_while_running_and_while_pausing(
    seconds: float, autojump_clock: MockClock
) -> None:
    task = Task(1)
    start = trio.current_time()
    with trio.move_on_after(seconds) as scope:
        await task.supervisor.run()
    assert scope.cancelled_caught
    assert trio.current_time() == start + seconds
    assert task.supervisor.failures == (seconds > 1)


async def test_a_crash_in_a_nursery_is_one(autojump_clock: MockClock) -> None:
    """What the task starts fails as an exception group."""
    runs = 0

    async def task() -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(crash)
                nursery.start_soon(trio.sleep, 1)

    async def crash() -> None:
        raise ValueError("crash")

    told: list[Exception] = []
    supervisor = Supervisor(task, lambda error, _: told.append(error))
    await supervisor.run()
    assert (runs, supervisor.failures, len(told)) == (2, 1, 1)


async def test_a_task_that_ends_is_not_started_again(autojump_clock: MockClock) -> None:
    async def task() -> None:
        await trio.lowlevel.checkpoint()

    supervisor = Supervisor(task, lambda *_: None)
    await supervisor.run()
    assert (supervisor.status, supervisor.failures) == ("operational", 0)


async def test_what_is_no_error_of_the_task_passes(autojump_clock: MockClock) -> None:
    async def task() -> None:
        raise KeyboardInterrupt

    supervisor = Supervisor(task, lambda *_: None)
    with pytest.raises(KeyboardInterrupt):
        await supervisor.run()
    assert supervisor.failures == 0

"""Decides every row of a data set with one configuration; what is decided so far is there whenever it is stopped."""

from __future__ import annotations

import signal
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager

import trio
from msgspec.structs import replace

from octoroute.config.model import Config
from octoroute.evaluation.dataset import Row
from octoroute.evaluation.result import Decided
from octoroute.fleet.fleet import Fleet
from octoroute.routing.facts import gather
from octoroute.routing.router import by_rules, router_for

_Decide = Callable[[Row], Awaitable[Decided]]


class Run:
    """Decides rows; `stopped` says that a signal ended it early."""

    def __init__(self, rows: Sequence[Row], config: Config, *, concurrency: int) -> None:
        self.rows = rows
        self.stopped = False
        self._decided: dict[int, Decided] = {}
        self._config = config
        self._concurrency = concurrency if config.routing.strategy != "rule" else 1

    @property
    def decided(self) -> list[Decided]:
        """What is decided so far, in the order of the rows: the same answers give the same intervals."""
        return [self._decided[number] for number in sorted(self._decided)]

    async def run(self, on_progress: Callable[[], None]) -> None:
        """Decide until all is decided, or SIGINT or SIGTERM comes. `on_progress` is called after every row."""
        waiting = enumerate(self.rows)
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async with self._decider() as decide, trio.open_nursery() as nursery:
                nursery.start_soon(self._watch, signals, nursery.cancel_scope, name="signals")
                async with trio.open_nursery() as workers:
                    for number in range(self._concurrency):
                        workers.start_soon(self._work, waiting, decide, on_progress, name=f"decider {number}")
                nursery.cancel_scope.cancel("all is decided")

    async def _watch(self, signals: AsyncIterator[int], scope: trio.CancelScope) -> None:
        async for _ in signals:
            self.stopped = True
            scope.cancel("interrupted")

    async def _work(
        self, waiting: Iterator[tuple[int, Row]], decide: _Decide, on_progress: Callable[[], None]
    ) -> None:
        for number, row in waiting:
            self._decided[number] = await decide(row)
            on_progress()

    @asynccontextmanager
    async def _decider(self) -> AsyncGenerator[_Decide]:
        routing = self._config.routing
        if routing.strategy == "rule":
            yield self._by_rules
            return
        # Rows are no conversations, whatever they begin with.
        fleet = Fleet(self._config, publish=lambda _: None)
        router = router_for(replace(routing, sticky_seconds=0), fleet, lambda _: None)

        async def by_router(row: Row) -> Decided:
            decision = await router.decide(row.request, row.metadata)
            assert decision.facts is not None  # a row names no model, so there is something to decide
            return Decided(row, decision.route, decision.facts, decision.seconds)

        try:
            yield by_router
        finally:
            await fleet.aclose()

    async def _by_rules(self, row: Row) -> Decided:
        await trio.lowlevel.checkpoint()
        routing = self._config.routing
        start = trio.current_time()
        facts = gather(
            row.request.messages,
            importance=row.metadata.importance,
            task_type=row.metadata.task_type,
            default_importance=routing.default_importance,
            has_tools=row.request.has_tools,
        )
        return Decided(row, by_rules(facts, routing.default_tier), facts, trio.current_time() - start)

"""The answer on its way to the client: bytes as they come, and a truncation that shows."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Self

import trio

from octoroute.errors import RequestError, UpstreamError, UpstreamFailed, UpstreamTimeout
from octoroute.openai.errors import error_body
from octoroute.openai.sse import error_event
from octoroute.relay.attempt import Answer
from octoroute.relay.exchange import Exchange
from octoroute.relay.verdict import usage_of_answer, usage_of_events

DONE = b"data: [DONE]"
END_BYTES = 20
"""Room for `DONE` and the blank line after it, which may come in pieces."""
TAIL_CHUNKS = 4
"""How many of the last reads are kept to look for the usage: it stands in the last events."""


class RelayBody:
    """Iterates over the answer's bytes, one item for each read from the model server.

    Where the server fails after commit, a stream gets an event that says so, and the exchange is marked as
    broken (`on_broken` is told), so that the connection ends without the end of a message: never like a complete answer.
    """

    def __init__(
        self, exchange: Exchange, answer: Answer, *, idle_seconds: float, on_broken: Callable[[str], None]
    ) -> None:
        self._exchange = exchange
        self._begun = deque(answer.begun)
        self._rest = answer.rest
        self.events = answer.events
        self._idle_seconds = idle_seconds
        self._on_broken = on_broken
        self._tail: deque[bytes] = deque(maxlen=TAIL_CHUNKS)
        self._end = b""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is held here: the exchange owns it all."""

    def __aiter__(self) -> RelayBody:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk = self._begun.popleft() if self._begun else await self._next()
        except StopAsyncIteration:
            self._ended()
            raise
        self._tail.append(chunk)
        if self.events:
            self._end = (self._end + chunk[-END_BYTES:])[-END_BYTES:]
            if self._end.rstrip().endswith(DONE):
                self._exchange.said_done = True
        if self._rest is None and not self._begun:
            self._ended()  # who knows the length does not ask for the end
        return chunk

    async def _next(self) -> bytes:
        if self._rest is None:
            raise StopAsyncIteration
        with trio.move_on_after(self._idle_seconds):
            try:
                return await self._rest.__anext__()
            except UpstreamError as error:
                return self._cut_short(UpstreamFailed(f"The model server broke off its answer: {error}."))
        return self._cut_short(
            UpstreamTimeout(f"The model server sent nothing for {self._idle_seconds:g} s.")
        )

    def _cut_short(self, error: RequestError) -> bytes:
        self._rest = None
        if self._exchange.said_done:
            raise StopAsyncIteration  # all was said; how the connection ends, or that it doesn't, is no matter
        self._exchange.broken = True
        self._exchange.error = error.message
        self._on_broken(error.message)
        if not self.events:
            raise StopAsyncIteration
        return error_event(error_body(error))

    def _ended(self) -> None:
        if not self._exchange.broken:
            tail = b"".join(self._tail)
            self._exchange.usage = usage_of_events(tail) if self.events else usage_of_answer(tail)

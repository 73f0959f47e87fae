"""A model server without a socket, for what depends on how exactly an answer is cut up, or on virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import httpx
import trio

from octoroute.config import model as config
from octoroute.fleet.endpoint import Endpoint
from octoroute.fleet.upstream import Upstream
from octoroute.relay.exchange import Exchange
from octoroute.telemetry.events import Event

Piece = bytes | float | Exception
"""Bytes of one read, a pause in seconds, or how it breaks off."""


class Pieces(httpx.AsyncByteStream):
    """A body that arrives in exactly these pieces. `ended` tells that it was read to its end."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self._pieces = iter(pieces)
        self.closed = self.ended = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        for piece in self._pieces:
            if isinstance(piece, bytes):
                await trio.lowlevel.checkpoint()
                return piece
            if isinstance(piece, Exception):
                raise piece
            await trio.sleep(piece)
        self.ended = True
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.closed = True


class Script(httpx.AsyncBaseTransport):
    """Answers every request with the same head, and `pieces`."""

    def __init__(
        self,
        pieces: Sequence[Piece],
        *,
        status: int = 200,
        headers: Sequence[tuple[str, str]] = (),
        wait: float = 0,
    ) -> None:
        self.body = Pieces(pieces)
        self._status, self._headers, self._wait = status, list(headers), wait

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await trio.sleep(self._wait)
        return httpx.Response(self._status, headers=self._headers, stream=self.body)


def scripted(transport: httpx.AsyncBaseTransport) -> Endpoint:
    settings = config.Endpoint(name="small", base_url="http://model.test/v1")
    upstream = Upstream(settings, connect_timeout=1, ssl_context=None, transport=transport)
    return Endpoint("small", "fast", settings, upstream)


def new_exchange(events: list[Event] | None = None) -> Exchange:
    publish = (lambda _: None) if events is None else events.append
    return Exchange(request_id="r", method="POST", path="/chat", client="local", publish=publish)

"""A client that sends exactly the bytes it is told to, and shows what came back, and how it ended."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httptools
import httpx
import trio

from octoroute.daemon import Daemon


class Ended(Exception):  # an outcome, as the tests see it
    """The server closed the connection, with no (whole) answer before."""


class Answer:
    """One answer, 1xx included."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""

    def __repr__(self) -> str:
        return f"<{self.status} {self.headers} {self.body[:200]!r}>"

    def json(self) -> Any:
        return json.loads(self.body)


class RawClient:
    """One connection. `received` is everything that came so far, framing included."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.received = b""
        self._answers: list[Answer] = []
        self._answer = Answer()
        self._parser = httptools.HttpResponseParser(self)

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def answer(self) -> Answer:
        """The next whole answer."""
        while not self._answers:
            if not await self._receive():
                raise Ended
        return self._answers.pop(0)

    @property
    def unfinished(self) -> Answer:
        """What has come so far of an answer that is not whole."""
        self._answer.status = self._parser.get_status_code()
        return self._answer

    async def body_has(self, part: bytes) -> None:
        """Wait until `part` has come."""
        while part not in self.received:
            if not await self._receive():
                raise Ended

    async def rest(self) -> bytes:
        """Everything up to the end of the connection. Raises trio.BrokenResourceError where it was reset."""
        while await self._receive():
            pass
        return self.received

    async def _receive(self) -> bool:
        data = await self.stream.receive_some(65536)
        self.received += data
        self._parser.feed_data(bytes(data))
        return bool(data)

    # What the parser calls

    def on_message_begin(self) -> None:
        self._answer = Answer()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._answer.headers[name.decode().lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._answer.body += body

    def on_message_complete(self) -> None:
        self._answer.status = self._parser.get_status_code()
        self._answers.append(self._answer)


@asynccontextmanager
async def raw_client(to: Daemon | str) -> AsyncGenerator[RawClient]:
    """A connection to the daemon, or to the host and port of a URL."""
    url = httpx.URL(to if isinstance(to, str) else to.url)
    assert url.port is not None
    stream = await trio.open_tcp_stream(url.host, url.port)
    try:
        yield RawClient(stream)
    finally:
        await trio.aclose_forcefully(stream)


def request(
    method: str,
    path: str,
    body: bytes | Mapping[str, Any] | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    version: str = "1.1",
) -> bytes:
    """A request's bytes. A `content-length` in `headers` is used as it is."""
    content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"host": "localhost"}
    if body is not None:
        fields |= {"content-type": "application/json", "content-length": str(len(content))}
    fields |= headers or {}
    lines = [f"{method} {path} HTTP/{version}", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join((*lines, "", "")).encode("latin-1") + content

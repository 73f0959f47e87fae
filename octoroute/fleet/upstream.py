"""The way to one model server: requests with its key, and httpx's errors in our own words."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from math import inf

import httpx

from octoroute.config import model as config
from octoroute.errors import Cause, UpstreamError
from octoroute.fleet.transport import Transport

RawHeaders = Sequence[tuple[bytes, bytes]]

NO_SIGN = frozenset({errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.ENETUNREACH})
"""What the system says where a machine does not even refuse."""


class UpstreamResponse:
    """A model server's answer: its head, and its body as the bytes of one read after another.

    Iterating raises UpstreamError where the body breaks off. `aclose` drops the connection of an answer that
    was not read to its end, which is what makes a model server stop generating.
    """

    __slots__ = ("_body", "_complete", "_response", "headers", "status")

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        assert isinstance(response.stream, httpx.AsyncByteStream)
        self._body = response.stream.__aiter__()
        self._complete = False
        self.status = response.status_code
        self.headers: RawHeaders = response.headers.raw

    def header(self, name: str) -> str | None:
        """A header's value, None where there is none."""
        value: str | None = self._response.headers.get(name)
        return value

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await self._body.__anext__()
        except StopAsyncIteration:
            self._complete = True
            raise
        except httpx.TransportError as error:
            raise _mapped(error) from error

    def give_back(self) -> Awaitable[None] | None:
        """What is left to do with the connection: close it, or nothing after an answer that was read to its end."""
        return None if self._complete else self._response.aclose()

    async def aclose(self) -> None:
        """Give the connection back, or close it."""
        await self._response.aclose()


class Upstream:
    """Sends requests to one model server over a transport of its own. Deadlines are the caller's."""

    def __init__(
        self,
        settings: config.Endpoint,
        *,
        connect_timeout: float,
        ssl_context: ssl.SSLContext | None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._transport = transport or Transport(ssl_context=ssl_context)
        self._base = httpx.URL(settings.base_url)
        self._chat = self._url("chat/completions")
        self._connect_timeout = connect_timeout
        self._extensions = {"timeout": {"connect": connect_timeout}}
        key = settings.api_key
        self._own_headers = [(b"host", self._base.netloc), (b"accept-encoding", b"identity")]
        if key is not None:
            self._own_headers.append((b"authorization", b"Bearer " + key.reveal().encode("latin-1")))

    def _url(self, path: str) -> httpx.URL:
        """`path`, which may have a query, below the base URL, or, with a leading slash, below its host."""
        base = b"" if path.startswith("/") else self._base.raw_path.rstrip(b"/") + b"/"
        return self._base.copy_with(raw_path=base + path.encode("ascii"))

    async def chat(self, body: bytes, headers: RawHeaders) -> UpstreamResponse:
        """Post a chat completion.

        Raises:
            UpstreamError: the server could not be reached, or what came was no HTTP.
        """
        return await self._send("POST", self._chat, headers, body, self._extensions)

    async def get(self, path: str, *, connect_within: float = inf) -> UpstreamResponse:
        """Get `path`, which is relative to the base URL (errors as in `chat`).

        With `connect_within` seconds, a server that can't be reached shows as such within a shorter deadline, too.
        """
        extensions = {"timeout": {"connect": min(self._connect_timeout, connect_within)}}
        return await self._send(
            "GET", self._url(path), [(b"accept", b"application/json, text/plain")], None, extensions
        )

    async def get_beside(self, path: str) -> UpstreamResponse:
        """Get `path` beside the OpenAI API: where that is at http://host/llama/v1, below http://host/llama."""
        root = self._base.raw_path.rstrip(b"/").removesuffix(b"/v1").decode("ascii")
        return await self.get(f"{root}/{path}")

    async def _send(
        self,
        method: str,
        url: httpx.URL,
        headers: RawHeaders,
        body: bytes | None,
        extensions: dict[str, dict[str, float]],
    ) -> UpstreamResponse:
        # With a stream given, httpx adds no headers of its own: working them out costs more than stating them.
        length = [] if body is None else [(b"content-length", b"%d" % len(body))]
        request = httpx.Request(
            method,
            url,
            headers=[*self._own_headers, *headers, *length],
            stream=httpx.ByteStream(body or b""),
            extensions=extensions,
        )
        try:
            return UpstreamResponse(await self._transport.handle_async_request(request))
        except httpx.TransportError as error:
            raise _mapped(error) from error

    async def aclose(self) -> None:
        """Close the idle connections."""
        await self._transport.aclose()


def _mapped(error: httpx.TransportError) -> UpstreamError:
    """httpx's error as one of ours: what went wrong, without what was sent."""
    text = str(error) or type(error).__name__
    cause: Cause
    match error:
        case httpx.ConnectTimeout():
            return UpstreamError("connect", "no connection in time", unreachable=True)
        case httpx.ConnectError():
            unreachable = all(_gave_no_sign(reason) for reason in _reasons(error))
            return UpstreamError("connect", text, unreachable=unreachable)
        case httpx.TimeoutException():
            cause = "timeout"
        case httpx.NetworkError():
            cause = "reset"
        case _:
            cause = "broken_answer"
    return UpstreamError(cause, text)


def _reasons(error: BaseException) -> Iterator[BaseException]:
    """What is at the end of the chain of causes, for each address that was tried."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _reasons(each)
    elif error.__cause__ is not None:
        yield from _reasons(error.__cause__)
    else:
        yield error


def _gave_no_sign(reason: BaseException) -> bool:
    """Whether a machine that sleeps would do the same. The name of one may not even be known: mDNS asks itself."""
    return isinstance(reason, socket.gaierror) or (isinstance(reason, OSError) and reason.errno in NO_SIGN)

"""The upstream HTTP/1.1 transport: trio streams, llhttp, and a keep-alive pool, behind httpx's own interface.

Why not httpcore: what it costs per chunk, and trap 14 (docs/development.md). What it gets right is held
against it in tests/fleet/test_transport_differential.py.
"""

from __future__ import annotations

import contextlib
import math
import os
import socket
import ssl
import sys
from collections import deque
from typing import TYPE_CHECKING

import httpx
import trio

from octoroute.fleet.wire import (
    IDLE_SECONDS,
    LAST_CHUNK,
    Connection,
    Origin,
    OutgoingRequest,
    ResponseParser,
    encode,
    encode_chunk,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

READ_BYTES = 64 * 1024  # of one receive, and so the largest item of a response's body
SEND_AT_ONCE_BYTES = 64 * 1024  # a larger body is sent while the response is already awaited

# A machine that loses its power says nothing: while an answer is awaited, only the system's own probes find out.
PROBE_AFTER_SECONDS = 15
PROBE_EVERY_SECONDS = 5
PROBES = 4
if sys.platform == "darwin":
    _KEEP_IDLE = socket.TCP_KEEPALIVE
else:
    _KEEP_IDLE = socket.TCP_KEEPIDLE

_BROKEN = (trio.BrokenResourceError, trio.ClosedResourceError, OSError)


class Exchange(httpx.AsyncByteStream):
    """One request and its response on one connection; as a stream it is the body of the response.

    Each item is the body bytes of one read. Nothing is read unless an item is asked for. A cancelled read
    loses nothing and may be tried again.

    Resource handling: the connection goes back to the transport as soon as the response is complete. Until
    then it belongs to the exchange, and any failure or `aclose` closes it.
    """

    def __init__(
        self, connection: Connection, request: httpx.Request, *, release: Callable[[Connection, bool], None]
    ) -> None:
        timeouts: Mapping[str, float | None] = request.extensions.get("timeout", {})
        self._write_seconds = _seconds(timeouts, "write")
        self._read_seconds = _seconds(timeouts, "read")
        self._release = release
        self._connection: Connection | None = connection
        self._send, self._send_now, self._receive = connection.send, connection.send_now, connection.receive
        self._request = request
        self._sent = False
        self._unsent: httpx.WriteError | None = None
        self._first = b""  # body bytes that came together with the head
        self.response = ResponseParser(head_only=request.method == "HEAD")

    async def start(self, outgoing: OutgoingRequest) -> None:
        """Send the request and wait for the head of its response."""
        succeeded = False
        try:
            if outgoing.body is None or len(outgoing.body) > SEND_AT_ONCE_BYTES:
                await self._send_while_reading(outgoing)
            else:
                # A server may answer early and close: a write error does not hide its response.
                with contextlib.suppress(httpx.WriteError):
                    await self._write(outgoing.head + outgoing.body)
                    self._sent = True
                try:
                    with _limit(self._read_seconds):
                        await self._read_head()
                except trio.TooSlowError:
                    raise httpx.ReadTimeout("no response in time") from None
            succeeded = True
        finally:
            if self.response.ended or not succeeded:
                self._let_go()

    async def _send_while_reading(self, outgoing: OutgoingRequest) -> None:
        """Send a large body and see an early response: without it, both sides could wait for each other."""
        failure: Exception | None = None

        async def send() -> None:
            nonlocal failure
            try:
                await self._send_parts(outgoing)
            except httpx.WriteError:
                pass  # the response may be there all the same
            except Exception as error:  # noqa: BLE001  # raised below, outside the nursery's exception group
                failure = error
                nursery.cancel_scope.cancel("the request cannot be sent")
            patience.deadline = trio.current_time() + self._read_seconds

        async with trio.open_nursery() as nursery:
            with trio.CancelScope() as patience:
                nursery.start_soon(send, name=f"send body to {self._request.url.host}")
                try:
                    await self._read_head()
                except httpx.RequestError as error:
                    failure = failure or error
            nursery.cancel_scope.cancel("the response has arrived, or none will")
        if not self.response.status:
            raise failure or httpx.ReadTimeout("no response in time")

    async def _send_parts(self, outgoing: OutgoingRequest) -> None:
        await self._write(outgoing.head)
        if outgoing.body is not None:
            await self._write(outgoing.body)
        else:
            assert isinstance(self._request.stream, httpx.AsyncByteStream)
            left = outgoing.length
            async for part in self._request.stream:
                left -= len(part)
                if left < 0 and not outgoing.chunked:
                    raise httpx.LocalProtocolError("too much data for declared Content-Length")
                if part:
                    await self._write(encode_chunk(part) if outgoing.chunked else part)
            if outgoing.chunked:
                await self._write(LAST_CHUNK)
            elif left:
                raise httpx.LocalProtocolError("too little data for declared Content-Length")
        self._sent = True

    async def _write(self, data: bytes) -> None:
        rest = self._send_now(data)
        if not rest:
            return  # whoever sends a request reads next
        try:
            with _limit(self._write_seconds):
                await self._send(rest)
        except trio.TooSlowError:
            raise httpx.WriteTimeout("the server does not take the request") from None
        except _BROKEN as error:
            self._unsent = httpx.WriteError(f"cannot send the request: {_cause(error)}")
            raise self._unsent from error

    async def _read_head(self) -> None:
        response = self.response
        while not response.status:
            if response.error is not None:
                if self._unsent is not None and not response.started:
                    raise self._unsent  # a reset is told once: after a write has seen it, it reads as a plain end
                raise httpx.RemoteProtocolError(response.error)
            try:
                data = await self._receive(READ_BYTES)
            except _BROKEN as error:
                raise httpx.ReadError(f"connection lost: {_cause(error)}") from error
            self._first = response.feed(data)

    def __aiter__(self) -> Exchange:
        return self

    async def __anext__(self) -> bytes:
        """Return the body bytes of the next read.

        Raises:
            httpx.RemoteProtocolError: the body is malformed, or ends too early.
            httpx.ReadError: the connection was lost.
            httpx.ReadTimeout: nothing came within the `read` timeout of the request.
            httpx.StreamClosed: the stream was closed, or has failed, before its end.

        """
        item, self._first = self._first, b""
        while not item:
            if self._connection is None:
                raise self._end()
            try:
                with _limit(self._read_seconds):
                    data = await self._receive(READ_BYTES)
            except trio.TooSlowError:
                self._let_go()
                raise httpx.ReadTimeout("no data in time", request=self._request) from None
            except _BROKEN as error:
                self._let_go()
                raise httpx.ReadError(f"connection lost: {_cause(error)}", request=self._request) from error
            item = self.response.feed(data)
            if self.response.ended:
                self._let_go()
        return item

    def _end(self) -> Exception:
        if self.response.error is not None:
            return httpx.RemoteProtocolError(self.response.error, request=self._request)
        return StopAsyncIteration() if self.response.complete else httpx.StreamClosed()

    async def aclose(self) -> None:
        """Close the connection at once unless the response was complete. Idempotent; never a checkpoint."""
        self._let_go()

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._release(connection, self._sent and self.response.complete and self.response.reusable)


class Transport(httpx.AsyncBaseTransport):
    """HTTP/1.1 to one endpoint, keeping its connections alive.

    It has no limit of its own on connections (admission is done elsewhere) and takes its deadlines from the
    caller's cancel scopes; `request.extensions["timeout"]` is honoured as far as it is not None: `connect`
    for address look-up, TCP and TLS together; `write` for each write; `read` from the end of the request to
    the head of its response, and for each item of the body.

    Args:
        ssl_context: for https. It offers HTTP/1.1 only from then on (ALPN). None: one with httpx's
            certificate bundle is made when first needed, which takes about 37 ms (trap 16).

    """

    def __init__(self, *, ssl_context: ssl.SSLContext | None = None) -> None:
        if ssl_context is not None:
            ssl_context.set_alpn_protocols(["http/1.1"])
        self._ssl_context = ssl_context
        self._idle: deque[Connection] = deque()  # the latest used on the right
        self._origin: Origin | None = None
        self._connecting = 0
        self._active = 0
        self._closed = False

    def __repr__(self) -> str:
        state = f"{self._connecting} connecting, {self._active} active, {len(self._idle)} idle"
        return f"<Transport {self._origin or '(unused)'}: {state}{', closed' if self._closed else ''}>"

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request, and return its response as soon as the head is there.

        A kept-alive connection that turns out to be dead before any byte of the response is not the
        endpoint's fault: the request is sent again, once, on a new connection. A body that can be sent only
        once (anything but bytes) never goes on a kept-alive connection.

        Raises:
            httpx.ConnectError, httpx.ConnectTimeout: no connection: address, TCP or TLS.
            httpx.WriteError, httpx.WriteTimeout: the server did not take the request, and gave no response.
            httpx.ReadError, httpx.ReadTimeout: the connection was lost, or silent, before a response.
            httpx.RemoteProtocolError: the server does not speak HTTP/1.1, or closed without a response.
            httpx.LocalProtocolError, httpx.UnsupportedProtocol: the request cannot be sent.

        """
        try:
            outgoing, origin = encode(request), _origin(request.url)
            self._origin = origin
            idle = self._take_idle(origin) if outgoing.body is not None else None
            if idle is not None:
                exchange = Exchange(idle, request, release=self._release)
                try:
                    await exchange.start(outgoing)
                except (httpx.NetworkError, httpx.RemoteProtocolError):
                    if exchange.response.started:
                        raise
                else:
                    return _response(exchange)
            fresh = await self._open(origin, request)
            exchange = Exchange(fresh, request, release=self._release)
            await exchange.start(outgoing)
            return _response(exchange)
        except httpx.RequestError as error:
            error.request = request
            raise

    async def aclose(self) -> None:
        """Close what is idle. What is in use is closed when its response ends; no connection is kept any more."""
        self._closed = True
        while self._idle:
            self._idle.pop().socket.close()

    async def connect(self, origin: Origin) -> Connection:
        """Connect to an origin. Tests may override it.

        Raises:
            httpx.ConnectError: the message names the cause.

        """
        try:
            stream = await trio.open_tcp_stream(origin.host, origin.port)
            _keep_probing(stream.socket)
            if origin.scheme == "http":
                return Connection(origin, stream, stream.socket)
            with contextlib.ExitStack() as undo:
                undo.callback(stream.socket.close)
                tls = trio.SSLStream(stream, self._tls(), server_hostname=origin.host, https_compatible=True)
                await tls.do_handshake()
                undo.pop_all()
            return Connection(origin, tls, stream.socket)
        except (*_BROKEN, UnicodeError) as error:  # UnicodeError: a name that no look-up takes
            raise httpx.ConnectError(f"cannot connect to {origin}: {_cause(error)}") from error

    def _tls(self) -> ssl.SSLContext:
        if self._ssl_context is None:
            self._ssl_context = httpx.create_ssl_context()
            self._ssl_context.set_alpn_protocols(["http/1.1"])
        return self._ssl_context

    async def _open(self, origin: Origin, request: httpx.Request) -> Connection:
        # Trap 14: the connection being made belongs to this call alone, so a cancel leaves nothing behind.
        self._connecting += 1
        try:
            with trio.fail_after(_seconds(request.extensions.get("timeout", {}), "connect")):
                connection = await self.connect(origin)
        except trio.TooSlowError:
            raise httpx.ConnectTimeout(f"cannot connect to {origin} in time") from None
        finally:
            self._connecting -= 1
        self._active += 1
        return connection

    def _take_idle(self, origin: Origin) -> Connection | None:
        now = trio.current_time()
        while self._idle:
            connection = self._idle.pop()
            if connection.origin == origin and connection.may_be_reused(now):
                self._active += 1
                return connection
            connection.socket.close()
        return None

    def _release(self, connection: Connection, reusable: bool) -> None:
        self._active -= 1
        if not reusable or self._closed:
            connection.socket.close()
            return
        now = connection.idle_since = trio.current_time()
        self._idle.append(connection)
        while now - self._idle[0].idle_since > IDLE_SECONDS:  # the least used ones are never taken
            self._idle.popleft().socket.close()


def _response(exchange: Exchange) -> httpx.Response:
    head = exchange.response
    return httpx.Response(
        head.status,
        headers=head.headers,
        stream=exchange,
        extensions={"http_version": head.version, "reason_phrase": head.reason},
    )


def _origin(url: httpx.URL) -> Origin:
    if url.scheme not in {"http", "https"} or not url.raw_host:
        raise httpx.UnsupportedProtocol(f"not an http:// or https:// URL with a host: {url.scheme}://")
    return Origin(url.scheme, url.raw_host.decode("ascii"), url.port or (80 if url.scheme == "http" else 443))


_NO_LIMIT = contextlib.nullcontext()


def _limit(seconds: float) -> contextlib.AbstractContextManager[object]:
    """A deadline, or nothing at all: a cancel scope costs, and most requests leave deadlines to the caller."""
    return _NO_LIMIT if seconds == math.inf else trio.fail_after(seconds)


def _keep_probing(connection: trio.socket.SocketType) -> None:
    """Have the system end a connection whose other side has gone without a word (tcp(7))."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, _KEEP_IDLE, PROBE_AFTER_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, PROBE_EVERY_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES)


def _seconds(timeouts: Mapping[str, float | None], name: str) -> float:
    value = timeouts.get(name)
    return math.inf if value is None else value


def _cause(error: BaseException) -> str:
    """Name what the operating system or TLS said, at the end of the chain of causes."""
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, BaseExceptionGroup):  # one for each address that was tried
        return "; ".join(dict.fromkeys(_cause(each) for each in error.exceptions))
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate: {error.verify_message}"
    if isinstance(error, OSError) and error.errno and not isinstance(error, ssl.SSLError | socket.gaierror):
        return os.strerror(error.errno)  # trio's own text repeats the address
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__

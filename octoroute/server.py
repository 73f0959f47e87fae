"""The listening side: sockets of our own, hypercorn's protocol on each connection, and a stop that ends.

hypercorn's own `serve` is not used, and its TCPServer is subclassed, for what a gateway needs of them: a
client that stops reading must block nobody (trap 3), a slow head must end, and draining must be ours.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import ssl
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from math import inf
from typing import Any

import h11
import msgspec
import trio
from hypercorn.config import Config as HypercornConfig
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.tcp_server import MAX_RECV, TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState
from hypercorn.utils import wrap_app
from quart_trio import QuartTrio

from octoroute.config.model import Server
from octoroute.errors import HeadTooLarge, InvalidRequest, RequestError, RequestTimeout, StartError
from octoroute.openai.errors import error_body
from octoroute.relay.headers import request_id
from octoroute.sockets import send_now
from octoroute.telemetry.logs import get_logger

log = get_logger("octoroute.server")

KEEP_ALIVE_SECONDS = 75.0
"""An idle connection is kept this long: longer than reverse proxies keep theirs (nginx: 60), so that they close first."""
HEAD_SECONDS = 15.0
"""A request's head must be complete this long after its first byte."""
MAX_HEAD_BYTES = 64 * 1024
BACKLOG = 1024


class _NoTask:
    """Takes the place of hypercorn's idle timer, a task started and stopped for every request."""

    async def restart(self, _group: object, _action: object) -> None:
        """The read loop's own deadline is the timer."""

    async def stop(self) -> None:
        """As above."""


class ClientConnection(TCPServer):
    """One client's TCP connection.

    Sends are not shielded, as hypercorn's are: one that is cut leaves half a message, so the connection is
    closed with it. That is what makes a stop, and a client that takes nothing, end at once.

    While `corked`, what is to be sent is kept for the next send: the head of an answer goes out with the
    first of its body, in one packet and one system call.
    """

    def __init__(
        self,
        app: QuartTrio,
        config: HypercornConfig,
        context: WorkerContext,
        stream: trio.SSLStream[trio.SocketStream],
        send_seconds: Callable[[], float],
    ) -> None:
        # ASGI's own way to tell an application about its connection.
        super().__init__(
            wrap_app(app, 0, "asgi"), config, context, ConnectionState({"connection": self}), stream
        )
        self.idle_task = _NoTask()  # type: ignore[assignment]  # has what is called of it
        self.corked = False
        self.on_disconnect: Callable[[], None] | None = None
        self._kept: list[bytes] = []
        self._send_seconds = send_seconds
        self._handshake = trio.CancelScope()
        self._reading = trio.CancelScope()
        self._idle = True
        self._head_deadline = inf

    async def run(self) -> None:
        """Serve the connection to its end."""
        if isinstance(self.stream, trio.SSLStream):
            self._handshake.deadline = trio.current_time() + HEAD_SECONDS
            if self.context.terminated.is_set():
                self._handshake.cancel("draining")
            with self._handshake:
                try:
                    await self.stream.do_handshake()
                except trio.BrokenResourceError:
                    return
            if self._handshake.cancelled_caught:
                return
        await super().run()

    async def protocol_send(self, event: Event) -> None:
        """Send what the protocol has to send; give up on a client that takes nothing for `send_seconds`."""
        match event:
            case RawData():
                await self._send(event.data)
            case Updated():
                self._idle = event.idle
                self._set_deadline()
            case _:
                await super().protocol_send(event)

    async def _send(self, data: bytes) -> None:
        if data:
            self._kept.append(data)
        if self.corked or not self._kept:
            return
        data = b"".join(self._kept)
        self._kept.clear()
        try:
            # Taking a free lock without a checkpoint saves a scheduler round for every chunk.
            try:
                self.send_lock.acquire_nowait()
            except trio.WouldBlock:
                await self.send_lock.acquire()
            try:
                late = await self._send_rest(send_now(self.stream, data))
            finally:
                self.send_lock.release()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            await self._lost()
            return
        except trio.Cancelled:
            await trio.aclose_forcefully(self.stream)
            raise
        if late:
            log.info("client took nothing", seconds=self._send_seconds())
            await self._lost()

    async def _send_rest(self, data: bytes) -> bool:
        """Send what the socket did not take at once; whether the client took too long."""
        if not data:
            return False
        with trio.move_on_after(self._send_seconds()) as scope:
            await self.stream.send_all(data)
        return scope.cancelled_caught

    async def _lost(self) -> None:
        # The reader may wait, with a pipelined request, for an answer that will never end.
        self._reading.cancel("connection lost")
        await trio.aclose_forcefully(self.stream)
        await self._tell_gone()

    async def _close(self) -> None:
        try:
            await super()._close()
        finally:
            self._reading.cancel("connection closed")  # as above

    async def _read_data(self) -> None:
        """As hypercorn's, with limits on idling and on how long a request's head may take."""
        http = self.protocol.protocol
        assert isinstance(http, H11Protocol)
        # Both are hypercorn's own, and it has no other place to say so (docs/development.md, "Upgrades").
        http._check_protocol = _stay_with_http_1  # type: ignore[assignment, method-assign]  # noqa: SLF001
        http._send_error_response = self._refuse_head  # type: ignore[method-assign]  # noqa: SLF001
        with self._reading:
            self._set_deadline()
            while True:
                try:
                    data = await self.stream.receive_some(MAX_RECV)
                except (trio.ClosedResourceError, trio.BrokenResourceError):
                    break
                if data == b"":
                    break
                await self.protocol.handle(RawData(bytes(data)))
                if self._idle:
                    self._set_deadline()
        if self._awaits_head() and trio.current_time() >= self._reading.deadline:
            await self._refuse_head(RequestTimeout.status)
        await self._tell_gone()

    async def _refuse_head(self, status_code: int) -> None:
        """Answer what is no request yet: hypercorn's own answers have no body."""
        await self._send(_refusal(status_code))

    async def _tell_gone(self) -> None:
        """The client is gone: first to know is the request that it waits for, then hypercorn."""
        if self.on_disconnect is not None:
            self.on_disconnect()
        await self.protocol.handle(Closed())

    def _set_deadline(self) -> None:
        """No limit while a request is served; a short one for a head that has begun; else as long as idling may be."""
        now = trio.current_time()
        in_head = self._idle and self._awaits_head()
        self._head_deadline = min(self._head_deadline, now + HEAD_SECONDS) if in_head else inf
        if not self._idle:
            self._reading.deadline = inf
        elif in_head:
            self._reading.deadline = self._head_deadline
        elif self.context.terminated.is_set():
            self._reading.deadline = now
        else:
            self._reading.deadline = now + KEEP_ALIVE_SECONDS

    def _awaits_head(self) -> bool:
        """Whether bytes of a head are here, and the rest of it is not."""
        protocol = self.protocol.protocol
        return (
            isinstance(protocol, H11Protocol)
            and protocol.stream is None
            and bool(protocol.connection.trailing_data[0])
        )

    def close_if_idle(self) -> None:
        """Draining has begun: what waits for a next request need not wait."""
        self._handshake.cancel("draining")
        if self._idle:
            self._reading.cancel("draining")


def _refusal(status: int) -> bytes:
    error: RequestError
    match status:
        case RequestTimeout.status:
            error = RequestTimeout(f"The request's head took longer than {HEAD_SECONDS:g} s.")
        case HeadTooLarge.status:
            error = HeadTooLarge(f"The request's head exceeds {MAX_HEAD_BYTES} bytes.")
        case _:
            error = InvalidRequest("This is no HTTP/1.1 request that Octoroute can read.")
    body = msgspec.json.encode({"error": error_body(error)})
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nconnection: close\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\nx-request-id: {request_id(None)}\r\n\r\n"
    )
    return head.encode() + body


async def _stay_with_http_1(_request: h11.Request) -> None:
    """Takes the place of hypercorn's switch to HTTP/2, which our limits and endings do not cover."""


def listen(settings: Server) -> list[socket.socket]:
    """Sockets that listen on `host` and `port`, one for each address that the host has.

    Raises:
        StartError: the address is taken, not ours, or unknown.
    """
    place = f"{settings.host}:{settings.port}"
    try:
        addresses = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise StartError(f"Can't listen on {place}: the host is not known ({error.strerror}).") from None
    sockets: list[socket.socket] = []
    absent: OSError | None = None
    for family, _, _, _, address in dict.fromkeys(addresses):
        try:
            sockets.append(_bound(socket.AddressFamily(family), address))
        except OSError as error:
            if error.errno in _ABSENT:  # "localhost" is ::1 too, also where there is no IPv6
                absent = error
                continue
            for opened in sockets:
                opened.close()
            raise StartError(f"Can't listen on {place}: {_bind_problem(error)}") from None
    if absent is not None and not sockets:
        raise StartError(f"Can't listen on {place}: {_bind_problem(absent)}")
    return sockets


_ABSENT = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


def _bound(family: socket.AddressFamily, address: tuple[Any, ...]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # "::" is every address, IPv4's too; systems differ in what they do unasked.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address[0] != "::"))
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def _bind_problem(error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return "another program uses that port; choose another one ([server] port), or stop it."
        case errno.EACCES:
            return "ports below 1024 want privileges; choose a higher one ([server] port)."
        case errno.EADDRNOTAVAIL | errno.EAFNOSUPPORT:
            return "this machine has no such address ([server] host)."
        case _:
            return f"{error.strerror or os.strerror(error.errno or 0)}."


def tls_context(settings: Server) -> ssl.SSLContext | None:
    """The server's certificate; None where it speaks plain HTTP.

    Raises:
        StartError: the files hold no certificate and its key.
    """
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise StartError(f"Can't use [server] tls_cert and tls_key: {error}.") from None
    return context


async def serve(
    app: QuartTrio,
    sockets: list[socket.socket],
    *,
    tls: ssl.SSLContext | None,
    send_seconds: Callable[[], float],
    drain: trio.Event,
    drain_seconds: Callable[[], float],
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until `drain` is set and every connection has ended, at most `drain_seconds` later.

    Draining closes the listening sockets and idle connections at once; running requests may finish. What is
    left at the end is cut.
    """
    context = WorkerContext(None)
    open_connections: set[ClientConnection] = set()
    config = _hypercorn_config()

    async def handle(stream: trio.SSLStream[trio.SocketStream]) -> None:
        connection = ClientConnection(app, config, context, stream, send_seconds)
        open_connections.add(connection)
        try:
            await connection.run()
        except Exception as error:  # whatever a connection ran into, the server goes on
            log.error("defect in a connection", exc_info=error)
        finally:
            open_connections.discard(connection)
            await trio.aclose_forcefully(stream)

    listeners: list[trio.SocketListener | trio.SSLListener[trio.SocketStream]] = []
    for listener in sockets:
        plain = trio.SocketListener(trio.socket.from_stdlib_socket(listener))
        listeners.append(plain if tls is None else trio.SSLListener(plain, tls, https_compatible=True))
    async with trio.open_nursery() as connections:
        async with trio.open_nursery() as accepting:
            accepting.start_soon(
                partial(trio.serve_listeners, handle, listeners, handler_nursery=connections), name="accept"
            )
            task_status.started()
            await drain.wait()
            accepting.cancel_scope.cancel("draining")
        for closing in listeners:
            await closing.aclose()
        await context.terminated.set()
        for connection in open_connections:
            connection.close_if_idle()
        connections.cancel_scope.deadline = trio.current_time() + drain_seconds()


def _hypercorn_config() -> HypercornConfig:
    config = HypercornConfig()
    config.accesslog = None  # we write our own line
    config.errorlog = logging.getLogger("hypercorn")
    config.include_server_header = False
    config.keep_alive_max_requests = 1_000_000
    config.h11_max_incomplete_size = MAX_HEAD_BYTES
    return config

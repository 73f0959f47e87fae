"""Scripted peers for the transport's tests: a raw TCP server, and a stream in memory."""

from __future__ import annotations

import contextlib
import functools
import re
import ssl
import struct
import subprocess
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import trio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable


class Peer:
    """The server's side of one connection."""

    def __init__(self, stream: trio.abc.Stream, socket: trio.socket.SocketType, number: int) -> None:
        self.stream = stream
        self.socket = socket
        self.number = number  # 1 for the server's first connection
        self._buffer = b""

    async def request(self) -> bytes:
        """One whole request, head and body; empty when the client has closed."""
        while b"\r\n\r\n" not in self._buffer:
            if not await self._more():
                return b""
        head, _, rest = self._buffer.partition(b"\r\n\r\n")
        if b"chunked" in head:
            while b"0\r\n\r\n" not in self._buffer:
                assert await self._more()
            request, self._buffer = self._buffer, b""
            return request
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        size = int(length[1]) if length else 0
        while len(rest) < size:
            if not await self._more():
                return b""
            rest = self._buffer[len(head) + 4 :]
        self._buffer = rest[size:]
        return head + b"\r\n\r\n" + rest[:size]

    async def _more(self) -> bool:
        data = await self.stream.receive_some(65536)
        self._buffer += data
        return bool(data)

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def drip(self, data: bytes) -> None:
        for index in range(len(data)):
            await self.stream.send_all(data[index : index + 1])
            await trio.lowlevel.checkpoint()

    async def closed(self) -> None:
        """Wait until the client has closed."""
        with contextlib.suppress(trio.BrokenResourceError):
            while await self.stream.receive_some(65536):
                pass

    def reset(self) -> None:
        self.socket.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


@dataclass
class Server:
    port: int
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)  # for the scripts to fill


@asynccontextmanager
async def raw_server(
    script: Callable[[Server, Peer], Awaitable[None]],
    *,
    host: str = "127.0.0.1",
    ssl_context: ssl.SSLContext | None = None,
) -> AsyncIterator[Server]:
    """Run `script` for each connection; a connection is closed when its script returns."""
    listeners = await trio.open_tcp_listeners(0, host=host)
    server = Server(listeners[0].socket.getsockname()[1])

    async def handle(tcp: trio.SocketStream) -> None:
        server.connections += 1
        stream: trio.abc.Stream = tcp
        if ssl_context is not None:
            stream = trio.SSLStream(tcp, ssl_context, server_side=True, https_compatible=True)
        try:
            with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError, OSError):
                await script(server, Peer(stream, tcp.socket, server.connections))
        finally:
            tcp.socket.close()

    async with trio.open_nursery() as nursery:
        await nursery.start(trio.serve_listeners, handle, listeners)
        yield server
        nursery.cancel_scope.cancel("the test is over")


class MemoryStream(trio.abc.Stream):
    """A connection that gives the pieces one read each, then `at_end`. It is its own socket."""

    def __init__(self, pieces: Iterable[bytes] = (), *, at_end: str = "eof") -> None:
        self.pieces = list(pieces)
        self.at_end = at_end  # or "hang", or "reset"
        self.sent = b""
        self.is_closed = False
        self.reads = 0
        self.send_hangs = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()
        if self.send_hangs:
            await trio.sleep_forever()
        self.sent += data

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        self.reads += 1
        if self.pieces:
            return self.pieces.pop(0)
        if self.at_end == "hang":
            await trio.sleep_forever()
        if self.at_end == "reset":
            raise trio.BrokenResourceError from ConnectionResetError(104, "Connection reset by peer")
        return b""

    async def aclose(self) -> None:
        self.close()
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        self.is_closed = True

    def is_readable(self) -> bool:
        return bool(self.pieces) or self.is_closed


class Tls(NamedTuple):
    server: ssl.SSLContext  # for localhost, 127.0.0.1 and ::1
    other: ssl.SSLContext  # for other.test
    client: ssl.SSLContext  # trusts both
    stranger: ssl.SSLContext  # trusts neither


@functools.cache
def tls() -> Tls:
    """Contexts with certificates that are their own authorities, made by the openssl command."""

    def server(name: str, *subjects: str) -> ssl.SSLContext:
        key, certificate = folder / f"{name}.key", folder / f"{name}.pem"
        options = [
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "30",
        ]
        options += ["-subj", f"/CN={name}", "-addext", f"subjectAltName={','.join(subjects)}"]
        files = ["-keyout", str(key), "-out", str(certificate)]
        subprocess.run(["openssl", *options, *files], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        context.set_alpn_protocols(["h2", "http/1.1"])
        client.load_verify_locations(certificate)
        return context

    client, stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        good = server("localhost", "DNS:localhost", "IP:127.0.0.1", "IP:::1")
        return Tls(good, server("other.test", "DNS:other.test"), client, stranger)

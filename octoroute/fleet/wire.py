"""HTTP/1.1 on the wire: a connection, a request as bytes, and bytes as a response. Nothing here waits."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

import httptools
import httpx
import trio

from octoroute.sockets import send_now

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable

IDLE_SECONDS = 60.0  # an idle connection older than this is not used again; most servers close theirs earlier

# Status lines and fields of one response (1xx responses in front and trailers included), counted as HTTP/2
# counts them: name + value + 32, so that many small fields are bounded too (about 1500). h11 allows 100 KiB.
MAX_HEAD_BYTES = 64 * 1024
_FIELD_OVERHEAD = 32
# What may arrive with no byte of body in it: bounds a single endless field, trailer or chunk extension.
_MAX_BARREN_BYTES = 2 * MAX_HEAD_BYTES

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TARGET = re.compile(rb"[\x21-\x7e]+")
_NOT_IN_VALUE = re.compile(rb"[\x00\r\n]")  # anything else is the server's to judge


class Origin(NamedTuple):
    """Where a connection leads."""

    scheme: str
    host: str  # ASCII; an IPv6 address without its brackets
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


class Socket(Protocol):
    """What keep-alive asks of the socket under a connection."""

    def is_readable(self) -> bool:
        """Tell whether a receive would not block: an idle connection was closed, or is out of step."""

    def close(self) -> None:
        """Close at once, without a goodbye and without a checkpoint."""


class Connection:
    """One connection to an origin.

    Args:
        origin: where it leads.
        stream: carries the bytes.
        socket: the socket under `stream`.

    """

    def __init__(self, origin: Origin, stream: trio.abc.Stream, socket: Socket) -> None:
        self.origin = origin
        self.socket = socket
        self.idle_since = math.inf
        self.send: Callable[[bytes], Awaitable[None]] = stream.send_all
        self.send_now = partial(send_now, stream)
        self.receive: Callable[[int], Awaitable[bytes | bytearray]] = stream.receive_some
        self._incoming: ssl.MemoryBIO | None = None
        if isinstance(stream, trio.SocketStream):
            self.receive = stream.socket.recv  # the same without 1 µs of error translation per chunk
        elif isinstance(stream, trio.SSLStream):
            self._incoming = stream._incoming  # noqa: SLF001  # read from the socket, not yet decrypted

    def may_be_reused(self, now: float) -> bool:
        """Tell whether an idle connection is young, still open and in step."""
        return (
            now - self.idle_since <= IDLE_SECONDS
            and not (self._incoming and self._incoming.pending)
            and not self.socket.is_readable()
        )


@dataclass(frozen=True, slots=True)
class OutgoingRequest:
    """A request, ready to be sent."""

    head: bytes
    body: (
        bytes | None
    )  # in its final framing; None: it comes from `request.stream`, and can be sent only once
    chunked: bool
    length: int  # bytes of body that the head promises, unless chunked


def encode(request: httpx.Request) -> OutgoingRequest:
    """Encode a request, with its body where that is at hand (`httpx.ByteStream`).

    Raises:
        httpx.LocalProtocolError: the request cannot be written as HTTP/1.1: a line break or NUL in a field,
            no Host, two ways of framing its body, or a body that is not as long as Content-Length says.

    """
    method, target = request.method.encode("latin-1", "replace"), request.url.raw_path
    if not _TOKEN.fullmatch(method) or not _TARGET.fullmatch(target):
        raise httpx.LocalProtocolError("illegal method or target")
    lines = [b"%b %b HTTP/1.1" % (method, target)]
    hosts, length, chunked = 0, None, False
    for name, value in request.headers.raw:
        if not _TOKEN.fullmatch(name):
            raise httpx.LocalProtocolError(f"illegal header name: {name!r}")
        if _NOT_IN_VALUE.search(value):
            raise httpx.LocalProtocolError(f"illegal value of the header {name!r}")  # it may be a secret
        lines.append(b"%b: %b" % (name, value))
        match name.lower():
            case b"host":
                hosts += 1
            case b"content-length":
                if length is not None or not value.isdigit():
                    raise httpx.LocalProtocolError("bad Content-Length")
                length = int(value)
            case b"transfer-encoding":
                if chunked or value.lower() != b"chunked":
                    raise httpx.LocalProtocolError("only Transfer-Encoding: chunked is supported")
                chunked = True
    if hosts != 1:
        raise httpx.LocalProtocolError(f"one Host header is needed, not {hosts}")
    if chunked and length is not None:
        raise httpx.LocalProtocolError("Content-Length and Transfer-Encoding exclude each other")
    body = b"".join(request.stream) if isinstance(request.stream, httpx.ByteStream) else None
    if body is not None:
        if chunked:
            body = (encode_chunk(body) if body else b"") + LAST_CHUNK
        elif len(body) != (length or 0):
            raise httpx.LocalProtocolError(f"a body of {len(body)} bytes for Content-Length: {length or 0}")
    return OutgoingRequest(b"\r\n".join([*lines, b"\r\n"]), body, chunked, length or 0)


def encode_chunk(data: bytes) -> bytes:
    """Frame non-empty `data` as one chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"


class ResponseParser:
    """One response, fed as it arrives. It skips the 1xx responses in front, and drops trailers.

    Invariant: `status` is 0 until the final head is complete; then the head does not change any more.
    `ended` is set together with either `complete` or `error`, and `feed` is not called after it.
    """

    def __init__(self, *, head_only: bool = False) -> None:
        """With `head_only` (the answer to a HEAD request) there is no body, whatever the head says."""
        self.status = 0
        self.reason = b""
        self.version = b""
        self.headers: list[tuple[bytes, bytes]] = []  # as received: order, case, duplicates
        self.started = False  # some byte of the response has arrived
        self.ended = False
        self.complete = False
        self.reusable = False  # the connection may carry another request
        self.error: str | None = None  # what the server did wrong
        self._head_only = head_only
        self._until_eof = False
        self._head_bytes = 0
        self._barren_bytes = 0
        self._body: list[bytes] = []
        self.on_body = self._body.append  # called by the parser: no Python frame per fragment
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes | bytearray) -> bytes:
        """Take what one read gave (`b""`: the end of the stream), and return the body bytes in it.

        A fault sets `error`; what was sound before it is returned all the same.
        """
        if not data:
            self._end_of_stream()
            return b""
        self.started = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            refusal = error.__context__
            self._fail(str(refusal) if isinstance(refusal, _RefusedError) else f"malformed response: {error}")
        if self.ended:
            del self._parser  # it refers to us: spare the garbage collector the cycle
            if self._head_only and self._body:
                self.reusable = False
                self._body.clear()
        if not self._body:
            self._barren_bytes += len(data)
            if self._barren_bytes > _MAX_BARREN_BYTES and not self.ended:
                self._fail("response head, trailers or chunk extensions too large")
            return b""
        self._barren_bytes = 0
        body = b"".join(self._body)
        self._body.clear()
        return body

    def _end_of_stream(self) -> None:
        self.reusable = False
        if self._until_eof:
            self.complete = self.ended = True
        elif not self.started:
            self._fail("server disconnected without sending a response")
        elif not self.status:
            self._fail("peer closed connection in the middle of the response head")
        else:
            self._fail("peer closed connection without sending complete message body")

    def _fail(self, error: str) -> None:
        self.reusable = False
        if not self.complete:  # otherwise only what follows the response is at fault
            self.error = error
            self.ended = True

    # What llhttp calls. An exception stops it for good; any of ours reaches `feed` as the error's context.

    def on_message_begin(self) -> None:
        if self.complete:
            raise _RefusedError("data after the response")

    def on_status(self, reason: bytes) -> None:
        self.reason += reason
        self._count(len(reason))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + _FIELD_OVERHEAD)
        if not self.status:  # otherwise a trailer
            self.headers.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            if status < 100 or status == 101:
                raise _RefusedError(f"unexpected status {status}")
            self.reason = b""
            self.headers.clear()
            return
        self._check_framing()
        self._body.clear()  # of a 1xx response that had one
        self.version = b"HTTP/" + self._parser.get_http_version().encode()
        self.reusable = self._parser.should_keep_alive()  # llhttp forgets it when the message is complete
        self.status = status
        if self._head_only:
            self.complete = self.ended = True

    def on_message_complete(self) -> None:
        if self.status:
            self.complete = self.ended = True

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES:
            raise _RefusedError("response head or trailers too large")

    def _check_framing(self) -> None:
        """Refuse the codings that llhttp would pass through as a body, and note who ends the body."""
        framed = False
        for name, value in self.headers:
            match name.lower():
                case b"content-length":
                    framed = True
                case b"transfer-encoding":
                    if framed or value.lower() != b"chunked":
                        raise _RefusedError("only Transfer-Encoding: chunked is supported")
                    framed = True
        self._until_eof = not framed


class _RefusedError(Exception):
    """The server broke a rule that llhttp leaves to us."""

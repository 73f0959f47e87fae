"""Our transport against httpx's own (httpcore, h11), over scripted raw servers, good and bad.

Each case is run against both. They must agree on status, headers, version, reason and body, or on the class of
the exception and whether it came before or after the head; but for the cases in `DEVIATIONS`.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import h11
import httpx
import pytest
import trio

from octoroute.fleet.transport import Transport
from tests.fleet.raw_server import Peer, Server, raw_server, tls

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
SHORT = OK + b"Content-Length: 5\r\n\r\nhello"
LARGE = b"x" * 3_000_000  # more than what the sockets' buffers take


@dataclass
class Case:
    script: Callable[[Server, Peer], Awaitable[None]]
    method: str = "POST"
    content: Any = b"{}"
    headers: dict[str, str] | list[tuple[bytes, bytes]] = field(default_factory=dict)
    times: int = 1  # requests, one after another, on one transport
    scheme: str = "http"
    host: str = "127.0.0.1"
    server_tls: str | None = None
    client_tls: str = "client"
    timeout: dict[str, float | None] = field(default_factory=dict)
    any_loss: bool = False  # how the loss shows up depends on the kernel's timing


def reply(*parts: bytes, then: str = "close", **options: Any) -> Case:
    """Answer each request with these bytes; then close, reset, or wait for the next request."""

    async def script(server: Server, peer: Peer) -> None:
        while await peer.request():
            for part in parts:
                await peer.send(part)
            if then == "reset":
                await trio.sleep(0.02)  # a reset may overtake the data
                peer.reset()
            if then != "keep":
                return

    return Case(script, **options)


def drip(data: bytes) -> Case:
    async def script(server: Server, peer: Peer) -> None:
        while await peer.request():
            await peer.drip(data)

    return Case(script, times=2)


async def eof_at_once(server: Server, peer: Peer) -> None:
    peer.socket.shutdown(socket.SHUT_WR)
    await peer.closed()


async def reset_at_once(server: Server, peer: Peer) -> None:
    await trio.lowlevel.checkpoint()
    peer.reset()


async def eof_after_request(server: Server, peer: Peer) -> None:
    await peer.request()


async def reset_after_request(server: Server, peer: Peer) -> None:
    await peer.request()
    peer.reset()


async def speaks_first(server: Server, peer: Peer) -> None:
    await peer.send(b"SSH-2.0-OpenSSH_9.6\r\n")
    await peer.stream.receive_some(1000)


async def silent(server: Server, peer: Peer) -> None:
    await peer.closed()


async def deaf(server: Server, peer: Peer) -> None:
    await trio.sleep_forever()


async def silent_in_the_body(server: Server, peer: Peer) -> None:
    await peer.request()
    await peer.send(OK + b"Content-Length: 50\r\n\r\nhello")
    await peer.closed()


async def closes_while_idle(server: Server, peer: Peer) -> None:
    await peer.request()
    await peer.send(SHORT)


async def resets_while_idle(server: Server, peer: Peer) -> None:
    await peer.request()
    await peer.send(SHORT)
    await trio.sleep(0.02)
    peer.reset()


async def closes_on_the_second_request(server: Server, peer: Peer) -> None:
    await peer.request()
    await peer.send(SHORT)
    await peer.request()


async def resets_on_the_second_request(server: Server, peer: Peer) -> None:
    await closes_on_the_second_request(server, peer)
    peer.reset()


async def refuses_an_upload_and_reads_it(server: Server, peer: Peer) -> None:
    await peer.stream.receive_some(1000)
    await peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
    await peer.closed()


async def refuses_an_upload_and_closes(server: Server, peer: Peer) -> None:
    await peer.stream.receive_some(1000)
    await peer.send(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno")
    await trio.sleep(0.1)
    peer.reset()


async def resets_after_the_first_bytes(server: Server, peer: Peer) -> None:
    await peer.stream.receive_some(1000)
    peer.reset()


async def counts_the_upload(server: Server, peer: Peer) -> None:
    while request := await peer.request():
        length = b"%d" % len(request.partition(b"\r\n\r\n")[2])
        await peer.send(OK + b"Content-Length: %d\r\n\r\n%b" % (len(length), length))


async def pipelines(server: Server, peer: Peer) -> None:
    """Each response is followed at once by one that nobody asked for."""
    while await peer.request():
        await peer.send(SHORT + OK + b"Content-Length: 5\r\n\r\nwrong")


class Parts:
    """A body that can be sent once. No generator: nothing to close when it is left early."""

    def __init__(self) -> None:
        self.left = [b"one", b"", b"two", b"three" * 1000]

    def __aiter__(self) -> Parts:
        return self

    async def __anext__(self) -> bytes:
        if not self.left:
            raise StopAsyncIteration
        return self.left.pop(0)


def refused_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
        return port


def fields(count: int, size: int) -> bytes:
    return b"".join(b"X-%04d: %b\r\n" % (index, b"v" * size) for index in range(count))


CASES: dict[str, Case] = {
    # Good servers
    "content length": reply(SHORT, then="keep", times=3),
    "empty body": reply(OK + b"Content-Length: 0\r\n\r\n", then="keep", times=2),
    "megabyte": reply(OK + b"Content-Length: 1000000\r\n\r\n" + b"y" * 1_000_000, then="keep", times=2),
    "chunked": reply(CHUNKED + b"5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", then="keep", times=2),
    "chunked, empty": reply(CHUNKED + b"0\r\n\r\n", then="keep", times=2),
    "chunked, one large chunk": reply(CHUNKED + b"30D40\r\n" + b"z" * 200_000 + b"\r\n0\r\n\r\n"),
    "chunk extensions": reply(CHUNKED + b"2;a\r\nhi\r\n2;a=b;c=d\r\nhi\r\n0;z\r\n\r\n"),
    "quoted chunk extension": reply(CHUNKED + b'2;a="b c"\r\nhi\r\n0\r\n\r\n'),
    "trailers": reply(CHUNKED + b"2\r\nhi\r\n0\r\nX-Sum: 1\r\nX-Late: 2\r\n\r\n", then="keep", times=2),
    "uppercase CHUNKED": reply(OK + b"TRANSFER-ENCODING: CHUNKED\r\n\r\n2\r\nhi\r\n0\r\n\r\n"),
    "chunk size with zeros and capitals": reply(CHUNKED + b"000A\r\n0123456789\r\n000\r\n\r\n"),
    "close-delimited": reply(OK + b"\r\n", b"hello"),
    "close-delimited, empty": reply(OK + b"\r\n"),
    "HTTP/1.0": reply(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", times=2),
    "HTTP/1.0 close-delimited": reply(b"HTTP/1.0 200 OK\r\n\r\nhi", times=2),
    "HTTP/1.0 keep-alive": reply(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi"),
    "Connection: close": reply(OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nhi", times=2),
    "Connection: Close among others": reply(
        OK + b"Connection: x, Close\r\nContent-Length: 2\r\n\r\nhi", times=2
    ),
    "204": reply(b"HTTP/1.1 204 No Content\r\n\r\n", then="keep", times=2),
    "204 with framing": reply(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", then="keep", times=2),
    "304 with a length": reply(
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", then="keep", times=2
    ),
    "HEAD with a length": reply(
        OK + b"Content-Length: 7\r\n\r\n", then="keep", times=2, method="HEAD", content=None
    ),
    "HEAD chunked": reply(CHUNKED, then="keep", times=2, method="HEAD", content=None),
    "HEAD without framing": reply(OK + b"\r\n", then="keep", times=2, method="HEAD", content=None),
    "100 Continue": reply(b"HTTP/1.1 100 Continue\r\n\r\n" + SHORT, then="keep", times=2),
    "100 in a read of its own": reply(b"HTTP/1.1 100 Continue\r\nA: b\r\n\r\n", SHORT, then="keep", times=2),
    "102 and 103": reply(b"HTTP/1.1 102 P\r\n\r\nHTTP/1.1 103 E\r\nLink: </a>\r\n\r\n" + SHORT),
    "unknown 1xx": reply(b"HTTP/1.1 104 Upload\r\nUpload-Offset: 1\r\n\r\n" + SHORT, then="keep", times=2),
    "no reason": reply(b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi"),
    "empty reason": reply(b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nhi"),
    "non-ASCII reason": reply(b"HTTP/1.1 200 d\xe9j\xc3\xa0 vu\r\nContent-Length: 2\r\n\r\nhi"),
    "status 299": reply(b"HTTP/1.1 299 Odd\r\nContent-Length: 2\r\n\r\nhi"),
    "status 503": reply(
        b"HTTP/1.1 503 Loading\r\nRetry-After: 1\r\nContent-Length: 2\r\n\r\nhi", then="keep"
    ),
    "status 999": reply(b"HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\nhi"),
    "non-ASCII header values": reply(OK + b"X: \xff\xe9\r\nY: \xc3\xa9\r\nContent-Length: 2\r\n\r\nhi"),
    "headers repeated, in any case": reply(OK + b"a: 1\r\nB: 2\r\nA: 3\r\ncontent-LENGTH: 2\r\n\r\nhi"),
    "empty header values": reply(OK + b"X:\r\nY: \r\nContent-Length: 2\r\nZ:\r\n\r\nhi"),
    "blanks around header values": reply(OK + b"X:\t a b \t\r\nContent-Length:  2 \r\n\r\nhi"),
    "200 with Upgrade": reply(OK + b"Upgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\nhi"),
    "many headers": reply(OK + fields(100, 20) + b"Content-Length: 2\r\n\r\nhi"),
    "head of 60 KB": reply(OK + fields(30, 2000) + b"Content-Length: 2\r\n\r\nhi"),
    "one byte at a time": drip(SHORT),
    "one byte at a time, chunked": drip(CHUNKED + b"5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nT: u\r\n\r\n"),
    "one byte at a time, 1xx": drip(b"HTTP/1.1 100 Continue\r\n\r\n" + SHORT),
    "reset after a complete response": reply(SHORT, then="reset"),
    "closes while idle": Case(closes_while_idle, times=3),
    "resets while idle": Case(resets_while_idle, times=3),
    "closes on the second request": Case(closes_on_the_second_request, times=3),
    "resets on the second request": Case(resets_on_the_second_request, times=3),
    "answers pipelined nobody asked for": Case(pipelines, times=3),
    "upload": Case(counts_the_upload, content=LARGE, times=2),
    "upload of 64 KiB": Case(counts_the_upload, content=b"x" * 65536, times=2),
    "upload refused, and read": Case(refuses_an_upload_and_reads_it, content=LARGE),
    "upload refused, then reset": Case(refuses_an_upload_and_closes, content=LARGE),
    "streamed upload": Case(counts_the_upload, content="parts", headers={"Content-Length": "5006"}, times=2),
    "chunked upload": Case(counts_the_upload, content="parts", times=2),
    "GET": reply(SHORT, then="keep", times=2, method="GET", content=None),
    "unusual method": reply(SHORT, method="QUERY"),
    # Bad servers
    "connection refused": Case(silent, host="refused"),
    "reset at once": Case(reset_at_once, any_loss=True),
    "EOF at once": Case(eof_at_once),
    "EOF after the request": Case(eof_after_request),
    "reset after the request": Case(reset_after_request),
    "reset during an upload": Case(resets_after_the_first_bytes, content=LARGE, any_loss=True),
    "EOF in the status line": reply(b"HTTP/1.1 20"),
    "EOF in the head": reply(OK + b"Content-Length: 5\r\n"),
    "reset in the head": reply(OK + b"Content-Length: 5\r\n", then="reset"),
    "only a 1xx": reply(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "garbage": reply(bytes(range(256)) * 4),
    "another protocol": Case(speaks_first),
    "HTTP/0.9": reply(b"<html>hello</html>\r\n\r\n"),
    "status of two digits": reply(b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nhi"),
    "status of four digits": reply(b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nhi"),
    "status 099": reply(b"HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nhi"),
    "lowercase http": reply(b"http/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
    "two blanks in the status line": reply(b"HTTP/1.1  200 OK\r\nContent-Length: 2\r\n\r\nhi"),
    "head of 200 KB, many fields": reply(OK + fields(100, 2000) + b"Content-Length: 2\r\n\r\nhi"),
    "head of 200 KB, one field": reply(OK + fields(1, 200_000) + b"Content-Length: 2\r\n\r\nhi"),
    "endless reason": reply(b"HTTP/1.1 200 " + b"O" * 200_000),
    "blank before the colon": reply(OK + b"Content-Length : 2\r\n\r\nhi"),
    "blank in a header name": reply(OK + b"X Y: 2\r\nContent-Length: 2\r\n\r\nhi"),
    "no colon": reply(OK + b"hello\r\nContent-Length: 2\r\n\r\nhi"),
    "empty header name": reply(OK + b": x\r\nContent-Length: 2\r\n\r\nhi"),
    "NUL in a header value": reply(OK + b"X: a\0b\r\nContent-Length: 2\r\n\r\nhi"),
    "bare CR in a header value": reply(OK + b"X: a\rb\r\nContent-Length: 2\r\n\r\nhi"),
    "truncated": reply(OK + b"Content-Length: 50\r\n\r\nhello"),
    "truncated to nothing": reply(OK + b"Content-Length: 50\r\n\r\n"),
    "truncated by a reset": reply(OK + b"Content-Length: 50\r\n\r\nhello", then="reset"),
    "close-delimited, ended by a reset": reply(OK + b"\r\nhello", then="reset"),
    "chunked, truncated in a chunk": reply(CHUNKED + b"5\r\nhel"),
    "chunked, truncated between chunks": reply(CHUNKED + b"5\r\nhello\r\n"),
    "chunked, truncated before its last line": reply(CHUNKED + b"5\r\nhello\r\n0\r\n"),
    "chunked, truncated by a reset": reply(CHUNKED + b"5\r\nhello\r\n", then="reset"),
    "chunk size no number": reply(CHUNKED + b"5\r\nhello\r\nxyz\r\nhello\r\n0\r\n\r\n"),
    "chunk size negative": reply(CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n"),
    "chunk size 0x5": reply(CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n"),
    "chunk size overflows": reply(CHUNKED + b"fffffffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
    "chunk longer than its size": reply(CHUNKED + b"2\r\nhello\r\n0\r\n\r\n"),
    "trailer no field": reply(CHUNKED + b"2\r\nhi\r\n0\r\nhello\r\n\r\n"),
    "two different lengths": reply(OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi!"),
    "length negative": reply(OK + b"Content-Length: -2\r\n\r\nhi"),
    "length +2": reply(OK + b"Content-Length: +2\r\n\r\nhi"),
    "length no number": reply(OK + b"Content-Length: two\r\n\r\nhi"),
    "length empty": reply(OK + b"Content-Length:\r\n\r\nhi"),
    "length overflows": reply(OK + b"Content-Length: 99999999999999999999\r\n\r\nhi"),
    "unknown transfer coding": reply(OK + b"Transfer-Encoding: gzip\r\n\r\nhi"),
    "two transfer codings": reply(OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"),
    "chunked twice": reply(OK + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n2\r\nhi\r\n0\r\n\r\n"),
    # Where llhttp and h11 differ, or we and httpcore
    "equal lengths": reply(OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi"),
    "length and chunked": reply(OK + b"Content-Length: 2\r\n" + CHUNKED[len(OK) :] + b"2\r\nhi\r\n0\r\n\r\n"),
    "line feeds only": reply(b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi"),
    "folded header": reply(OK + b"X: a\r\n b\r\nContent-Length: 2\r\n\r\nhi"),
    "blank after the chunk size": reply(CHUNKED + b"2 \r\nhi\r\n0\r\n\r\n"),
    "control character in a header value": reply(OK + b"X: a\x01b\r\nContent-Length: 2\r\n\r\nhi"),
    "HTTP/1.2": reply(b"HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
    "line break before the status line": reply(b"\r\n" + SHORT),
    "length in a trailer": reply(CHUNKED + b"2\r\nhi\r\n0\r\nContent-Length: 9\r\n\r\n"),
    "101": reply(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"),
    # Requests that cannot be sent
    "line break in a header": reply(SHORT, headers=[(b"X", b"a\r\nY: b")]),
    "NUL in a header": reply(SHORT, headers=[(b"X", b"a\0")]),
    "illegal header name": reply(SHORT, headers=[(b"X Y", b"a")]),
    "illegal method": reply(SHORT, method="GET /\r\nX:"),
    "body longer than its length": reply(SHORT, headers={"Content-Length": "1"}),
    "body shorter than its length": reply(SHORT, headers={"Content-Length": "10"}),
    "streamed body longer than its length": Case(
        counts_the_upload, content="parts", headers={"Content-Length": "7"}
    ),
    "streamed body shorter": Case(counts_the_upload, content="parts", headers={"Content-Length": "9999"}),
    "unknown scheme": reply(SHORT, scheme="ftp"),
    # Timeouts
    "read timeout": Case(silent, timeout={"read": 0.05}),
    "read timeout after an upload": Case(silent, content=LARGE, timeout={"read": 0.05}),
    "read timeout in the body": Case(silent_in_the_body, timeout={"read": 0.05}),
    "write timeout": Case(deaf, content=LARGE * 3, timeout={"write": 0.05}),
    "TLS handshake timeout": Case(silent, scheme="https", timeout={"connect": 0.05}),
    # TLS
    "TLS": reply(SHORT, then="keep", times=3, scheme="https", host="localhost", server_tls="server"),
    "TLS, by address": reply(SHORT, then="keep", scheme="https", server_tls="server"),
    "TLS, close-delimited": reply(OK + b"\r\nhello", scheme="https", server_tls="server"),
    "TLS, truncated": reply(OK + b"Content-Length: 9\r\n\r\nhi", scheme="https", server_tls="server"),
    "TLS, closes while idle": Case(closes_while_idle, times=3, scheme="https", server_tls="server"),
    "TLS, upload": Case(counts_the_upload, content=LARGE, times=2, scheme="https", server_tls="server"),
    "TLS, wrong name": reply(SHORT, scheme="https", server_tls="other"),
    "TLS, untrusted": reply(SHORT, scheme="https", server_tls="server", client_tls="stranger"),
    "TLS, EOF after the request": Case(eof_after_request, scheme="https", server_tls="server"),
    "https to a plain server": Case(speaks_first, scheme="https"),
    "https, EOF in the handshake": Case(eof_at_once, scheme="https"),
    "https, reset in the handshake": Case(resets_after_the_first_bytes, scheme="https", any_loss=True),
    "http to a TLS server": Case(silent, server_tls="server", any_loss=True),
}

# How the last request ends with us, and why that is safer than httpcore or equal to it. Each entry differs from
# httpcore; one that no longer does fails, and is to be taken out.
DEVIATIONS: dict[str, tuple[bytes | str, str]] = {
    "closes on the second request": (b"hello", "stale keep-alive: sent again without blame; httpcore raises"),
    "resets on the second request": (b"hello", "stale keep-alive: sent again without blame; httpcore raises"),
    "answers pipelined nobody asked for": (b"hello", "httpcore gives the stray answer to the next request"),
    "uppercase CHUNKED": (b"hi", "our headers are as received; h11 makes this value lower case"),
    "length overflows": (
        "RemoteProtocolError",
        "refused at once; httpcore waits for 99999999999999999999 bytes",
    ),
    "equal lengths": ("RemoteProtocolError", "allowed to refuse, RFC 9112, 6.3; no model server sends it"),
    "length and chunked": ("RemoteProtocolError", "smuggling, RFC 9112, 6.3; h11 believes chunked"),
    "length in a trailer": ("RemoteProtocolError", "forbidden, RFC 9110, 6.5.1; h11 does not look"),
    "line feeds only": ("RemoteProtocolError", "llhttp is strict; no model server sends it"),
    "folded header": ("RemoteProtocolError", "obsolete, RFC 9112, 5.2; no model server sends it"),
    "blank after the chunk size": (
        "RemoteProtocolError",
        "no chunk-size, RFC 9112, 7.1; no model server sends it",
    ),
    "control character in a header value": (
        "RemoteProtocolError",
        "forbidden, RFC 9110, 5.5; we relay headers",
    ),
    "HTTP/1.2": ("RemoteProtocolError", "there is no such version"),
    "line break before the status line": (b"hello", "harmless: blank lines between messages carry nothing"),
}

LOST = {"ReadError", "WriteError", "ConnectError", "RemoteProtocolError"}


def outcome(error: Exception, case: Case) -> str:
    name = type(error).__name__
    return "lost" if case.any_loss and name in LOST else name


async def outcomes(transport: httpx.AsyncBaseTransport, case: Case, port: int) -> list[tuple[Any, ...]]:
    """What a caller sees of each request."""
    seen: list[tuple[Any, ...]] = []
    host = case.host
    if host == "refused":
        host, port = "127.0.0.1", refused_port()
    for _ in range(case.times):
        request = httpx.Request(
            case.method,
            f"{case.scheme}://{host}:{port}/v1/models?a=%20b",
            headers=case.headers,
            content=Parts() if case.content == "parts" else case.content,
            extensions={"timeout": case.timeout},
        )
        try:
            response = await transport.handle_async_request(request)
        except (httpx.HTTPError, h11.LocalProtocolError) as error:  # httpcore lets h11's slip through
            seen.append(("no response", outcome(error, case)))
            continue
        names = ("http_version", "reason_phrase")
        head = (response.status_code, response.headers.raw, *(response.extensions[name] for name in names))
        assert isinstance(response.stream, httpx.AsyncByteStream)
        try:
            body = b"".join([item async for item in response.stream])
            seen.append((*head, body))
        except httpx.HTTPError as error:
            seen.append((*head, "broken body", outcome(error, case)))
        finally:
            await response.aclose()
        await trio.sleep(0.03 if "idle" in case.script.__name__ else 0)
    return seen


@pytest.mark.filterwarnings(
    "ignore:Async generator 'httpx:ResourceWarning"
)  # httpcore leaves request bodies open
@pytest.mark.parametrize("name", CASES)
async def test_differential(name: str) -> None:
    case = CASES[name]
    contexts = tls()
    verify = getattr(contexts, case.client_tls)
    ours, theirs = Transport(ssl_context=verify), httpx.AsyncHTTPTransport(verify=verify, trust_env=False)
    results = []
    with trio.fail_after(10):
        for transport in (ours, theirs):
            server_tls = getattr(contexts, case.server_tls) if case.server_tls else None
            async with raw_server(case.script, ssl_context=server_tls) as server, transport:
                results.append(await outcomes(transport, case, server.port))
    assert "0 connecting, 0 active, 0 idle" in repr(ours)
    if name in DEVIATIONS:
        assert results[0] != results[1]
        assert results[0][-1][-1] == DEVIATIONS[name][0]
    else:
        assert results[0] == results[1]

"""The upstream transport: keep-alive, failures, deadlines, and what a cancel leaves behind (nothing)."""

from __future__ import annotations

import gc
import socket
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import trio
import trio.testing

from octoroute.fleet.transport import Transport
from octoroute.fleet.wire import MAX_HEAD_BYTES, Connection, Origin, ResponseParser
from tests.fleet.raw_server import MemoryStream, Peer, Server, raw_server, tls

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

OK = b"HTTP/1.1 200 OK\r\n"
SHORT = OK + b"Content-Length: 5\r\n\r\nhello"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
LARGE = b"x" * 3_000_000
NOTHING_LEFT = "0 connecting, 0 active, 0 idle"


class InMemory(Transport):
    """Connects to these streams, one after another; None never connects."""

    def __init__(self, *streams: MemoryStream | None) -> None:
        super().__init__()
        self.streams = list(streams)

    async def connect(self, origin: Origin) -> Connection:
        await trio.lowlevel.checkpoint()
        stream = self.streams.pop(0)
        if stream is None:
            await trio.sleep_forever()
        return Connection(origin, stream, stream)


def request(
    port: int = 80, *, content: Any = b"{}", method: str = "POST", url: str | None = None, **timeout: float
) -> httpx.Request:
    return httpx.Request(
        method, url or f"http://127.0.0.1:{port}/v1", content=content, extensions={"timeout": timeout}
    )


async def body(response: httpx.Response) -> bytes:
    return b"".join(await items(response))


async def items(response: httpx.Response) -> list[bytes]:
    assert isinstance(response.stream, httpx.AsyncByteStream)
    return [item async for item in response.stream]


def sockets() -> int:
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return sum(str(link.readlink()).startswith("socket:") for link in links)


async def answers(server: Server, peer: Peer) -> None:
    while seen := await peer.request():
        server.requests.append(seen)
        await peer.send(SHORT)


async def never_answers(server: Server, peer: Peer) -> None:
    await peer.closed()


async def talks_for_ever(server: Server, peer: Peer) -> None:
    await peer.request()
    await peer.send(CHUNKED)
    while True:
        await peer.send(b"400\r\n" + b"x" * 1024 + b"\r\n")


# --- keep-alive ---------------------------------------------------------------------------------------------


async def test_a_connection_is_used_again_with_or_without_aclose() -> None:
    async with raw_server(answers) as server, Transport() as transport:
        with trio.fail_after(5):
            for close in (True, False, True):
                response = await transport.handle_async_request(request(server.port))
                # The whole answer came in one read: the connection is free before anybody asks for the body.
                assert "0 active, 1 idle" in repr(transport)
                assert await body(response) == b"hello"
                for _ in range(2 if close else 0):
                    await response.aclose()
        assert (server.connections, len(server.requests)) == (1, 3)


async def test_a_response_that_is_closed_before_it_is_read_keeps_what_had_arrived() -> None:
    async with InMemory(MemoryStream([SHORT])) as transport:
        response = await transport.handle_async_request(request())
        await response.aclose()
        assert await items(response) == [b"hello"]


@pytest.mark.parametrize("how", ["eof", "reset"])
async def test_stale_keep_alive_is_sent_again_on_a_new_connection(how: str) -> None:
    # llama.cpp closes idle connections after 5 s; here even while the next request is on its way.
    async def closes_on_the_second(server: Server, peer: Peer) -> None:
        await peer.request()
        await peer.send(SHORT)
        server.requests.append(await peer.request())
        if how == "reset":
            peer.reset()

    async with raw_server(closes_on_the_second) as server, Transport() as transport:
        with trio.fail_after(5):
            for _ in range(3):
                response = await transport.handle_async_request(request(server.port, content=b"same"))
                assert await body(response) == b"hello"
        assert server.connections == 3
        assert all(seen.endswith(b"same") for seen in server.requests if seen)


async def test_stale_keep_alive_is_sent_again_once_only() -> None:
    streams = MemoryStream([SHORT], at_end="reset"), MemoryStream([SHORT], at_end="reset"), MemoryStream()
    transport = InMemory(*streams)
    one = await transport.handle_async_request(request())
    assert "1 idle" in repr(transport)
    await body(one)
    transport.streams.pop(0)  # so the new connection is the one that gives nothing
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        await transport.handle_async_request(request())
    assert NOTHING_LEFT in repr(transport)


async def test_stale_keep_alive_after_the_first_byte_is_not_sent_again() -> None:
    transport = InMemory(MemoryStream([SHORT]), MemoryStream([SHORT]))
    stream = transport.streams[0]
    assert stream is not None
    await body(await transport.handle_async_request(request()))
    send, stream.at_end = stream.send_all, "reset"

    async def send_and_get_one_byte(data: bytes) -> None:
        await send(data)
        stream.pieces.append(b"H")

    transport._idle[0].send = send_and_get_one_byte
    with pytest.raises(httpx.ReadError, match="Connection reset by peer"):
        await transport.handle_async_request(request())
    assert len(transport.streams) == 1


async def test_a_failure_on_a_new_connection_is_raised() -> None:
    transport = InMemory(MemoryStream(at_end="reset"), MemoryStream([SHORT]))
    with pytest.raises(httpx.ReadError, match="Connection reset by peer") as caught:
        await transport.handle_async_request(request())
    assert caught.value.request.url.host == "127.0.0.1"
    assert len(transport.streams) == 1


async def test_a_connection_closed_while_idle_is_not_tried() -> None:
    async def closes_after_one(server: Server, peer: Peer) -> None:
        server.requests.append(await peer.request())
        await peer.send(SHORT)

    async with raw_server(closes_after_one) as server, Transport() as transport:
        with trio.fail_after(5):
            for _ in range(3):
                assert await body(await transport.handle_async_request(request(server.port))) == b"hello"
                await trio.sleep(0.02)
        assert (server.connections, len(server.requests)) == (3, 3)


async def test_idle_connections_expire(autojump_clock: trio.testing.MockClock) -> None:
    streams = [MemoryStream([OK + b"Content-Length: 5\r\n\r\n", b"hello"], at_end="hang") for _ in range(5)]
    transport = InMemory(*streams)
    responses = [await transport.handle_async_request(request()) for _ in range(4)]
    for response in responses[:3]:
        await body(response)
    await trio.sleep(61)
    assert "1 active, 3 idle" in repr(transport)
    await body(responses[3])  # whoever comes back sweeps the old ones out
    assert "0 active, 1 idle" in repr(transport)
    assert [stream.is_closed for stream in streams] == [True, True, True, False, False]
    await trio.sleep(61)
    await transport.handle_async_request(request())
    assert "1 active, 0 idle" in repr(transport)
    assert streams[3].is_closed


async def test_a_body_that_can_be_sent_once_takes_a_new_connection() -> None:
    class Once(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"once"

    async with raw_server(answers) as server, Transport() as transport:
        with trio.fail_after(5):
            for content in (b"twice", Once(), Once(), b"twice"):
                await body(await transport.handle_async_request(request(server.port, content=content)))
        assert server.connections == 3
        assert b"4\r\nonce\r\n0\r\n\r\n" in server.requests[1]


@pytest.mark.parametrize(
    "extra", [b"x", SHORT, b"\0"], ids=["a byte", "an answer nobody asked for", "no HTTP"]
)
@pytest.mark.parametrize(
    "framing", [b"Content-Length: 2\r\n\r\nhi", b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"]
)
async def test_a_connection_out_of_step_is_not_used_again(extra: bytes, framing: bytes) -> None:
    for pieces in ([OK + framing + extra], [OK + framing, extra]):
        stream = MemoryStream(pieces)
        transport = InMemory(stream, MemoryStream([SHORT]))
        for _ in range(2):
            await body(await transport.handle_async_request(request()))
        assert stream.is_closed


async def test_a_body_for_head_is_not_taken_for_the_next_response() -> None:
    transport = InMemory(MemoryStream([SHORT]), MemoryStream([SHORT]))
    assert await body(await transport.handle_async_request(request(method="HEAD", content=None))) == b""
    assert NOTHING_LEFT in repr(transport)


async def test_tls_bytes_that_were_received_but_not_read_are_seen() -> None:
    async def pipelines(server: Server, peer: Peer) -> None:
        while await peer.request():
            assert isinstance(peer.stream, trio.SSLStream)
            bio: Any = peer.stream.transport_stream
            records: list[bytes] = []
            send, bio.send_all = bio.send_all, _appender(records)
            await peer.send(SHORT)
            await peer.send(OK + b"Content-Length: 5\r\n\r\nwrong")
            bio.send_all = send
            await send(b"".join(records))  # two records in one segment

    async with (
        raw_server(pipelines, ssl_context=tls().server) as server,
        Transport(ssl_context=tls().client) as transport,
    ):
        with trio.fail_after(5):
            for _ in range(3):
                url = f"https://localhost:{server.port}/"
                assert await body(await transport.handle_async_request(request(url=url))) == b"hello"
        assert server.connections == 3


def _appender(records: list[bytes]) -> Any:
    async def append(data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        records.append(bytes(data))

    return append


async def test_another_origin_gets_a_connection_of_its_own() -> None:
    async with raw_server(answers) as one, raw_server(answers) as two, Transport() as transport:
        for server in (one, two):
            await body(await transport.handle_async_request(request(server.port)))
        assert (one.connections, two.connections) == (1, 1)
        assert f"http://127.0.0.1:{two.port}: 0 connecting, 0 active, 1 idle" in repr(transport)


# --- the stream ---------------------------------------------------------------------------------------------


async def test_one_item_for_one_read() -> None:
    chunk = b"5\r\nhello\r\n"
    stream = MemoryStream([CHUNKED + chunk * 2, chunk * 3, b"5\r\nhe", b"llo", b"\r\n", chunk + b"0\r\n\r\n"])
    response = await InMemory(stream).handle_async_request(request())
    assert await items(response) == [b"hello" * 2, b"hello" * 3, b"he", b"llo", b"hello"]
    assert stream.reads == 6


async def test_what_came_before_a_fault_is_delivered() -> None:
    stream = MemoryStream([CHUNKED, b"5\r\nhello\r\nsecret of the body\r\n"])
    response = await InMemory(stream).handle_async_request(request())
    assert isinstance(response.stream, httpx.AsyncByteStream)
    body = aiter(response.stream)
    assert await anext(body) == b"hello"
    assert stream.is_closed
    for _ in range(2):  # never a clean end
        with pytest.raises(httpx.RemoteProtocolError, match="Invalid character in chunk size") as caught:
            await anext(body)
        assert "secret" not in str(caught.value)


async def test_trap_7_a_closed_stream_does_not_end_cleanly() -> None:
    response = await InMemory(MemoryStream([CHUNKED], at_end="hang")).handle_async_request(request())
    await response.aclose()
    assert isinstance(response.stream, httpx.AsyncByteStream)
    with pytest.raises(httpx.StreamClosed):
        await anext(aiter(response.stream))


async def test_a_cancelled_read_may_be_tried_again() -> None:
    async def pauses(server: Server, peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED)
        await trio.sleep(0.05)
        await peer.send(b"5\r\nhello\r\n0\r\n\r\n")
        await peer.closed()

    for context in (None, tls().server):
        scheme = "https" if context else "http"
        async with (
            raw_server(pauses, ssl_context=context) as server,
            Transport(ssl_context=tls().client) as own,
        ):
            with trio.fail_after(5):
                url = f"{scheme}://127.0.0.1:{server.port}/"
                response = await own.handle_async_request(request(url=url))
                assert isinstance(response.stream, httpx.AsyncByteStream)
                with trio.move_on_after(0.01) as patience:
                    await anext(aiter(response.stream))
                assert patience.cancelled_caught
                assert await body(response) == b"hello"
                assert "1 idle" in repr(own)


async def test_nothing_is_read_before_it_is_asked_for() -> None:
    async with raw_server(talks_for_ever) as server, Transport() as transport:
        with trio.fail_after(5):
            response = await transport.handle_async_request(request(server.port))
        with trio.move_on_after(0.1):
            await trio.sleep_forever()  # the server fills the sockets' buffers, and waits
        assert isinstance(response.stream, httpx.AsyncByteStream)
        assert len(await anext(aiter(response.stream))) <= 65536
        await response.aclose()


async def test_through_an_async_client() -> None:
    async with raw_server(answers) as server, httpx.AsyncClient(transport=Transport()) as client:
        with trio.fail_after(5):
            assert (await client.get(f"http://127.0.0.1:{server.port}/")).text == "hello"
            async with client.stream("POST", f"http://127.0.0.1:{server.port}/", json=[1]) as response:
                assert [part async for part in response.aiter_raw()] == [b"hello"]
        assert server.connections == 1


# --- large requests -----------------------------------------------------------------------------------------


async def test_an_early_response_ends_a_large_upload() -> None:
    async def refuses(server: Server, peer: Peer) -> None:
        await peer.stream.receive_some(1000)
        await peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\n")
        await trio.sleep(0.02)
        await peer.send(b"no")
        await trio.sleep_forever()

    async with raw_server(refuses) as server, Transport() as transport:
        with trio.fail_after(5):
            response = await transport.handle_async_request(request(server.port, content=LARGE))
            assert (response.status_code, await body(response)) == (413, b"no")
        assert NOTHING_LEFT in repr(transport)


class Broken(MemoryStream):
    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()
        raise trio.BrokenResourceError from BrokenPipeError(32, "Broken pipe")


async def test_a_write_error_without_a_response_is_raised() -> None:
    transport = InMemory(Broken())
    with pytest.raises(httpx.WriteError, match="cannot send the request: Broken pipe"):
        await transport.handle_async_request(request())
    assert NOTHING_LEFT in repr(transport)


@pytest.mark.parametrize("content", [b"{}", LARGE], ids=["small", "large"])
async def test_a_write_error_does_not_hide_the_response(content: bytes) -> None:
    transport = InMemory(Broken([b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"]))
    response = await transport.handle_async_request(request(content=content))
    assert (response.status_code, await body(response)) == (413, b"no")
    assert NOTHING_LEFT in repr(transport)


async def test_a_large_upload_leaves_its_connection_usable() -> None:
    async with raw_server(answers) as server, Transport() as transport:
        with trio.fail_after(5):
            for _ in range(5):
                await body(await transport.handle_async_request(request(server.port, content=LARGE)))
        assert server.connections == 1
        assert all(seen.endswith(LARGE) for seen in server.requests)


async def test_an_error_of_the_body_itself_is_raised_as_it_is() -> None:
    class Fails(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"once"
            raise KeyError("mine")

    transport = InMemory(MemoryStream(at_end="hang"))
    with trio.fail_after(5), pytest.raises(KeyError, match="mine"):
        await transport.handle_async_request(request(content=Fails()))
    assert NOTHING_LEFT in repr(transport)


# --- cancellation -------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="a full backlog refuses elsewhere")
async def test_trap_14_a_cancel_while_connecting_leaves_nothing() -> None:
    with trio.fail_after(20), socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        await trio.sleep(0.05)
        async with Transport() as transport:
            before, tasks = sockets(), trio.lowlevel.current_statistics().tasks_living
            for _ in range(60):
                with trio.move_on_after(0.005) as patience:
                    await transport.handle_async_request(request(port))
                assert patience.cancelled_caught
            assert NOTHING_LEFT in repr(transport)
            assert sockets() == before
            assert trio.lowlevel.current_statistics().tasks_living == tasks
            for filler in fillers:
                filler.close()
            async with raw_server(answers) as server:
                assert await body(await transport.handle_async_request(request(server.port))) == b"hello"


class CancelAtStep(trio.abc.Instrument):
    """Cancels the scope when a task of this test has been stepped so many times."""

    def __init__(self, scope: trio.CancelScope, step: int) -> None:
        self.scope, self.left, self.task = scope, step, trio.lowlevel.current_task()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self.task:
            self.left -= 1
            if self.left == 0:
                self.scope.cancel("this step")


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("content", [b"{}", LARGE], ids=["small", "large"])
async def test_a_cancel_at_any_await_leaves_nothing(scheme: str, content: bytes) -> None:
    async def two_parts(server: Server, peer: Peer) -> None:
        while await peer.request():
            await peer.send(CHUNKED + b"2\r\nhi\r\n")
            await trio.sleep(0.001)
            await peer.send(b"2\r\nho\r\n0\r\n\r\n")

    contexts = tls()
    transport = Transport(ssl_context=contexts.client)
    context = contexts.server if scheme == "https" else None
    async with raw_server(two_parts, ssl_context=context) as server, transport:
        url = f"{scheme}://127.0.0.1:{server.port}/"
        await trio.testing.wait_all_tasks_blocked()
        tasks = trio.lowlevel.current_statistics().tasks_living
        for step in range(1, 200):
            with trio.fail_after(5), trio.CancelScope() as scope:
                instrument = CancelAtStep(scope, step)
                trio.lowlevel.add_instrument(instrument)
                try:
                    response = await transport.handle_async_request(request(url=url, content=content))
                    try:
                        await body(response)
                    finally:
                        await response.aclose()
                finally:
                    trio.lowlevel.remove_instrument(instrument)
            assert "0 connecting, 0 active" in repr(transport)
            if not scope.cancelled_caught:
                break
            await transport.aclose()
            transport = Transport(ssl_context=contexts.client)
        assert not scope.cancelled_caught
        assert step > 4
        await transport.aclose()
        with trio.fail_after(2):
            # The server sees that each connection was closed, and its tasks end.
            while trio.lowlevel.current_statistics().tasks_living > tasks:  # noqa: ASYNC110 - no event tells
                await trio.sleep(0.005)
    gc.collect()  # an open socket would warn


async def test_trap_18_aclose_in_a_cancelled_scope_closes_the_socket_at_once() -> None:
    gone = trio.Event()

    async def notices(server: Server, peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED + b"2\r\nhi\r\n")
        await peer.closed()
        gone.set()

    async with raw_server(notices) as server, Transport() as transport:
        with trio.fail_after(5):
            response = await transport.handle_async_request(request(server.port))
            with trio.CancelScope() as scope:
                scope.cancel("the client has left")
                await response.aclose()
            assert NOTHING_LEFT in repr(transport)
            await gone.wait()


async def test_aclose_of_the_transport_closes_what_is_idle_and_lets_the_rest_finish() -> None:
    idle, used = MemoryStream([SHORT], at_end="hang"), MemoryStream([CHUNKED, b"2\r\nhi\r\n0\r\n\r\n"])
    transport = InMemory(used, idle)
    response = await transport.handle_async_request(request())
    await body(await transport.handle_async_request(request()))
    await transport.aclose()
    assert (idle.is_closed, used.is_closed) == (True, False)
    assert repr(transport) == "<Transport http://127.0.0.1:80: 0 connecting, 1 active, 0 idle, closed>"
    assert await body(response) == b"hi"
    assert used.is_closed


async def test_repr_tells_the_state() -> None:
    transport = InMemory(MemoryStream([SHORT]), MemoryStream([CHUNKED], at_end="hang"), None)
    assert repr(transport) == "<Transport (unused): 0 connecting, 0 active, 0 idle>"
    url = "http://[::1]:8080/v1"
    await transport.handle_async_request(request(url=url))
    assert repr(transport) == "<Transport http://[::1]:8080: 0 connecting, 0 active, 1 idle>"
    transport._idle[0].socket.close()
    async with trio.open_nursery() as nursery:
        response = await transport.handle_async_request(request(url=url))
        nursery.start_soon(transport.handle_async_request, request(url=url))
        await trio.testing.wait_all_tasks_blocked()
        assert repr(transport) == "<Transport http://[::1]:8080: 1 connecting, 1 active, 0 idle>"
        nursery.cancel_scope.cancel("seen")
    await response.aclose()
    assert NOTHING_LEFT in repr(transport)


# --- deadlines ----------------------------------------------------------------------------------------------


async def test_connect_timeout(autojump_clock: trio.testing.MockClock) -> None:
    transport = InMemory(None)
    with pytest.raises(httpx.ConnectTimeout, match=r"http://127.0.0.1:80 in time") as caught:
        await transport.handle_async_request(request(connect=3))
    assert trio.current_time() == pytest.approx(3, abs=0.01)
    assert caught.value.request.method == "POST"
    assert NOTHING_LEFT in repr(transport)


@pytest.mark.parametrize("content", [b"{}", LARGE], ids=["small", "large"])
async def test_read_and_write_timeout(autojump_clock: trio.testing.MockClock, content: bytes) -> None:
    silent, deaf = MemoryStream(at_end="hang"), MemoryStream(at_end="hang")
    pausing = MemoryStream([CHUNKED, b"2\r\nhi\r\n"], at_end="hang")
    deaf.send_hangs = True
    transport = InMemory(silent, deaf, pausing)
    with pytest.raises(httpx.ReadTimeout):
        await transport.handle_async_request(request(content=content, read=3, write=1))
    assert trio.current_time() == pytest.approx(3, abs=0.01)
    with pytest.raises(httpx.WriteTimeout):
        await transport.handle_async_request(request(content=content, read=1, write=3))
    assert trio.current_time() == pytest.approx(6, abs=0.01)
    response = await transport.handle_async_request(request(content=content, read=3))
    with pytest.raises(httpx.ReadTimeout) as caught:
        await body(response)
    assert caught.value.request.method == "POST"
    assert trio.current_time() == pytest.approx(9, abs=0.01)
    assert silent.is_closed
    assert deaf.is_closed
    assert pausing.is_closed
    assert NOTHING_LEFT in repr(transport)


# --- connecting ---------------------------------------------------------------------------------------------


class Names(trio.abc.HostnameResolver):
    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    async def getaddrinfo(self, host: Any, port: Any, *rest: int) -> Any:
        await trio.lowlevel.checkpoint()
        if not self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (address, int(port)),
            )
            for address in self.addresses
        ]

    async def getnameinfo(self, sockaddr: Any, flags: int) -> tuple[str, str]:
        raise NotImplementedError


@asynccontextmanager
async def names(*addresses: str) -> AsyncIterator[None]:
    before = trio.socket.set_custom_hostname_resolver(Names(*addresses))
    try:
        yield
    finally:
        trio.socket.set_custom_hostname_resolver(before)


async def test_several_addresses_for_a_name() -> None:
    async with raw_server(answers) as server, Transport() as transport:
        with trio.fail_after(5):
            async with names("127.0.0.9", "127.0.0.1"):  # nobody listens on the first
                url = f"http://model.test:{server.port}/"
                assert await body(await transport.handle_async_request(request(url=url))) == b"hello"
            assert b"Host: model.test:%d\r\n" % server.port in server.requests[0]


@pytest.mark.parametrize(
    ("addresses", "cause"),
    [
        (["127.0.0.8"], "Connection refused"),
        (["127.0.0.8", "127.0.0.9"], "Connection refused"),
        ([], "Name or service not known"),
    ],
    ids=["one", "two", "none"],
)
async def test_connect_errors_name_the_cause(addresses: Sequence[str], cause: str) -> None:
    with socket.socket() as unused, trio.fail_after(5):
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        async with names(*addresses), Transport() as transport:
            with pytest.raises(httpx.ConnectError) as caught:
                await transport.handle_async_request(request(url=f"http://model.test:{port}/"))
    assert str(caught.value) == f"cannot connect to http://model.test:{port}: {cause}"
    assert caught.value.request.url.host == "model.test"


async def test_a_name_that_no_look_up_takes() -> None:
    async with Transport() as transport:
        with pytest.raises(httpx.ConnectError):
            await transport.handle_async_request(request(url=f"http://{'a' * 70}.test/"))


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
async def test_ipv6_literal() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no ::1")
    for context, scheme in ((None, "http"), (tls().server, "https")):
        async with (
            raw_server(answers, host="::1", ssl_context=context) as server,
            Transport(ssl_context=tls().client) as transport,
        ):
            with trio.fail_after(5):
                url = f"{scheme}://[::1]:{server.port}/"
                assert await body(await transport.handle_async_request(request(url=url))) == b"hello"
            assert b"Host: [::1]:%d\r\n" % server.port in server.requests[0]


@pytest.mark.parametrize(
    ("server_tls", "client_tls", "cause"),
    [
        ("other", "client", "certificate: Hostname mismatch"),
        ("server", "stranger", "certificate: self-signed certificate"),
        (None, "client", ""),
    ],
)
async def test_tls_errors_name_the_cause(server_tls: str | None, client_tls: str, cause: str) -> None:
    context = getattr(tls(), server_tls) if server_tls else None
    async with (
        raw_server(answers if server_tls else _speaks_ssh, ssl_context=context) as server,
        Transport(ssl_context=getattr(tls(), client_tls)) as transport,
    ):
        with trio.fail_after(5), pytest.raises(httpx.ConnectError) as caught:
            await transport.handle_async_request(request(url=f"https://localhost:{server.port}/"))
        assert f"cannot connect to https://localhost:{server.port}: {cause}" in str(caught.value)
        assert NOTHING_LEFT in repr(transport)


async def _speaks_ssh(server: Server, peer: Peer) -> None:
    await peer.send(b"SSH-2.0-OpenSSH\r\n")
    await peer.closed()


async def test_tls_offers_only_http_1() -> None:
    chosen = []

    async def tells(server: Server, peer: Peer) -> None:
        await peer.request()
        assert isinstance(peer.stream, trio.SSLStream)
        chosen.append(peer.stream.selected_alpn_protocol())
        await peer.send(SHORT)

    async with (
        raw_server(tells, ssl_context=tls().server) as server,
        Transport(ssl_context=tls().client) as transport,
    ):
        with trio.fail_after(5):
            url = f"https://localhost:{server.port}/"
            await body(await transport.handle_async_request(request(url=url)))
    assert chosen == ["http/1.1"]


async def test_trap_16_no_certificates_are_loaded_for_http() -> None:
    async with raw_server(answers) as server, Transport() as transport:
        await body(await transport.handle_async_request(request(server.port)))
        assert transport._ssl_context is None
        with pytest.raises(httpx.ConnectTimeout):
            await transport.handle_async_request(
                request(url=f"https://127.0.0.1:{server.port}/", connect=0.05)
            )
        assert transport._ssl_context is not None


async def test_small_writes_leave_at_once() -> None:
    async with raw_server(answers) as server, Transport() as transport:
        await body(await transport.handle_async_request(request(server.port)))
        own = transport._idle[0].socket
        assert isinstance(own, trio.socket.SocketType)
        assert own.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


# --- rules --------------------------------------------------------------------------------------------------


async def test_a_line_break_in_a_header_is_refused_before_connecting_and_not_repeated() -> None:
    bad = httpx.Request("GET", "http://x/", headers=[(b"Authorization", b"Bearer secret\r\nX: y")])
    with pytest.raises(httpx.LocalProtocolError, match="Authorization") as caught:
        await InMemory().handle_async_request(bad)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["ftp://x/", "/only/a/path", "http:///v1"])
async def test_unsupported_urls(url: str) -> None:
    with pytest.raises(httpx.UnsupportedProtocol):
        await InMemory().handle_async_request(httpx.Request("GET", url, headers={"Host": "x"}))


@pytest.mark.parametrize("fields", [1, 100, 5000])
async def test_a_response_head_is_bounded(fields: int) -> None:
    field = b"X: " + b"v" * (2 * MAX_HEAD_BYTES // fields) + b"\r\n"
    for wire in (OK + field * fields + b"\r\n", b"HTTP/1.1 103 E\r\n" + field * fields + b"\r\n" + SHORT):
        pieces = [wire[at : at + 4096] for at in range(0, len(wire), 4096)]
        with pytest.raises(httpx.RemoteProtocolError, match="too large"):
            await InMemory(MemoryStream(pieces)).handle_async_request(request())


@pytest.mark.parametrize(
    "piece", [b"0\r\nX: ", b"1;ext="], ids=["an endless trailer", "an endless chunk extension"]
)
def test_what_carries_no_body_is_bounded(piece: bytes) -> None:
    parser = ResponseParser()
    parser.feed(CHUNKED + b"2\r\nhi\r\n" + piece)
    for _ in range(100):
        if parser.ended:
            break
        parser.feed(b"x" * 4096)
    assert parser.error is not None
    assert "too large" in parser.error


def test_a_long_stream_in_single_bytes_is_not_too_large() -> None:
    parser, length = ResponseParser(), 0
    parser.feed(CHUNKED)
    for byte in b"1\r\nx\r\n" * 30_000:
        length += len(parser.feed(bytes([byte])))
    assert (length, parser.error) == (30_000, None)


async def test_a_body_of_a_1xx_is_not_the_response() -> None:
    odd = b"HTTP/1.1 150 Odd\r\nContent-Length: 3\r\n\r\nabc"
    for pieces in ([odd + SHORT], [odd[:-1], b"c" + SHORT]):
        assert await body(await InMemory(MemoryStream(pieces)).handle_async_request(request())) == b"hello"


async def test_101_is_an_error() -> None:
    switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nrest"
    with pytest.raises(httpx.RemoteProtocolError, match="unexpected status 101"):
        await InMemory(MemoryStream([switch])).handle_async_request(request())


async def test_errors_hold_nothing_of_what_was_received() -> None:
    with pytest.raises(httpx.RemoteProtocolError) as caught:
        await InMemory(MemoryStream([b"the prompt was secret"])).handle_async_request(request())
    assert "secret" not in str(caught.value)
    assert "malformed response" in str(caught.value)

"""A client that goes away stops what was done for it: the model server within a second, and nothing is left over."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import pytest
import trio

from octoroute.daemon import Daemon
from tests.fakes.model_server import Behaviour, Delay, Exchange, FakeModelServer, Hang, Ok, Reset, loading
from tests.serving import chat, client, connect, endpoint, running, until

STOPS_WITHIN = 1.0
"""What the contract promises; none of these tests does anything else meanwhile."""


def request(stream: bool = True, *, part: float = 1) -> bytes:
    """A request's bytes; or the first part of them."""
    body = json.dumps(chat(stream=stream)).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % len(body)
    return head + body[: int(part * len(body))]


def idle(daemon: Daemon) -> bool:
    fleet = daemon.service.fleet
    return (
        not daemon.app.exchanges
        and all(each.in_flight == 0 for each in fleet)
        and all(admission.waiting == 0 for admission in fleet.admission.values())
    )


async def counted(daemon: Daemon, line: str) -> bool:
    async with client(daemon) as http:
        return line in (await http.get("/metrics")).text.splitlines()


GONE = 'octoroute_responses_total{status="499",tier="fast"} 1.0'
BROKEN = 'octoroute_broken_streams_total{tier="fast"} 1.0'


async def read_until(stream: trio.SocketStream, part: bytes) -> bytes:
    received = b""
    with trio.fail_after(10):
        while part not in received:
            data = await stream.receive_some(65536)
            assert data, received
            received += data
    return received


async def asked(server: FakeModelServer, stream: trio.SocketStream) -> None:
    with trio.fail_after(10):
        await server.wait_for(1)


async def reads(server: FakeModelServer, stream: trio.SocketStream) -> None:
    await read_until(stream, b"word")


ENDLESS = Ok([" word"] * 10_000, between=0.02)
When = Callable[[FakeModelServer, trio.SocketStream], Awaitable[None]]


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize(
    ("stream", "behaviour", "when"),
    [
        pytest.param(True, ENDLESS, reads, id="in the middle of a stream"),
        pytest.param(True, Ok(first_after=30), asked, id="before the first token"),
        pytest.param(True, Ok(prelude=[b": processing\n\n"], first_after=30), asked, id="after a comment"),
        pytest.param(True, Hang(), asked, id="before the headers of a stream"),
        pytest.param(False, Hang(), asked, id="before a buffered answer"),
        pytest.param(False, Ok(framing="chunked", first_after=30), asked, id="buffered, slow"),
    ],
)
async def test_hanging_up_stops_the_model_server(
    stream: bool, behaviour: Behaviour, when: When, reset: bool
) -> None:
    async with FakeModelServer("small", behaviour=behaviour) as small, running(small) as daemon:
        connection = await connect(daemon)
        await connection.send_all(request(stream))
        await when(small, connection)
        assert len(daemon.app.exchanges) == 1
        assert next(iter(daemon.service.fleet)).in_flight == 1
        if reset:
            connection.setsockopt(1, 13, b"\x01\x00\x00\x00\x00\x00\x00\x00")  # SO_LINGER, 0 s: an RST
        left = trio.current_time()
        await connection.aclose()
        with trio.fail_after(STOPS_WITHIN):
            await small.chats[0].disconnected.wait()
        assert small.chats[0].disconnected_at is not None
        assert small.chats[0].disconnected_at - left < STOPS_WITHIN
        await until(lambda: idle(daemon))
        assert await counted(daemon, GONE)
        assert not await counted(daemon, BROKEN)
        assert next(iter(daemon.service.fleet)).health.failures == 0


async def test_half_closing_is_hanging_up() -> None:
    async with (
        FakeModelServer("small", behaviour=Hang()) as small,
        running(small) as daemon,
        await connect(daemon) as connection,
    ):
        await connection.send_all(request())
        await asked(small, connection)
        await connection.send_eof()
        with trio.fail_after(STOPS_WITHIN):
            await small.chats[0].disconnected.wait()
        await until(lambda: idle(daemon))


async def test_hanging_up_in_a_queue() -> None:
    async with (
        FakeModelServer("small", behaviour=Hang()) as small,
        running(endpoint(small, max_concurrent=1)) as daemon,
    ):
        async with await connect(daemon) as first:
            await first.send_all(request())
            await asked(small, first)
            second = await connect(daemon)
            await second.send_all(request())
            await until(lambda: daemon.service.fleet.admission["fast"].waiting == 1)
            await second.aclose()
            await until(lambda: daemon.service.fleet.admission["fast"].waiting == 0)
            await until(lambda: len(daemon.app.exchanges) == 1)
            assert next(iter(daemon.service.fleet)).in_flight == 1
        await until(lambda: idle(daemon))
        assert len(small.chats) == 1
        assert await counted(daemon, GONE.replace("1.0", "2.0"))


async def test_hanging_up_between_two_attempts() -> None:
    async with (
        FakeModelServer("a", behaviour=Reset()) as a,
        FakeModelServer("b", behaviour=Reset()) as b,
        running([a, b], retry={"backoff_ms": 10_000}) as daemon,
    ):
        async with await connect(daemon) as connection:
            await connection.send_all(request())
            await until(lambda: a.chats or b.chats)
            await until(lambda: all(each.in_flight == 0 for each in daemon.service.fleet))
        await until(lambda: idle(daemon))
        assert not (a.chats and b.chats)
        assert await counted(daemon, GONE)


@pytest.mark.parametrize("part", [0.0, 0.5])
async def test_hanging_up_before_the_whole_request(part: float) -> None:
    async with FakeModelServer("small") as small, running(small) as daemon:
        async with await connect(daemon) as connection:
            await connection.send_all(request(part=part))
            await until(lambda: daemon.app.exchanges)
        await until(lambda: idle(daemon))
        assert not small.chats
        assert await counted(daemon, GONE.replace("fast", "none"))


@pytest.mark.parametrize("cut", [b"data: [DO", b"data: [DONE]", b"data: [DONE]\n\n"])
async def test_hanging_up_at_done_is_no_interruption(cut: bytes) -> None:
    """Many clients leave as soon as they see it, and before the server ends its answer."""

    async def behaviour(exchange: Exchange) -> None:
        await exchange.head(200, [("Content-Type", "text/event-stream")], framing="chunked")
        await exchange.piece(b'data: {"choices":[]}\n\n')
        await exchange.piece(cut)
        await trio.sleep(0.01)
        if rest := b"data: [DONE]\n\n"[len(cut) :]:
            await exchange.piece(rest)
        await trio.sleep_forever()

    async with FakeModelServer("small", behaviour=behaviour) as small, running(small) as daemon:
        connection = await connect(daemon)
        await connection.send_all(request())
        received = await read_until(connection, b"]\r\n" if cut.endswith(b"]") else b"]\n\n")
        assert b"DO" in received
        assert b"NE]" in received
        await connection.aclose()
        with trio.fail_after(STOPS_WITHIN):
            await small.chats[0].disconnected.wait()
        await until(lambda: idle(daemon))
        assert await counted(daemon, GONE.replace("499", "200"))
        assert not await counted(daemon, GONE)
        assert not await counted(daemon, BROKEN)


async def test_many_that_hang_up_at_once_leave_nothing_behind() -> None:
    behaviours: list[Behaviour] = [ENDLESS, Hang(), Delay(0.05), Ok(), loading()]
    async with FakeModelServer("small") as small, FakeModelServer("other") as other:
        small.queue(*behaviours * 12)
        places = [endpoint(small, max_concurrent=8), endpoint(other, max_concurrent=8)]
        async with running({"fast": places}) as daemon:

            async def client_that_leaves(number: int) -> None:
                async with await connect(daemon) as connection:
                    await connection.send_all(request(stream=number % 2 == 0))
                    with trio.move_on_after(0.003 * number):
                        await connection.receive_some(1)

            with trio.fail_after(20):
                async with trio.open_nursery() as nursery:
                    for number in range(60):
                        nursery.start_soon(client_that_leaves, number)
            await until(lambda: idle(daemon))
            async with client(daemon) as http:
                assert (await http.post("/v1/chat/completions", json=chat("other"))).status_code == 200

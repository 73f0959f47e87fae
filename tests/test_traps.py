"""The traps of this stack (docs/development.md): each has a test named after it, our alarm at the next upgrade."""

from __future__ import annotations

import json

import httpx
import pytest
import trio
from quart import Response

from octoroute import server as server_module
from octoroute.api import connection
from octoroute.api.connection import Connection
from octoroute.config.model import Secret
from octoroute.daemon import Daemon
from octoroute.fleet.transport import Transport
from octoroute.fleet.wire import Origin
from octoroute.relay import attempt
from tests.fakes.model_server import Cut, FakeModelServer, Hang, Ok
from tests.raw_client import Ended, RawClient, raw_client, request
from tests.serving import SECONDS, chat, client, connection_tasks, endpoint, running, until

CHAT = "/v1/chat/completions"
BIG = Ok(["x" * 100_000] * 400)
"""40 MB: more than the buffers of a loopback connection take."""


async def nothing_left(daemon: Daemon) -> None:
    """Every exchange is over, every place given back, and no connection's task is left."""
    await until(lambda: not daemon.app.exchanges)
    await until(lambda: all(each.in_flight == 0 for each in daemon.service.fleet))
    await until(lambda: connection_tasks() == 0)


# 1. Keep-alive


async def test_trap_1_a_connection_is_kept_and_closed_when_it_has_been_idle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server_module, "KEEP_ALIVE_SECONDS", 0.3)
    async with FakeModelServer() as fake, running(fake) as daemon, raw_client(daemon) as http:
        with trio.fail_after(SECONDS):
            for path, body in (("/health", None), (CHAT, chat()), (CHAT, chat(stream=True)), ("/nope", None)):
                await http.send(request("POST" if body else "GET", path, body))
                answer = await http.answer()
                assert answer.status == (404 if path == "/nope" else 200)
                assert "connection" not in answer.headers
        with trio.fail_after(5):  # far less than the 75 s, or the 60 s of hypercorn's defaults
            with pytest.raises(Ended):
                await http.answer()


@pytest.mark.parametrize("stream", [False, True])
async def test_trap_1_an_idle_connection_does_not_hold_up_the_end(*, stream: bool) -> None:
    async with (
        FakeModelServer() as fake,
        running(fake, server={"drain_timeout_seconds": 30}) as daemon,
        raw_client(daemon) as http,
    ):
        with trio.fail_after(SECONDS):
            await http.send(request("POST", CHAT, chat(stream=stream)))
            assert (await http.answer()).status == 200
        daemon.drain("the test says so")
        with trio.fail_after(2):
            await daemon.served.wait()
        with trio.fail_after(2), pytest.raises(Ended):
            await http.answer()


# 2. Early refusal

REFUSALS = {
    401: request("POST", CHAT, b"{", headers={"content-length": "100000", "authorization": "Bearer wrong"}),
    405: request("PUT", CHAT, b"{", headers={"content-length": "100000", "x-api-key": "right"}),
    413: request("POST", CHAT, b"{", headers={"content-length": "20000000", "x-api-key": "right"}),
    415: request(
        "POST",
        CHAT,
        b"{",
        headers={"content-length": "100000", "x-api-key": "right", "content-encoding": "gzip"},
    ),
}
AUTH = {"api_keys": (Secret("right"),)}


@pytest.mark.parametrize("status", REFUSALS)
async def test_trap_2_a_refusal_before_the_body_is_here(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "EARLY_REFUSAL_SECONDS", 0.3)
    async with FakeModelServer() as fake, running(fake, auth=AUTH) as daemon:
        async with raw_client(daemon) as http:
            with trio.fail_after(SECONDS):
                await http.send(REFUSALS[status])
                answer = await http.answer()
                assert answer.status == status
                assert answer.json()["error"]["message"]
                assert answer.headers["connection"] == "close"
                with pytest.raises(Ended):
                    await http.answer()
        await nothing_left(daemon)
        counted = daemon.service.metrics.exposition("")[0]
        assert f'octoroute_responses_total{{status="{status}",tier="none"}} 1.0'.encode() in counted


@pytest.mark.parametrize("status", REFUSALS)
async def test_trap_2_a_client_that_leaves_with_its_refusal_was_refused(status: int) -> None:
    async with FakeModelServer() as fake, running(fake, auth=AUTH) as daemon:
        async with raw_client(daemon) as http:
            with trio.fail_after(SECONDS):
                await http.send(REFUSALS[status])
                assert (await http.answer()).status == status
        await nothing_left(daemon)
        counted = daemon.service.metrics.exposition("")[0]
        assert f'octoroute_responses_total{{status="{status}",tier="none"}} 1.0'.encode() in counted


@pytest.mark.parametrize("sized", [True, False])
async def test_trap_2_a_client_that_sends_all_before_it_reads_sees_its_refusal(*, sized: bool) -> None:
    size = 3_000_000
    head = request(
        "POST", CHAT, headers={"content-length": str(size)} if sized else {"transfer-encoding": "chunked"}
    )
    async with FakeModelServer() as fake, running(fake, server={"max_body_bytes": 100_000}) as daemon:
        async with raw_client(daemon) as http:
            with trio.fail_after(SECONDS):
                await http.send(head)
                for _ in range(30):
                    part = b" " * (size // 30)
                    await http.send(part if sized else b"%x\r\n%b\r\n" % (len(part), part))
                if not sized:
                    await http.send(b"0\r\n\r\n")
                answer = await http.answer()
                assert answer.status == 413
                assert "100000 bytes" in answer.json()["error"]["message"]
        await nothing_left(daemon)


async def test_trap_2_a_refused_connection_is_kept_where_the_body_came_with_it() -> None:
    async with FakeModelServer() as fake, running(fake, auth=AUTH) as daemon, raw_client(daemon) as http:
        with trio.fail_after(SECONDS):
            for _ in range(3):
                await http.send(request("POST", CHAT, chat(), headers={"x-api-key": "wrong"}))
                answer = await http.answer()
                assert answer.status == 401
                assert "connection" not in answer.headers
            await http.send(request("POST", CHAT, chat(), headers={"x-api-key": "right"}))
            assert (await http.answer()).status == 200


# 3. A client that stops reading


async def stalled(daemon: Daemon, http: RawClient) -> None:
    """Ask for more than fits, take nothing, and wait until nothing goes out any more."""
    await http.send(request("POST", CHAT, chat(stream=True)))
    await until(lambda: daemon.app.exchanges)
    (exchange,) = daemon.app.exchanges
    out = -1
    while out != exchange.bytes_out or not out:
        out = exchange.bytes_out
        await trio.sleep(0.2)


async def test_trap_3_a_client_that_stops_reading_holds_up_nobody() -> None:
    async with (
        FakeModelServer(behaviour=BIG) as fake,
        running(fake, server={"drain_timeout_seconds": 0.3}) as daemon,
        raw_client(daemon) as http,
        client(daemon) as other,
    ):
        with trio.fail_after(SECONDS):
            await stalled(daemon, http)
            assert connection_tasks() == 1
            fake.queue(Ok())
            assert (await other.post(CHAT, json=chat())).status_code == 200
            daemon.drain("the test says so")
            await daemon.served.wait()
            await fake.chats[0].disconnected.wait()


async def test_trap_3_a_client_that_takes_nothing_is_cut_off() -> None:
    async with (
        FakeModelServer(behaviour=BIG) as fake,
        running(fake, server={"stream_idle_timeout_seconds": 0.5}) as daemon,
        raw_client(daemon) as http,
    ):
        with trio.fail_after(SECONDS):
            await http.send(request("POST", CHAT, chat(stream=True)))
            await fake.wait_for(1)
            await fake.chats[0].disconnected.wait()
        await nothing_left(daemon)


async def test_trap_3_one_that_has_pipelined_a_second_request_is_cut_off_too() -> None:
    async with (
        FakeModelServer(behaviour=BIG) as fake,
        running(fake, server={"stream_idle_timeout_seconds": 0.5}) as daemon,
        raw_client(daemon) as http,
    ):
        with trio.fail_after(SECONDS):
            await http.send(request("POST", CHAT, chat(stream=True)) + request("GET", "/health"))
            await fake.wait_for(1)
            await fake.chats[0].disconnected.wait()
        await nothing_left(daemon)


# 4. A cancel between the handler's return and the body


async def test_trap_4_a_cancel_before_the_body_is_entered_gives_everything_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    respond = Connection._respond

    async def leave_first(self: Connection, response: Response) -> None:
        self._exchange.disconnected()
        await respond(self, response)

    monkeypatch.setattr(Connection, "_respond", leave_first)
    async with (
        FakeModelServer(behaviour=Ok(["a"] * 1000, between=0.05)) as fake,
        running(endpoint(fake, max_concurrent=1)) as daemon,
        raw_client(daemon) as http,
    ):
        with trio.fail_after(SECONDS):
            await http.send(request("POST", CHAT, chat(stream=True)))
            await fake.wait_for(1)
            await fake.chats[0].disconnected.wait()
            await until(lambda: not daemon.app.exchanges)
        (one,) = daemon.service.fleet
        assert one.in_flight == 0


# 5. Response timeout


async def test_trap_5_no_time_limit_of_quart_cuts_a_stream() -> None:
    async with FakeModelServer(behaviour=Ok(["a"] * 10, between=0.05)) as fake, running(fake) as daemon:
        daemon.app.config["RESPONSE_TIMEOUT"] = 0.1  # quart's default: 60 s
        async with client(daemon) as http:
            answer = await http.post(CHAT, json=chat(stream=True))
        assert answer.text.endswith("data: [DONE]\n\n")


# 7. Ending early looks like a clean end


@pytest.mark.parametrize("how", ["fin", "reset"])
@pytest.mark.parametrize("extra", [0, 10])
async def test_trap_7_a_stream_that_is_cut_short_does_not_end_like_a_whole_one(how: str, extra: int) -> None:
    async with (
        FakeModelServer(behaviour=Cut(Ok(["a"] * 20), 3, how, extra=extra)) as fake,  # type: ignore[arg-type]
        running(fake) as daemon,
        raw_client(daemon) as http,
    ):
        with trio.fail_after(SECONDS):
            await http.send(request("POST", CHAT, chat(stream=True)))
            received = await http.rest()
        assert received.count(b'"content":"a"') >= 1
        assert b"[DONE]" not in received
        assert not received.endswith(b"0\r\n\r\n")
        event = received.rsplit(b"data: ", 1)[1].split(b"\n")[0]
        assert json.loads(event)["error"]["code"] == "upstream_failed"
        async with client(daemon) as sdk:
            with pytest.raises(httpx.RemoteProtocolError):
                await sdk.post(CHAT, json=chat(stream=True))


async def test_trap_7_a_long_buffered_answer_that_is_cut_short_ends_without_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(attempt, "MAX_BUFFERED", 100_000)
    async with (
        FakeModelServer(behaviour=Cut(Ok(["a" * 500_000], framing="chunked"), 1, extra=200_000)) as fake,
        running(fake) as daemon,
        client(daemon) as http,
    ):
        with trio.fail_after(SECONDS), pytest.raises(httpx.RemoteProtocolError):
            await http.post(CHAT, json=chat())


# 14. A cancel while connecting


async def test_trap_14_a_cancel_while_connecting_leaks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    connecting = 0
    patience = {"connect_timeout_seconds": 60}
    async with FakeModelServer(behaviour=Hang()) as fake, running(fake, server=patience) as daemon:

        async def connect(_self: Transport, _origin: Origin) -> None:
            nonlocal connecting
            connecting += 1
            await trio.sleep_forever()

        monkeypatch.setattr(Transport, "connect", connect)
        (one,) = daemon.service.fleet
        transport = one.upstream._transport
        await transport.aclose()  # the probe's connection, which would be used otherwise
        for number in range(20):
            async with raw_client(daemon) as http:
                await http.send(request("POST", CHAT, chat(stream=True)))
                await until(lambda: connecting > number)  # noqa: B023  # awaited at once
        await nothing_left(daemon)
        assert "0 connecting, 0 active, 0 idle" in repr(transport)

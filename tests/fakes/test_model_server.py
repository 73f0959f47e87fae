"""The fake model server does exactly what it is told: tests of it are tests of every test that uses it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

import httpx
import pytest
import trio
import trio.testing

from tests.fakes import model_server
from tests.fakes.model_server import (
    Behaviour,
    Bytewise,
    Cut,
    Delay,
    Drop,
    Exchange,
    FakeModelServer,
    Flapping,
    Hang,
    Ok,
    Raw,
    Reset,
    Status,
    context_exceeded,
    empty_200,
    error_after,
    error_first,
    forbidden,
    garbage_json,
    html_200,
    html_502,
    image_unsupported,
    loading,
    model_missing,
    not_implemented,
    overloaded,
    rate_limited,
    redirect,
    truncated_chunked,
    truncated_length,
    unauthorized,
)

ASK = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
STREAM = {**ASK, "stream": True}


async def ask(server: FakeModelServer, body: dict[str, Any] | None = None) -> httpx.Response:
    with trio.fail_after(5):
        async with httpx.AsyncClient(trust_env=False, timeout=None) as client:
            return await client.post(f"{server.base_url}/chat/completions", json=body or ASK)


async def converse(server: FakeModelServer, body: dict[str, Any] | None = None) -> bytes:
    """Everything that the server sends on one connection, until it closes it; raises where it is reset."""
    content = json.dumps(body or ASK).encode()
    request = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(content)
    with trio.fail_after(5):
        async with await trio.open_tcp_stream(server.host, server.port) as stream:
            await stream.send_all(request + content)
            return b"".join([data async for data in stream])


def test_every_documented_name_exists() -> None:
    for name in model_server.__all__:
        assert hasattr(model_server, name), name


async def test_a_buffered_answer_and_what_is_recorded() -> None:
    async with FakeModelServer("qwen") as server:
        answer = await ask(server)
        assert answer.json()["choices"][0]["message"]["content"] == "Hello from the fake model."
        assert answer.json()["model"] == "qwen"
        (request,) = server.chats
        assert (request.method, request.target) == ("POST", "/v1/chat/completions")
        assert request.json() == ASK
        assert request.header("CONTENT-type") == "application/json"
        assert request.answered.is_set()
        assert not request.disconnected.is_set()


async def test_a_stream_with_its_role_texts_finish_usage_and_end() -> None:
    async with FakeModelServer() as server:
        answer = await ask(server, {**STREAM, "stream_options": {"include_usage": True}})
        assert answer.headers["content-type"] == "text/event-stream"
        *events, done = [line[6:] for line in answer.text.splitlines() if line]
        assert done == "[DONE]"
        role, *texts, finish, usage = [json.loads(event) for event in events]
        assert role["choices"][0]["delta"]["role"] == "assistant"
        assert (
            "".join(text["choices"][0]["delta"]["content"] for text in texts) == "Hello from the fake model."
        )
        assert finish["choices"][0]["finish_reason"] == "stop"
        assert usage["choices"] == []
        assert usage["usage"]["completion_tokens"] == 6


async def test_the_list_of_models_and_scripted_paths() -> None:
    async with FakeModelServer("qwen") as server, httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"{server.base_url}/models")).json()["data"][0]["id"] == "qwen"
        server.models = loading()
        assert (await client.get(f"{server.base_url}/models")).status_code == 503
        server.paths["/health"] = Status(200, {"status": "ok"})
        assert (await client.get(f"http://127.0.0.1:{server.port}/health")).json() == {"status": "ok"}
        assert (await client.get(f"http://127.0.0.1:{server.port}/nothing")).status_code == 404
        assert (await client.get(f"{server.base_url}/chat/completions")).status_code == 405
        assert len(server.probes) == 2
        assert server.connections == 1  # keep-alive: all on one


@pytest.mark.parametrize(
    ("behaviour", "status"),
    [
        (loading(), 503),
        (overloaded(), 503),
        (rate_limited(3), 429),
        (unauthorized(), 401),
        (forbidden(), 403),
        (model_missing(), 404),
        (context_exceeded(), 400),
        (not_implemented(), 501),
        (image_unsupported(), 500),
        (html_200(), 200),
        (html_502(), 502),
        (garbage_json(), 200),
        (empty_200(), 200),
        (redirect("http://elsewhere/"), 307),
        (error_first(), 200),
        (error_after(2), 200),
        (Status(418, {"tea": True}), 418),
        (Bytewise(Ok(), 7), 200),
        (Delay(0.01), 200),
        (Ok(stream=True, framing="close"), 200),
        (Ok(stream=True, framing="length"), 200),
        (Ok(framing="chunked"), 200),
        (Ok(framing="close", content_type=""), 200),
        (Ok(then="close"), 200),
        (Ok(then="stale"), 200),
        (Ok(first_after=0.01, between=0.001, crlf=True, prelude=[b": busy\r\n\r\n", 0.01], stream=True), 200),
    ],
)
async def test_whole_answers_are_valid_http(behaviour: Behaviour, status: int) -> None:
    async with FakeModelServer(behaviour=behaviour) as server:
        for _ in range(2):
            answer = await ask(server)
            assert answer.status_code == status
        assert all(request.answered.is_set() for request in server.chats)


async def test_one_shot_behaviours_come_before_the_default_one() -> None:
    async with FakeModelServer() as server:
        server.queue(loading(), unauthorized())
        assert [(await ask(server)).status_code for _ in range(3)] == [503, 401, 200]


async def test_flapping_fails_every_nth() -> None:
    async with FakeModelServer(behaviour=Flapping(Ok(), loading(), 3)) as server:
        assert [(await ask(server)).status_code for _ in range(6)] == [200, 200, 503, 200, 200, 503]


@pytest.mark.parametrize(
    "behaviour",
    [Drop("fin"), Drop("fin", b"HTTP/1.1 200"), truncated_chunked(), truncated_length(), Cut(Ok(), 3)],
)
async def test_an_answer_that_is_cut_off_is_seen_as_broken(behaviour: Behaviour) -> None:
    async with FakeModelServer(behaviour=behaviour) as server:
        with pytest.raises(httpx.RemoteProtocolError):
            await ask(server, STREAM)
        assert not server.chats[0].disconnected.is_set()


@pytest.mark.parametrize("behaviour", [Reset(), Reset(b"HTTP/1.1 200 OK\r\n"), Cut(Ok(), 2, "reset")])
async def test_a_reset_is_a_reset(behaviour: Behaviour) -> None:
    async with FakeModelServer(behaviour=behaviour) as server:
        with pytest.raises(trio.BrokenResourceError):
            await converse(server, STREAM)


async def test_a_cut_counts_pieces_and_bytes() -> None:
    async with FakeModelServer() as server:
        server.queue(Cut(Ok(), 2), Cut(Ok(), 2, extra=12), Cut(Ok(), None), Cut(Ok(done=False), 0))
        two = await converse(server, STREAM)
        assert two.count(b"data: ") == 2
        assert two.endswith(b"\n\n\r\n")
        more = await converse(server, STREAM)
        assert more.count(b"data: ") == 3
        assert len(more) == len(two) + 12
        whole = await converse(server, STREAM)
        assert whole.endswith(b"data: [DONE]\n\n\r\n")  # ... and no last chunk
        head = await converse(server, STREAM)
        assert head.endswith(b"\r\n\r\n")


async def test_a_connection_that_stalls_notices_the_client_leave() -> None:
    async with FakeModelServer() as server:
        for behaviour in (Hang(), Cut(Ok(), 1, "stall"), Ok(between=60), Delay(60)):
            server.queue(behaviour)
            with trio.move_on_after(0.1):
                await converse(server, STREAM)
            with trio.fail_after(1):
                await server.chats[-1].disconnected.wait()
            assert not server.chats[-1].answered.is_set()
        await trio.testing.wait_all_tasks_blocked()
        assert server.connections == 0


async def test_raw_bytes_pass_as_they_are() -> None:
    wire = b"HTTP/1.1 299 Odd\r\ncontent-LENGTH: 2\r\n\r\nok"
    async with FakeModelServer(behaviour=Raw([wire[:9], 0.01, wire[9:]])) as server:
        assert await converse(server) == wire
        server.behaviour = Bytewise(Raw([wire]))
        assert await converse(server) == wire


@pytest.mark.parametrize("accepting", ["reset", "close"])
async def test_a_connection_that_dies_when_made(accepting: Any) -> None:
    async with FakeModelServer() as server:
        server.accepting = accepting
        with suppress(trio.BrokenResourceError):  # closed with our request unread, it is reset as well
            assert await converse(server) == b""
        assert (server.accepted, list(server.requests)) == (1, [])


async def test_stop_kills_and_refuses_and_restart_revives() -> None:
    async with FakeModelServer(behaviour=Cut(Ok(), 1, "stall")) as server:
        url = server.base_url
        async with trio.open_nursery() as nursery:

            async def broken() -> None:
                with pytest.raises(httpx.HTTPError):
                    await ask(server, STREAM)

            nursery.start_soon(broken)
            await server.wait_for(1)
            await server.stop(reset=True)
        assert not server.up
        assert server.connections == 0
        with pytest.raises(httpx.ConnectError):
            await ask(server)
        await server.restart()
        server.behaviour = Ok()
        assert server.base_url == url
        assert (await ask(server)).status_code == 200


async def test_a_stale_connection_is_closed_only_after_its_answer() -> None:
    async with FakeModelServer(behaviour=Ok(then="stale")) as server:
        answer = await converse(server)
        assert b"200 OK" in answer
        assert b"onnection:" not in answer


async def test_an_early_answer_comes_before_the_body() -> None:
    async with FakeModelServer(behaviour=unauthorized()) as server:
        server.early = True
        with trio.fail_after(5):
            async with await trio.open_tcp_stream(server.host, server.port) as stream:
                await stream.send_all(
                    b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"
                )
                assert b" 401 " in await stream.receive_some()


async def test_a_connection_in_memory_under_virtual_time(autojump_clock: trio.testing.MockClock) -> None:
    async with FakeModelServer(behaviour=Ok(first_after=3600), limit=7200) as server:
        stream = await server.connect()
        await stream.send_all(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
        assert b"200 OK" in await stream.receive_some()
        assert trio.current_time() - server.chats[0].at == pytest.approx(3600)
        await server.stop()
        with pytest.raises(ConnectionRefusedError):
            await server.connect()


async def test_a_behaviour_of_the_tests_own_and_an_error_in_the_test() -> None:
    async def teapot(exchange: Exchange) -> None:
        await exchange.head(418, framing="length", body=exchange.request.body)

    with pytest.raises(ZeroDivisionError):  # noqa: PT012
        async with FakeModelServer(behaviour=teapot) as server:
            assert (await ask(server)).json() == ASK
            _ = 1 / 0


async def test_many_at_once() -> None:
    async with FakeModelServer(behaviour=Ok(between=0.001)) as server, trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(converse_and_close, server)
    assert len(server.chats) == 50


async def converse_and_close(server: FakeModelServer) -> None:
    assert (await ask(server, STREAM)).text.endswith("data: [DONE]\n\n")


def test_as_a_process_of_its_own() -> None:
    command = [sys.executable, "-m", "tests.fakes.model_server", "--name", "p", "--tokens", "3"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[-1]
            answer = httpx.post(f"{url}/chat/completions", json=ASK, trust_env=False, timeout=5)
            assert answer.json()["usage"]["completion_tokens"] == 3
        finally:
            process.terminate()
            deadline = time.monotonic() + 5
            while process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)

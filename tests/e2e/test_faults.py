"""Real llama.cpp servers that are killed, frozen, ended, started late and full: what the clients see, and who answers."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx
import openai
import pytest
import trio

from demo.llama_server import LlamaServer
from demo.run import free_port
from octoroute.config.model import Endpoint
from octoroute.daemon import Daemon
from tests.serving import config_for, running, until

Fleet = dict[str, LlamaServer]
CHAT = "/v1/chat/completions"
SECONDS = 60
LONG = "Write down all the numbers from one to a thousand, as words. " * 40
"""About 600 tokens: reading them takes llama.cpp half a second on one thread, in which it says nothing."""


def endpoint(server: LlamaServer, **settings: Any) -> Endpoint:
    return Endpoint(name=server.alias, base_url=server.base_url, **settings)


@asynccontextmanager
async def routed(*endpoints: Endpoint, **tables: Any) -> AsyncGenerator[tuple[Daemon, httpx.AsyncClient]]:
    """Octoroute before real servers in one tier; with `deep`, another one has that endpoint."""
    deep = tables.pop("deep", None)
    models: Any = {"fast": list(endpoints), **({"deep": [deep]} if deep else {})}
    health = {"interval_seconds": 0.5, "timeout_seconds": 2, "unhealthy_after": 2}
    config = config_for(models, **{"health": health, **tables})
    async with (
        running(config) as daemon,
        httpx.AsyncClient(base_url=daemon.url, trust_env=False, timeout=SECONDS) as http,
    ):
        yield daemon, http
        await until(lambda: not daemon.app.exchanges)
        assert all(each.in_flight == 0 for each in daemon.service.fleet)


def asking(prompt: str = "Count.", tokens: int = 400, **fields: Any) -> dict[str, Any]:
    # Forbidding the end of the text makes the length certain.
    messages = [{"role": "user", "content": prompt}]
    return {"model": "fast", "messages": messages, "max_tokens": tokens, "ignore_eos": True, **fields}


def state(daemon: Daemon, server: LlamaServer) -> str:
    return next(each for each in daemon.service.fleet if each.name == server.alias).health.state


def signalled(server: LlamaServer, number: signal.Signals) -> None:
    assert server.pid is not None
    os.kill(server.pid, number)


@contextmanager
def frozen(server: LlamaServer) -> Iterator[None]:
    """Stopped by SIGSTOP: it accepts connections (the kernel does), and is silent."""
    signalled(server, signal.SIGSTOP)
    try:
        yield
    finally:
        signalled(server, signal.SIGCONT)


async def stream_until_broken(http: httpx.AsyncClient, after: int, do: Any) -> tuple[httpx.Response, bytes]:
    """Stream; after so many events `do()`; return the answer and all that came of it."""
    received = b""
    async with http.stream("POST", CHAT, json=asking(stream=True)) as answer:
        assert answer.status_code == 200
        try:
            async for chunk in answer.aiter_raw():
                received += chunk
                if do is not None and received.count(b"data: ") >= after:
                    do, done = None, do
                    done()
        except httpx.RemoteProtocolError:
            return answer, received
    raise AssertionError("it did not break")


def error_of(received: bytes) -> dict[str, Any]:
    """The error event at the end of a broken stream."""
    assert b"[DONE]" not in received
    before, _, event = received.rpartition(b"\n\ndata: ")
    assert before.count(b"data: ") > 5
    error = json.loads(event)["error"]
    assert isinstance(error, dict)
    return error


# Killed


@pytest.mark.parametrize("stream", [True, False])
async def test_killed_before_it_has_said_a_word_another_one_answers(fleet: Fleet, stream: bool) -> None:
    doomed, other = fleet["balanced"], fleet["deep"]
    async with routed(endpoint(doomed, priority=2), endpoint(other)) as (daemon, http):
        answers: list[httpx.Response] = []

        async def ask() -> None:
            body = asking(LONG, tokens=20 if stream else 120, stream=stream)
            answers.append(await http.post(CHAT, json=body))

        with trio.fail_after(SECONDS):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask)
                await until(lambda: any(each.in_flight for each in daemon.service.fleet))
                await trio.sleep(0.1)
                doomed.kill()
        (answer,) = answers
        assert answer.status_code == 200
        assert answer.headers["x-octoroute-endpoint"] == other.alias
        assert answer.headers["x-octoroute-attempts"] == "2"
        assert answer.text.endswith("data: [DONE]\n\n") is stream


async def test_killed_in_mid_stream_the_openai_sdk_raises_and_the_next_request_is_answered(
    fleet: Fleet,
) -> None:
    doomed, other = fleet["fast"], fleet["deep"]
    async with routed(endpoint(doomed, priority=2), endpoint(other)) as (daemon, http):

        def stream_and_kill(sdk: openai.OpenAI) -> None:
            with sdk.chat.completions.create(
                model="fast",
                messages=[{"role": "user", "content": "Count."}],
                max_tokens=1000,
                stream=True,
                extra_body={"ignore_eos": True},
            ) as stream:
                for number, _ in enumerate(stream):
                    if number == 10:
                        doomed.kill()

        def ask_again(sdk: openai.OpenAI) -> str:
            messages: Any = [{"role": "user", "content": "Hi"}]
            return sdk.chat.completions.create(model="fast", messages=messages, max_tokens=5).model

        with (
            openai.OpenAI(base_url=f"{daemon.url}/v1", api_key="none", max_retries=0, timeout=SECONDS) as sdk,
            trio.fail_after(SECONDS),
        ):
            with pytest.raises(openai.APIError, match="broke off its answer"):
                await trio.to_thread.run_sync(stream_and_kill, sdk)
            assert await trio.to_thread.run_sync(ask_again, sdk) == other.alias
        doomed.start()
        await until(lambda: state(daemon, doomed) == "healthy")
        answer = await http.post(CHAT, json=asking(tokens=5))
        assert answer.headers["x-octoroute-endpoint"] == doomed.alias


async def test_ended_by_sigterm_in_mid_stream_the_break_shows(fleet: Fleet) -> None:
    doomed, other = fleet["fast"], fleet["deep"]
    async with routed(endpoint(doomed, priority=2), endpoint(other)) as (_, http):
        with trio.fail_after(SECONDS):
            answer, received = await stream_until_broken(http, 10, lambda: signalled(doomed, signal.SIGTERM))
            assert answer.headers["x-octoroute-endpoint"] == doomed.alias
            assert error_of(received)["code"] == "upstream_failed"
            answer = await http.post(CHAT, json=asking(tokens=5))
            assert answer.headers["x-octoroute-endpoint"] == other.alias


# Frozen


async def test_frozen_in_mid_stream_the_idle_limit_ends_it(fleet: Fleet) -> None:
    server = fleet["fast"]
    limits = {"stream_idle_timeout_seconds": 1.5}
    async with routed(endpoint(server), server=limits) as (daemon, http):
        try:
            with trio.fail_after(SECONDS):
                _, received = await stream_until_broken(http, 10, lambda: signalled(server, signal.SIGSTOP))
        finally:
            signalled(server, signal.SIGCONT)
        error = error_of(received)
        assert error["code"] == "timeout"
        assert error["message"] == "The model server sent nothing for 1.5 s."
        await until(lambda: state(daemon, server) == "healthy")
        assert (await http.post(CHAT, json=asking(tokens=5))).status_code == 200


async def test_frozen_another_one_answers_and_it_comes_back(fleet: Fleet) -> None:
    server, other = fleet["fast"], fleet["deep"]
    async with routed(
        endpoint(server, priority=2), endpoint(other), server={"request_timeout_seconds": 3}
    ) as (daemon, http):
        with trio.fail_after(SECONDS):
            with frozen(server):
                answer = await http.post(CHAT, json=asking(tokens=5, stream=True))
                assert answer.status_code == 200
                assert answer.headers["x-octoroute-endpoint"] == other.alias
                assert answer.headers["x-octoroute-attempts"] == "2"
                await until(lambda: state(daemon, server) == "unhealthy")
                answer = await http.post(CHAT, json=asking(tokens=5))
                assert answer.headers["x-octoroute-attempts"] == "1"
            await until(lambda: state(daemon, server) == "healthy")
            answer = await http.post(CHAT, json=asking(tokens=5))
            assert answer.headers["x-octoroute-endpoint"] == server.alias


# Started late


async def slowed(server: LlamaServer) -> None:
    """Give a server so little of the processor that it loads for seconds."""
    try:
        while True:
            signalled(server, signal.SIGSTOP)
            await trio.sleep(0.06)
            signalled(server, signal.SIGCONT)
            await trio.sleep(0.02)
    finally:
        signalled(server, signal.SIGCONT)


@pytest.mark.parametrize("alone", [True, False])
async def test_started_late_and_loading_for_seconds(fleet: Fleet, alone: bool) -> None:
    """While nobody listens, another tier stands in, or it is a 502. While it loads, it is waited for."""
    late = LlamaServer("late", port=free_port(18200))
    deep = None if alone else endpoint(fleet["deep"])
    async with routed(endpoint(late), deep=deep, server={"keepalive_seconds": 0.5}) as (daemon, http):
        with trio.fail_after(SECONDS):
            answer = await http.post(CHAT, json=asking(tokens=5))
            if alone:
                assert answer.status_code == 502
                assert "could not be reached" in answer.json()["error"]["message"]
            else:
                assert answer.headers["x-octoroute-endpoint"] == "smollm2-deep"
                assert answer.headers["x-octoroute-reason"] == "fallback_up"
            try:
                async with trio.open_nursery() as nursery:
                    late.launch()
                    nursery.start_soon(slowed, late)
                    await until(lambda: state(daemon, late) == "warming")
                    answer = await http.post(CHAT, json=asking(tokens=5, stream=True))
                    nursery.cancel_scope.cancel("it has loaded")
                assert answer.status_code == 200
                assert answer.text.startswith(": ")  # meanwhile the client was told that it is not forgotten
                assert ": octoroute tier=fast endpoint=late" in answer.text
                assert answer.text.endswith("data: [DONE]\n\n")
                answer = await http.post(CHAT, json=asking(tokens=5))
                assert answer.headers["x-octoroute-endpoint"] == "late"
            finally:
                late.kill()


# All slots busy


@pytest.mark.parametrize("max_concurrent", [None, 2])
async def test_all_slots_busy_nobody_is_lost(fleet: Fleet, max_concurrent: int | None) -> None:
    """Without `max_concurrent` the requests wait in llama.cpp, which says nothing meanwhile; with it, here."""
    server = fleet["fast"]
    clients = 3 * server.parallel
    texts: list[str] = []
    most_waiting = 0
    async with routed(endpoint(server, max_concurrent=max_concurrent), server={"keepalive_seconds": 0.3}) as (
        daemon,
        http,
    ):

        async def ask() -> None:
            answer = await http.post(CHAT, json=asking(tokens=40, stream=True))
            texts.append(answer.text)

        async def watch() -> None:
            nonlocal most_waiting
            while True:
                most_waiting = max(most_waiting, daemon.service.fleet.admission["fast"].waiting)
                await trio.sleep(0.02)

        with trio.fail_after(SECONDS):
            async with trio.open_nursery() as watching:
                watching.start_soon(watch)
                async with trio.open_nursery() as nursery:
                    for _ in range(clients):
                        nursery.start_soon(ask)
                watching.cancel_scope.cancel("all are answered")
        assert len(texts) == clients
        assert all(text.endswith("data: [DONE]\n\n") and '"error"' not in text for text in texts)
        assert most_waiting == (clients - max_concurrent if max_concurrent else 0)
        # Who waited was kept alive, whoever it waited for.
        assert sum(text.startswith(": ") for text in texts) >= server.parallel

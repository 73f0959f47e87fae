"""`POST /v1/chat/completions`: where a request goes, what its answer says of it; and OpenAI's own client, unchanged."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any, TypeVar

import httpx
import openai
import pytest
import trio

from octoroute.config.model import Secret
from octoroute.daemon import Daemon
from octoroute.fleet.selection import Candidate, select
from tests.fakes.model_server import Cut, FakeModelServer, Hang, Ok, bad_request, internal_error, rate_limited
from tests.serving import chat, client, connect, endpoint, running, until

CHAT = "/v1/chat/completions"


@pytest.mark.parametrize(
    ("headers", "metadata", "tier", "reason"),
    [
        ({"X-Octoroute-Importance": "high"}, None, "deep", "important"),
        ({"x-octoroute-task-type": "Casual_Chat"}, None, "fast", "casual_chat"),
        ({}, {"task_type": "casual_chat", "importance": "LOW"}, "fast", "casual_chat"),
        ({}, {"task_type": "code"}, "balanced", "code"),
        ({"X-Octoroute-Task-Type": "deep_analysis"}, {"task_type": "casual_chat"}, "deep", "deep_analysis"),
        ({"X-Octoroute-Importance": "low"}, {"task_type": "creative_writing"}, "deep", "creative_writing"),
    ],
)
@pytest.mark.parametrize("model", ["auto", "AUTO", "", None])
async def test_what_a_request_says_of_itself(
    headers: dict[str, str], metadata: Any, tier: str, reason: str, model: str | None
) -> None:
    async with (
        FakeModelServer("one") as one,
        FakeModelServer("two") as two,
        FakeModelServer("three") as three,
        running({"fast": one, "balanced": two, "deep": three}) as daemon,
        client(daemon) as http,
    ):
        body: dict[str, Any] = {**chat(text="abc"), "model": model}
        if metadata is not None:
            body["metadata"] = metadata
        answer = await http.post(CHAT, json=body, headers=headers)
        assert answer.headers["x-octoroute-tier"] == tier
        assert answer.headers["x-octoroute-strategy"] == "rule"
        assert answer.headers["x-octoroute-reason"] == reason
        assert "x-octoroute-warning" not in answer.headers
        asked = [server for server in (one, two, three) if server.chats]
        assert len(asked) == 1
        assert asked[0].chats[0].json().get("metadata") == metadata


async def test_without_a_model_it_is_auto() -> None:
    async with FakeModelServer("one") as one, running({"balanced": one}) as daemon, client(daemon) as http:
        answer = await http.post(CHAT, json={"messages": chat()["messages"]})
        assert answer.headers["x-octoroute-strategy"] == "rule"
        assert one.chats[0].json()["model"] == "one"


@pytest.mark.parametrize(
    ("model", "served_by", "reason"),
    [
        ("fast", "qwen", "tier_requested"),
        ("DEEP", "llama", "tier_requested"),
        ("qwen", "qwen", "endpoint_requested"),
        ("QWEN", "qwen", "endpoint_requested"),
        ("Big", "llama", "endpoint_requested"),
        ("llama", "llama", "endpoint_requested"),
    ],
)
async def test_names(model: str, served_by: str, reason: str) -> None:
    async with FakeModelServer("qwen") as qwen, FakeModelServer("llama") as llama:
        models: Any = {"fast": qwen, "deep": endpoint(llama, aliases=("big",), model="llama-3.3")}
        async with running(models) as daemon, client(daemon) as http:
            answer = await http.post(CHAT, json=chat(model))
            assert answer.headers["x-octoroute-model"] == served_by
            assert answer.headers["x-octoroute-reason"] == reason
            assert answer.headers["x-octoroute-strategy"] == "direct"
            server = qwen if served_by == "qwen" else llama
            assert server.chats[0].json()["model"] == ("llama-3.3" if server is llama else "qwen")


# Selection

SEED = 20_260_101


def test_weights_are_kept_within_statistics() -> None:
    weights = {"a": 1.0, "b": 3.0, "c": 6.0}
    candidates = [Candidate(name, rank=0, weight=weight) for name, weight in weights.items()]
    random = Random(SEED)  # no secret
    chosen = [select(candidates, (), random) for _ in range(10_000)]
    for name, weight in weights.items():
        # Five standard deviations of a binomial count.
        share = weight / 10
        assert abs(chosen.count(name) - 10_000 * share) < 5 * (10_000 * share * (1 - share)) ** 0.5


@pytest.mark.parametrize("excluded", [set[str](), {"a"}, {"a", "b"}])
def test_priority_comes_before_weight(excluded: set[str]) -> None:
    candidates = [
        Candidate("a", rank=0, priority=3, weight=0.1),
        Candidate("b", rank=0, priority=2, weight=0.1),
        Candidate("c", rank=0, priority=1, weight=1000),
    ]
    random = Random(SEED)  # no secret
    best = next(c.id for c in candidates if c.id not in excluded)
    assert {select(candidates, excluded, random) for _ in range(200)} == {best}


async def test_a_share_of_the_requests_by_weight() -> None:
    async with (
        FakeModelServer("a") as a,
        FakeModelServer("b") as b,
        running([endpoint(a, weight=4), endpoint(b, weight=1)]) as daemon,
        client(daemon) as http,
    ):
        daemon.service.fleet._random = Random(SEED)  # no secret
        for _ in range(50):
            await http.post(CHAT, json=chat())
        assert 32 <= len(a.chats) <= 47
        assert len(a.chats) + len(b.chats) == 50


# The queue


async def test_a_full_endpoint_queues_and_stays_in_its_tier() -> None:
    async with (
        FakeModelServer("small", behaviour=Ok(first_after=0.02)) as small,
        FakeModelServer("large") as large,
        running({"fast": endpoint(small, max_concurrent=2), "deep": large}) as daemon,
        client(daemon) as http,
    ):
        most = 0

        async def ask() -> None:
            nonlocal most
            answer = await http.post(CHAT, json=chat())
            assert answer.status_code == 200
            assert answer.headers["x-octoroute-tier"] == "fast"
            most = max(most, small.connections)

        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(ask)
            await until(lambda: daemon.service.fleet.admission["fast"].waiting >= 10)
            assert next(iter(daemon.service.fleet)).in_flight == 2
        assert not large.chats
        assert most <= 2
        await until(lambda: next(iter(daemon.service.fleet)).in_flight == 0)


async def test_too_many_and_too_long_waits_are_refused() -> None:
    async with (
        FakeModelServer("small", behaviour=Hang()) as small,
        FakeModelServer("large") as large,
        running(
            {"fast": endpoint(small, max_concurrent=1), "deep": large},
            queue={"max_waiting": 2, "max_wait_seconds": 0.3},
        ) as daemon,
        client(daemon) as http,
    ):
        refusals: list[str] = []

        async def ask() -> None:
            answer = await http.post(CHAT, json=chat())
            assert answer.status_code == 429
            assert 1 <= int(answer.headers["retry-after"]) <= 30
            assert answer.json()["error"]["code"] == "queue_full"
            refusals.append(answer.json()["error"]["message"])

        async with await connect(daemon) as holder:
            body = b'{"model":"fast","messages":[{"role":"user"}]}'
            await holder.send_all(
                b"POST %b HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n%b"
                % (CHAT.encode(), len(body), body)
            )
            with trio.fail_after(10):
                await small.wait_for(1)
                async with trio.open_nursery() as nursery:
                    for _ in range(4):
                        nursery.start_soon(ask)
        assert sorted("wait already" in refusal for refusal in refusals) == [False, False, True, True]
        assert sorted("within 0.3 s" in refusal for refusal in refusals) == [False, False, True, True]
        assert not large.chats
        await until(lambda: next(iter(daemon.service.fleet)).in_flight == 0)


async def test_clients_take_turns() -> None:
    """One with twenty requests in the queue does not starve one with a single one."""
    keys = {"api_keys": (Secret("greedy"), Secret("modest"))}
    async with (
        FakeModelServer("small", behaviour=Ok(first_after=0.01)) as small,
        running(endpoint(small, max_concurrent=1), auth=keys) as daemon,
        client(daemon) as http,
    ):
        done: list[str] = []

        async def ask(key: str) -> None:
            await http.post(CHAT, json=chat(), headers={"X-Api-Key": key})
            done.append(key)

        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(ask, "greedy")
            await until(lambda: daemon.service.fleet.admission["fast"].waiting >= 15)
            before = len(done)
            nursery.start_soon(ask, "modest")
        assert done.index("modest") - before <= 6
        assert len(done) == 21


@pytest.mark.parametrize(
    "behaviour",
    [
        Ok(),
        internal_error(),
        bad_request(),
        rate_limited(),
        Hang(),
        Ok(first_after=20),
        Cut(Ok(), 2),
        Cut(Ok(), 2, "stall"),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_the_place_is_given_back_in_every_ending(behaviour: Any, stream: bool) -> None:
    limits = {"request_timeout_seconds": 0.2, "stream_idle_timeout_seconds": 0.2}
    async with (
        FakeModelServer("small", behaviour=behaviour) as small,
        running(endpoint(small, max_concurrent=1), server=limits) as daemon,
        client(daemon) as http,
    ):
        for _ in range(2):  # the second one needs the place of the first
            with suppress(httpx.RemoteProtocolError):  # a cut answer, as it should be
                await http.post(CHAT, json=chat(stream=stream))
            await until(lambda: next(iter(daemon.service.fleet)).in_flight == 0)
        await until(lambda: not daemon.app.exchanges)


# OpenAI's client, as people use it: in a thread, as its asynchronous one leaves generators behind under trio

HI: list[Any] = [{"role": "user", "content": "hi"}]
Found = TypeVar("Found")


async def with_sdk(daemon: Daemon, use: Callable[[openai.OpenAI], Found], api_key: str = "any") -> Found:
    def run() -> Found:
        with openai.OpenAI(base_url=f"{daemon.url}/v1", api_key=api_key, max_retries=0, timeout=15) as ai:
            return use(ai)

    with trio.fail_after(20):
        return await trio.to_thread.run_sync(run)


@pytest.fixture
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client looks for proxies in the environment."""
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.mark.usefixtures("direct")
@pytest.mark.parametrize("model", ["auto", "fast", "small"])
async def test_openais_client(model: str) -> None:
    def use(ai: openai.OpenAI) -> None:
        answer = ai.chat.completions.create(model=model, messages=HI)
        assert answer.choices[0].message.content == "Hello from the fake model."
        assert answer.usage is not None
        assert answer.usage.completion_tokens == 6
        text, usage = "", None
        with ai.chat.completions.create(
            model=model, messages=HI, stream=True, stream_options={"include_usage": True}
        ) as stream:
            for chunk in stream:
                usage = chunk.usage or usage
                if chunk.choices:
                    text += chunk.choices[0].delta.content or ""
        assert text == "Hello from the fake model."
        assert usage is not None
        assert usage.completion_tokens == 6
        raw = ai.chat.completions.with_raw_response.create(model=model, messages=HI)
        assert raw.headers["x-octoroute-tier"] == "fast"
        assert raw.headers["x-request-id"]

    async with FakeModelServer("small") as small, running(small) as daemon:
        await with_sdk(daemon, use)
        await until(lambda: not daemon.app.exchanges)


@pytest.mark.usefixtures("direct")
async def test_openais_client_lists_models() -> None:
    def use(ai: openai.OpenAI) -> None:
        assert [model.id for model in ai.models.list()] == ["auto", "fast", "balanced", "deep", "small"]
        assert ai.models.retrieve("small").owned_by == "user"

    async with FakeModelServer("small") as small, running(small) as daemon:
        await with_sdk(daemon, use)


@pytest.mark.usefixtures("direct")
async def test_openais_client_understands_our_errors() -> None:
    async with FakeModelServer("small") as small, running(small) as daemon:

        def ask(ai: openai.OpenAI) -> None:
            ai.chat.completions.create(model="fast", messages=HI)

        def ask_for_a_stream(ai: openai.OpenAI) -> None:
            with ai.chat.completions.create(model="fast", messages=HI, stream=True) as stream:
                for _ in stream:
                    pass

        with pytest.raises(openai.NotFoundError, match="There is no model") as missing:
            await with_sdk(daemon, lambda ai: ai.chat.completions.create(model="gpt-4o", messages=HI))
        assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
        assert missing.value.request_id
        with pytest.raises(openai.BadRequestError, match="at least one"):
            await with_sdk(daemon, lambda ai: ai.chat.completions.create(model="fast", messages=[]))
        small.behaviour = rate_limited(3)
        with pytest.raises(openai.RateLimitError, match="Rate limit reached") as limited:
            await with_sdk(daemon, ask)
        assert limited.value.response.headers["retry-after"] == "3"
        small.behaviour = internal_error()
        with pytest.raises(openai.InternalServerError, match="something broke"):
            await with_sdk(daemon, ask)
        small.behaviour = Cut(Ok(), 3)
        with pytest.raises(openai.APIError, match="broke off"):
            await with_sdk(daemon, ask_for_a_stream)


@pytest.mark.usefixtures("direct")
async def test_openais_client_and_keys() -> None:
    async with (
        FakeModelServer("small") as small,
        running(small, auth={"api_keys": (Secret("right"),)}) as daemon,
    ):
        with pytest.raises(openai.AuthenticationError, match="API key"):
            await with_sdk(daemon, lambda ai: ai.models.list())
        assert (await with_sdk(daemon, lambda ai: ai.models.list(), api_key="right")).data


@pytest.mark.usefixtures("direct")
async def test_openais_client_that_leaves_a_stream() -> None:
    def use(ai: openai.OpenAI) -> None:
        with ai.chat.completions.create(model="fast", messages=HI, stream=True) as stream:
            next(iter(stream))

    async with (
        FakeModelServer("small", behaviour=Ok([" word"] * 5000, between=0.02)) as small,
        running(small) as daemon,
    ):
        await with_sdk(daemon, use)
        with trio.fail_after(1):
            await small.chats[0].disconnected.wait()
        await until(lambda: not daemon.app.exchanges)

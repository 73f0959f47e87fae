"""The contract's table of answers, and who is asked next: the real daemon in front of scripted servers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx
import pytest
import trio

from octoroute.daemon import Daemon
from octoroute.fleet.endpoint import Endpoint
from tests.fakes.model_server import (
    Behaviour,
    Cut,
    Drop,
    Events,
    FakeModelServer,
    Hang,
    Ok,
    Reset,
    Status,
    bad_request,
    context_exceeded,
    empty_200,
    error_first,
    forbidden,
    garbage_json,
    html_200,
    html_502,
    image_unsupported,
    internal_error,
    llama_error,
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
from tests.serving import chat, client, endpoint, running, until

TIMEOUT = 0.4
"""Of an attempt, where a row is about that."""


@dataclass(frozen=True)
class Row:
    """One row of the contract's table. `status` is what the client gets when nothing else is left."""

    name: str
    behaviour: Behaviour | None
    status: int
    elsewhere: bool = True
    state: str = "healthy"
    failures: int = 1
    as_it_was: bool = False
    code: str | None = "upstream_failed"
    retry_after: str | None = None
    says: str = ""
    only: str = ""
    timeout: float = 10


def _answer(status: int, body: Mapping[str, Any]) -> Status:
    return Status(status, body, [("X-Server", "yes")])


ROWS = [
    Row("refused", None, 502, says="could not be reached"),
    Row("reset", Reset(), 502, says="closed the connection"),
    Row("closed without an answer", Drop("fin"), 502, says="broken answer"),
    Row("cut in the head", Drop("fin", b"HTTP/1.1 200 OK\r\nContent-Ty"), 502),
    Row("no HTTP", Drop("fin", b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), 502),
    Row("cut answer", truncated_length(), 502),
    Row("cut answer in chunks", truncated_chunked(), 502),
    Row("cut before the first event", Cut(Ok(), 0, extra=12), 502, only="stream"),
    Row("stream without an event", Events([b": hello\n\n"]), 502),
    Row("HTML", html_200(), 502, says="HTML"),
    Row("broken JSON", garbage_json(), 502),
    Row("JSON, but no object", Status(200, b"[1, 2]"), 502),
    Row("nothing", empty_200(), 502),
    Row("events for a buffered request", Ok(stream=True), 502, only="buffered", says="stream of events"),
    Row("500", internal_error(), 502, says="something broke"),
    Row("502 of a proxy", html_502(), 502),
    Row("504", Status(504), 502),
    Row("500 of a driver", llama_error(500, "CUDA error: operation not supported", "server_error"), 502),
    Row("redirect", redirect("http://127.0.0.1:9/v1/chat/completions"), 502),
    Row("error in a 200", _answer(200, {"error": {"message": "engine died"}}), 502, says="engine died"),
    Row("error as the first event", error_first(), 502, only="stream", says="the engine died"),
    Row("error event by name", Events([b'error: {"message": "old"}\n\n']), 502, only="stream"),
    Row("no answer in time", Hang(), 504, code="timeout", timeout=TIMEOUT, says="no answer within 0.4 s"),
    Row("no first event in time", Ok(first_after=30), 504, code="timeout", timeout=TIMEOUT),
    Row("503", overloaded(), 503, code="no_healthy_endpoint", retry_after="5", says="server busy"),
    Row(
        "503 with a long Retry-After",
        Status(503, b"", [("Retry-After", "3600")]),
        503,
        code="no_healthy_endpoint",
        retry_after="30",
    ),
    Row("429", rate_limited(7), 429, failures=0, state="busy", as_it_was=True, retry_after="7"),
    Row(
        "429 without a time",
        rate_limited(None),
        429,
        failures=0,
        state="busy",
        as_it_was=True,
        retry_after="5",
    ),
    Row("429 for long", rate_limited(120), 429, failures=0, state="busy", as_it_was=True, retry_after="30"),
    Row("401", unauthorized(), 502, state="misconfigured", failures=0, says="api_key"),
    Row("403", forbidden(), 502, state="misconfigured", failures=0, says="api_key"),
    Row("404", model_missing(), 502, state="misconfigured", failures=0, says="base_url"),
    Row("context exceeded", context_exceeded(), 400, elsewhere=False, failures=0, as_it_was=True),
    Row("501", not_implemented(), 400, failures=0, code="unsupported"),
    Row("no images", image_unsupported(), 400, failures=0, code="unsupported", says="image input"),
    Row("400", bad_request(), 400, elsewhere=False, failures=0, as_it_was=True),
    Row(
        "422 with headers",
        _answer(422, {"detail": "né 😀"}),
        422,
        elsewhere=False,
        failures=0,
        as_it_was=True,
    ),
    Row(
        "418 that is no JSON",
        Status(418, b"teapot\n\xff", content_type="text/plain"),
        418,
        elsewhere=False,
        failures=0,
        as_it_was=True,
    ),
]
CASES = [
    pytest.param(row, how == "stream", id=f"{row.name}, {how}")
    for row in ROWS
    for how in ("stream", "buffered")
    if row.only in {"", how}
]


async def play(server: FakeModelServer, row: Row) -> None:
    if row.behaviour is None:
        await server.stop()
    else:
        server.behaviour = row.behaviour


def of(daemon: Daemon, endpoint_id: str) -> Endpoint:
    return next(each for each in daemon.service.fleet if each.id == endpoint_id)


def idle(daemon: Daemon) -> bool:
    """Whether every place was given back, and nothing is under way."""
    return not daemon.app.exchanges and all(each.in_flight == 0 for each in daemon.service.fleet)


def judged(daemon: Daemon, row: Row) -> None:
    """The evidence that the row leaves."""
    health = of(daemon, "bad").health
    assert (health.state, health.failures) == (row.state, row.failures)


async def body_of(server: FakeModelServer, row: Row) -> bytes:
    """What the server itself answers, asked directly."""
    async with httpx.AsyncClient(trust_env=False) as http:
        return (await http.post(f"{server.base_url}/chat/completions", json=chat())).content


@pytest.mark.parametrize(("row", "stream"), CASES)
async def test_an_endpoint_alone(row: Row, stream: bool) -> None:
    async with (
        FakeModelServer("bad") as bad,
        running(bad, server={"request_timeout_seconds": row.timeout}) as daemon,
        client(daemon) as http,
    ):
        await play(bad, row)
        with trio.fail_after(15):
            answer = await http.post("/v1/chat/completions", json=chat(stream=stream))
        assert answer.status_code == row.status
        assert answer.headers["x-request-id"]
        judged(daemon, row)
        metrics = (await http.get("/metrics")).text
        assert 'octoroute_model_invocations_total{tier="fast"} 1.0' in metrics
        assert "octoroute_failovers_total{" not in metrics
        if row.as_it_was:
            assert answer.content == await body_of(bad, row)
            assert answer.headers["x-octoroute-endpoint"] == "bad"
            assert answer.headers["x-octoroute-attempts"] == "1"
        else:
            error = answer.json()["error"]
            assert error["code"] == row.code
            assert error.keys() == {"message", "type", "param", "code"}
            assert "bad" in error["message"]
            assert row.says in error["message"]
        assert answer.headers.get("retry-after") == row.retry_after
        await until(lambda: idle(daemon))


@pytest.mark.parametrize(("row", "stream"), CASES)
async def test_another_endpoint_beside_it(row: Row, stream: bool) -> None:
    async with FakeModelServer("bad") as bad, FakeModelServer("good") as good:
        models = [endpoint(bad, priority=2), endpoint(good)]
        server = {"request_timeout_seconds": row.timeout}
        async with running({"fast": models}, server=server) as daemon, client(daemon) as http:
            await play(bad, row)
            with trio.fail_after(15):
                answer = await http.post("/v1/chat/completions", json=chat(stream=stream))
            judged(daemon, row)
            assert len(good.chats) == int(row.elsewhere)
            if row.elsewhere:
                assert answer.status_code == 200
                assert answer.headers["x-octoroute-endpoint"] == "good"
                assert answer.headers["x-octoroute-attempts"] == "2"
                assert "x-octoroute-warning" not in answer.headers
                assert good.chats[0].json()["model"] == "good"
                text = answer.text
                assert "Hello" in text
                assert text.endswith("data: [DONE]\n\n") is stream
            else:
                assert answer.status_code == row.status
                assert answer.content == await body_of(bad, row)
            await until(lambda: idle(daemon))


@pytest.mark.parametrize("stream", [True, False])
async def test_a_whole_json_answer_to_a_streaming_request_is_relayed(stream: bool) -> None:
    async with (
        FakeModelServer("small", behaviour=Ok(stream=False)) as small,
        running(small) as daemon,
        client(daemon) as http,
    ):
        answer = await http.post("/v1/chat/completions", json=chat(stream=stream))
        assert answer.status_code == 200
        assert answer.json()["choices"][0]["message"]["content"] == "Hello from the fake model."


async def test_what_the_body_is_counts_not_its_content_type() -> None:
    async with (
        FakeModelServer("small", behaviour=Ok(content_type="text/html")) as small,
        running(small) as daemon,
        client(daemon) as http,
    ):
        for stream in (True, False):
            answer = await http.post("/v1/chat/completions", json=chat(stream=stream))
            assert answer.status_code == 200
            assert answer.headers["content-type"] == "text/html"


async def test_a_larger_window_is_asked_when_the_context_is_exceeded() -> None:
    async with (
        FakeModelServer("small") as small,
        FakeModelServer("large") as large,
        FakeModelServer("deep") as deep,
    ):
        small.behaviour = context_exceeded()
        models = {
            "fast": [endpoint(small, priority=2, context_window=2048), endpoint(large, context_window=8192)],
            "deep": endpoint(deep),
        }
        async with running(models) as daemon, client(daemon) as http:  # type: ignore[arg-type]
            answer = await http.post("/v1/chat/completions", json=chat("fast"))
            assert answer.headers["x-octoroute-endpoint"] == "large"
            large.behaviour = context_exceeded()
            answer = await http.post("/v1/chat/completions", json=chat("fast"))
            assert answer.headers["x-octoroute-endpoint"] == "deep"
            assert answer.headers["x-octoroute-reason"] == "needs_context"
            assert "tier fast was chosen" in answer.headers["x-octoroute-warning"]
            deep.behaviour = context_exceeded(9000, 8192)
            answer = await http.post("/v1/chat/completions", json=chat("fast"))
            assert answer.status_code == 400
            assert answer.json()["error"]["n_prompt_tokens"] == 9000
            assert {each.health.state for each in daemon.service.fleet} == {"healthy"}


async def test_a_larger_window_wins_over_the_configured_fallback() -> None:
    async with (
        FakeModelServer("small", behaviour=context_exceeded()) as small,
        FakeModelServer("deep") as deep,
        running({"fast": small, "deep": deep}, routing={"tier_fallback": "none"}) as daemon,
        client(daemon) as http,
    ):
        answer = await http.post("/v1/chat/completions", json=chat("fast"))
        assert answer.headers["x-octoroute-tier"] == "deep"


IMAGE = [
    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]}
]
TOOLS = [{"type": "function", "function": {"name": "f"}}]


@pytest.mark.parametrize(
    ("ability", "fields", "reason"),
    [
        ("vision", {"messages": IMAGE}, "needs_vision"),
        ("tools", {"tools": TOOLS}, "needs_tools"),
        ("context_window", {}, "needs_context"),
    ],
)
async def test_what_a_request_needs_comes_before_its_tier(
    ability: str, fields: dict[str, Any], reason: str
) -> None:
    lacking, having = (10, 10_000) if ability == "context_window" else (False, True)
    async with FakeModelServer("small") as small, FakeModelServer("deep") as deep:
        models = {
            "fast": endpoint(small, **{ability: lacking}),
            "deep": endpoint(deep, **{ability: having}),
        }
        async with running(models, routing={"tier_fallback": "none"}) as daemon, client(daemon) as http:  # type: ignore[arg-type]
            answer = await http.post("/v1/chat/completions", json=chat("fast", "word " * 20, **fields))
            assert answer.headers["x-octoroute-tier"] == "deep"
            assert answer.headers["x-octoroute-reason"] == reason
            assert "tier fast was chosen" in answer.headers["x-octoroute-warning"]
            assert not small.chats
            if ability != "context_window":
                refused = await http.post("/v1/chat/completions", json=chat("small", **fields))
                assert (refused.status_code, refused.json()["error"]["code"]) == (400, "unsupported")


async def test_nothing_can_do_what_is_asked() -> None:
    async with (
        FakeModelServer("small") as small,
        running(endpoint(small, vision=False)) as daemon,
        client(daemon) as http,
    ):
        answer = await http.post("/v1/chat/completions", json={**chat(), "messages": IMAGE})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unsupported")
        assert "vision" in answer.json()["error"]["message"]
        assert not small.chats


@pytest.mark.parametrize(
    ("chosen", "fallback", "answers", "reason"),
    [
        ("fast", "up-down", "balanced", "fallback_up"),
        ("balanced", "up-down", "deep", "fallback_up"),
        ("deep", "up-down", "balanced", "fallback_down"),
        ("balanced", "down", "fast", "fallback_down"),
        ("fast", "down", None, ""),
        ("deep", "up", None, ""),
        ("balanced", "none", None, ""),
    ],
)
async def test_another_tier_stands_in(chosen: str, fallback: str, answers: str | None, reason: str) -> None:
    async with (
        FakeModelServer("one") as one,
        FakeModelServer("two") as two,
        FakeModelServer("three") as three,
    ):
        tiers = {"fast": one, "balanced": two, "deep": three}
        async with (
            running(tiers, routing={"tier_fallback": fallback}) as daemon,  # type: ignore[arg-type]
            client(daemon) as http,
        ):
            await tiers[chosen].stop()
            answer = await http.post("/v1/chat/completions", json=chat(chosen))
            if answers is None:
                assert answer.status_code == 502
                assert sum(len(server.chats) for server in tiers.values()) == 0
                return
            assert answer.status_code == 200
            assert answer.headers["x-octoroute-tier"] == answers
            assert answer.headers["x-octoroute-reason"] == reason
            assert answer.headers["x-octoroute-strategy"] == "direct"
            warning = answer.headers["x-octoroute-warning"]
            assert f"tier {chosen} was chosen" in warning
            assert reason in warning


async def test_a_tier_without_endpoints_is_stood_in_for() -> None:
    async with (
        FakeModelServer("small") as small,
        running({"fast": small}) as daemon,
        client(daemon) as http,
    ):
        answer = await http.post("/v1/chat/completions", json=chat("deep"))
        assert answer.status_code == 200
        assert answer.headers["x-octoroute-tier"] == "fast"
        assert answer.headers["x-octoroute-attempts"] == "1"
        assert answer.headers["x-octoroute-reason"] == "fallback_down"
    async with (
        FakeModelServer("small") as small,
        running({"fast": small}, routing={"tier_fallback": "none"}) as daemon,
        client(daemon) as http,
    ):
        answer = await http.post("/v1/chat/completions", json=chat("deep"))
        assert answer.status_code == 503
        assert answer.headers["retry-after"]


async def test_one_name_stays_with_that_name() -> None:
    async with FakeModelServer("one") as one, FakeModelServer("one") as twin, FakeModelServer("two") as two:
        models = {
            "fast": [endpoint(one, priority=3, aliases=("uno",)), endpoint(two, priority=2), endpoint(twin)]
        }
        async with running(models) as daemon, client(daemon) as http:  # type: ignore[arg-type]
            one.behaviour = internal_error()
            answer = await http.post("/v1/chat/completions", json=chat("UNO"))
            assert answer.headers["x-octoroute-model"] == "one"
            assert answer.headers["x-octoroute-endpoint"] == f"one@127.0.0.1:{twin.port}"
            assert answer.headers["x-octoroute-reason"] == "endpoint_requested"
            twin.behaviour = internal_error()
            answer = await http.post("/v1/chat/completions", json=chat("one"))
            assert answer.status_code == 502
            assert not two.chats


@pytest.mark.parametrize("attempts", [1, 2, 3])
async def test_as_many_attempts_as_configured_none_twice(attempts: int) -> None:
    async with (
        FakeModelServer("a", behaviour=internal_error()) as a,
        FakeModelServer("b", behaviour=internal_error()) as b,
        FakeModelServer("c", behaviour=internal_error()) as c,
        FakeModelServer("d", behaviour=internal_error()) as d,
    ):
        servers = [a, b, c, d]
        async with running(servers, retry={"max_attempts": attempts}) as daemon, client(daemon) as http:
            answer = await http.post("/v1/chat/completions", json=chat())
            assert answer.status_code == 502
            asked = [len(server.chats) for server in servers]
            assert sum(asked) == attempts
            assert max(asked) == 1


async def fail(daemon: Daemon, http: httpx.AsyncClient, times: int, model: str = "fast") -> None:
    for _ in range(times):
        assert (await http.post("/v1/chat/completions", json=chat(model))).status_code >= 500


async def test_last_resort_asks_the_endpoint_that_failed_longest_ago() -> None:
    async with (
        FakeModelServer("one") as one,
        FakeModelServer("two") as two,
        running([one, two]) as daemon,
        client(daemon) as http,
    ):
        one.behaviour = two.behaviour = internal_error()
        await fail(daemon, http, 3)
        assert {each.health.state for each in daemon.service.fleet} == {"unhealthy"}
        oldest = min(daemon.service.fleet, key=lambda each: each.health.last_failure or 0)
        before = {"one": len(one.chats), "two": len(two.chats)}
        answer = await http.post("/v1/chat/completions", json=chat())
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert answer.json()["error"]["code"] == "no_healthy_endpoint"
        assert "something broke" in answer.json()["error"]["message"]
        after = {"one": len(one.chats), "two": len(two.chats)}
        assert {name for name in after if after[name] > before[name]} == {oldest.id}
        one.behaviour = two.behaviour = Ok()
        answer = await http.post("/v1/chat/completions", json=chat())
        assert answer.status_code == 200
        assert of(daemon, answer.headers["x-octoroute-endpoint"]).health.state == "healthy"
        await until(lambda: idle(daemon))


async def test_a_misconfigured_endpoint_alone_says_so_each_time() -> None:
    async with (
        FakeModelServer("bad", behaviour=unauthorized()) as bad,
        running(bad) as daemon,
        client(daemon) as http,
    ):
        for _ in range(2):
            answer = await http.post("/v1/chat/completions", json=chat())
            assert answer.status_code == 502
            assert "api_key" in answer.json()["error"]["message"]
        bad.behaviour = Ok()
        assert (await http.post("/v1/chat/completions", json=chat())).status_code == 200
        assert of(daemon, "bad").health.state == "healthy"


async def test_a_busy_endpoint_alone_is_asked_all_the_same() -> None:
    async with (
        FakeModelServer("busy", behaviour=rate_limited(20)) as busy,
        running(busy) as daemon,
        client(daemon) as http,
    ):
        assert (await http.post("/v1/chat/completions", json=chat())).status_code == 429
        busy.behaviour = Ok()
        assert (await http.post("/v1/chat/completions", json=chat())).status_code == 200


async def test_a_busy_endpoint_comes_after_the_others() -> None:
    async with (
        FakeModelServer("busy") as busy,
        FakeModelServer("free") as free,
        running([endpoint(busy, priority=9), free]) as daemon,
        client(daemon) as http,
    ):
        busy.queue(rate_limited(20))
        for _ in range(3):
            answer = await http.post("/v1/chat/completions", json=chat())
            assert answer.headers["x-octoroute-endpoint"] == "free"
        assert len(busy.chats) == 1


async def test_warming_counts_for_no_failure_and_comes_last() -> None:
    async with (
        FakeModelServer("cold", behaviour=loading()) as cold,
        FakeModelServer("warm") as warm,
        running([endpoint(cold, priority=9), warm]) as daemon,
        client(daemon) as http,
    ):
        for _ in range(3):
            answer = await http.post("/v1/chat/completions", json=chat())
            assert answer.headers["x-octoroute-endpoint"] == "warm"
        assert len(cold.chats) == 1
        assert (of(daemon, "cold").health.state, of(daemon, "cold").health.failures) == ("warming", 0)


async def test_a_tiers_own_timeout() -> None:
    async with FakeModelServer("slow", behaviour=Hang()) as slow, FakeModelServer("deep") as deep:
        deep.behaviour = Ok(first_after=2 * TIMEOUT)
        async with (
            running(
                {"fast": slow, "deep": deep},
                timeouts={"fast": TIMEOUT},
                routing={"tier_fallback": "none"},
            ) as daemon,
            client(daemon) as http,
        ):
            for stream in (True, False):
                answer = await http.post("/v1/chat/completions", json=chat("fast", stream=stream))
                assert answer.status_code == 504
                assert answer.json()["error"]["code"] == "timeout"
                answer = await http.post("/v1/chat/completions", json=chat("deep", stream=stream))
                assert answer.status_code == 200
            for request in slow.chats:
                with trio.fail_after(5):
                    await request.disconnected.wait()


async def test_the_limit_is_each_attempts_own() -> None:
    async with FakeModelServer("slow", behaviour=Hang()) as slow, FakeModelServer("good") as good:
        good.behaviour = Ok(first_after=0.7 * TIMEOUT)
        async with (
            running(
                [endpoint(slow, priority=2), good], server={"request_timeout_seconds": TIMEOUT}
            ) as daemon,
            client(daemon) as http,
        ):
            answer = await http.post("/v1/chat/completions", json=chat())
            assert answer.status_code == 200
            assert answer.headers["x-octoroute-attempts"] == "2"


async def test_a_stream_that_falls_silent_ends_with_an_error_event() -> None:
    async with (
        FakeModelServer("small", behaviour=Cut(Ok(), 3, "stall", extra=9)) as small,
        running(small, server={"stream_idle_timeout_seconds": 0.3}) as daemon,
        client(daemon) as http,
    ):
        received = bytearray()
        with pytest.raises(httpx.RemoteProtocolError):  # noqa: PT012  # what came before counts
            async with http.stream("POST", "/v1/chat/completions", json=chat(stream=True)) as answer:
                assert answer.status_code == 200
                async for chunk in answer.aiter_raw():
                    received += chunk
        assert b"[DONE]" not in received
        half, _, event = bytes(received).rpartition(b"\n\ndata: ")
        assert half.count(b"data: ") >= 3
        error = json.loads(event)["error"]
        assert error["code"] == "timeout"
        assert error.keys() == {"message", "type", "param", "code"}
        assert of(daemon, "small").health.failures == 1
        with trio.fail_after(5):
            await small.chats[0].disconnected.wait()
        await until(lambda: idle(daemon))


@pytest.mark.parametrize("how", ["fin", "reset"])
@pytest.mark.parametrize("pieces", [2, None])
async def test_a_stream_cut_after_commit_is_never_a_clean_end(how: Any, pieces: int | None) -> None:
    async with (
        FakeModelServer("small", behaviour=Cut(Ok(done=False), pieces, how)) as small,
        FakeModelServer("other") as other,
        running([endpoint(small, priority=2), other]) as daemon,
        client(daemon) as http,
    ):
        received = bytearray()
        with pytest.raises(httpx.RemoteProtocolError):  # noqa: PT012  # what came before counts
            async with http.stream("POST", "/v1/chat/completions", json=chat(stream=True)) as answer:
                async for chunk in answer.aiter_raw():
                    received += chunk
        assert json.loads(bytes(received).rpartition(b"\n\ndata: ")[2])["error"]["code"] == "upstream_failed"
        assert not other.chats
        assert of(daemon, "small").health.failures == 1
        metrics = (await http.get("/metrics")).text
        assert 'octoroute_broken_streams_total{tier="fast"} 1.0' in metrics
        assert 'octoroute_responses_total{status="200",tier="fast"} 1.0' in metrics


async def test_a_close_delimited_stream_that_just_ends_is_relayed_as_it_is() -> None:
    async with (
        FakeModelServer("small", behaviour=Ok(framing="close", done=False)) as small,
        running(small) as daemon,
        client(daemon) as http,
    ):
        answer = await http.post("/v1/chat/completions", json=chat(stream=True))
        assert answer.text.count("data: ") == 8
        assert of(daemon, "small").health.failures == 0


BIG = Ok(message={"role": "assistant", "content": "x" * (9 * 1024 * 1024)})


async def test_a_buffered_answer_over_8_mib_passes_through() -> None:
    async with (
        FakeModelServer("small", behaviour=BIG) as small,
        running(small) as daemon,
        client(daemon) as http,
    ):
        answer = await http.post("/v1/chat/completions", json=chat())
        assert len(answer.json()["choices"][0]["message"]["content"]) == 9 * 1024 * 1024
        legacy = await http.post("/chat", json={"message": "hi", "task_type": "casual_chat"})
        assert legacy.status_code == 502
        assert "8 MiB" in legacy.json()["error"]
        await until(lambda: idle(daemon))


@pytest.mark.parametrize(
    ("extra", "fails_over"), [(7 * 1024 * 1024, True), (8 * 1024 * 1024 + 200_000, False)]
)
async def test_a_cut_buffered_answer_fails_over_up_to_8_mib(extra: int, fails_over: bool) -> None:
    async with (
        FakeModelServer("small", behaviour=Cut(BIG, 0, extra=extra)) as small,
        FakeModelServer("b") as other,
        running([endpoint(small, priority=2), other]) as daemon,
        client(daemon) as http,
    ):
        post = partial(http.post, "/v1/chat/completions", json=chat())
        if fails_over:
            assert (await post()).headers["x-octoroute-endpoint"] == "b"
        else:
            with pytest.raises(httpx.RemoteProtocolError):
                await post()
            assert not other.chats
        assert of(daemon, "small").health.failures == 1


async def test_a_stale_kept_connection_is_no_attempt_and_blames_nobody() -> None:
    async with FakeModelServer("small") as small, running(small) as daemon, client(daemon) as http:
        small.queue(Ok(), Drop("fin"), Ok())
        assert (await http.post("/v1/chat/completions", json=chat())).status_code == 200
        answer = await http.post("/v1/chat/completions", json=chat())
        assert answer.status_code == 200
        assert answer.headers["x-octoroute-attempts"] == "1"
        assert of(daemon, "small").health.failures == 0
        metrics = (await http.get("/metrics")).text
        assert 'octoroute_model_invocations_total{tier="fast"} 2.0' in metrics
        assert "octoroute_failovers_total{" not in metrics


async def test_a_lone_server_that_is_loading_is_waited_for_with_one_probe_for_all_who_wait() -> None:
    async with FakeModelServer(behaviour=loading()) as fake:
        fake.models = loading()
        async with running(fake) as daemon, client(daemon) as http:
            answers: list[int] = []

            async def ask() -> None:
                answers.append((await http.post("/v1/chat/completions", json=chat())).status_code)

            with trio.fail_after(20):
                async with trio.open_nursery() as nursery:
                    for _ in range(5):
                        nursery.start_soon(ask)
                    await fake.wait_for(5)
                    probes = len(fake.probes)
                    await trio.sleep(1.2)
                    assert len(fake.probes) - probes <= 4
                    fake.behaviour, fake.models = Ok(["Hello"]), None
            assert answers == [200] * 5


async def test_a_server_that_loads_for_longer_than_the_attempt_may_take_is_a_503() -> None:
    async with FakeModelServer(behaviour=loading()) as fake:
        fake.models = loading()
        async with running(fake, timeouts={"fast": 1}) as daemon, client(daemon) as http:
            with trio.fail_after(20):
                answer = await http.post("/v1/chat/completions", json=chat())
    assert answer.status_code == 503
    assert 1 <= int(answer.headers["retry-after"]) <= 30

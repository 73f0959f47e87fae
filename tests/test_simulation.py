"""The simulated model server: honest about what it is, and otherwise like a real one."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import trio

from octoroute.simulation import PACES, Completion, Pace, serve_simulated

HI = {"model": "any", "messages": [{"role": "user", "content": "Hello there my good model"}]}


AT_ONCE = Pace(0, 10_000)


@asynccontextmanager
async def simulated(
    monkeypatch: pytest.MonkeyPatch, pace: Pace = AT_ONCE
) -> AsyncGenerator[httpx.AsyncClient]:
    monkeypatch.setitem(PACES, "fast", pace)
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            url = await nursery.start(serve_simulated, "fast", "simulated-fast")
            async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
                yield client
            nursery.cancel_scope.cancel("the test is over")


async def test_it_lists_its_model(monkeypatch: pytest.MonkeyPatch) -> None:
    async with simulated(monkeypatch) as client:
        assert (await client.get("models")).json()["data"][0]["id"] == "simulated-fast"


async def test_an_answer_says_that_it_is_simulated_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    async with simulated(monkeypatch) as client:
        answer = await client.post("chat/completions", json=HI)
    assert answer.headers["x-octoroute-simulated"] == "true"
    body = answer.json()
    assert body["model"] == "simulated-fast"
    assert body["system_fingerprint"] == "simulated"
    assert body["object"] == "chat.completion"
    assert body["choices"][0]["finish_reason"] == "stop"
    text = body["choices"][0]["message"]["content"]
    assert text.startswith("[simulated fast model] You said 5 words;")
    assert body["usage"]["completion_tokens"] == len(text.split(" "))


@pytest.mark.parametrize("usage", [True, False])
async def test_a_stream_is_the_same_answer(monkeypatch: pytest.MonkeyPatch, *, usage: bool) -> None:
    asked = {**HI, "stream": True, "stream_options": {"include_usage": usage}, "seed": 1, "unheard_of": {}}
    async with simulated(monkeypatch) as client:
        answer = await client.post("chat/completions", json=asked)
        whole = await client.post("chat/completions", json=HI)
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["x-octoroute-simulated"] == "true"
    *lines, done = [line for line in answer.text.split("\n\n") if line]
    assert done == "data: [DONE]"
    events = [json.loads(line.removeprefix("data: ")) for line in lines]
    if usage:
        assert events.pop()["usage"] == whole.json()["usage"]
    deltas = [event["choices"][0]["delta"].get("content", "") for event in events]
    assert "".join(deltas) == whole.json()["choices"][0]["message"]["content"]
    assert events[-1]["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("key", ["max_tokens", "max_completion_tokens"])
async def test_max_tokens_is_honoured(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    async with simulated(monkeypatch) as client:
        body = (await client.post("chat/completions", json={**HI, key: 3})).json()
    assert body["usage"]["completion_tokens"] == 3
    assert body["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize("content", [b"{nope", b"[]", b"{}", b'{"messages": 1}', b'{"messages": [1]}'])
async def test_a_malformed_request_is_a_400(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    async with simulated(monkeypatch) as client:
        answer = await client.post("chat/completions", content=content)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


async def test_it_keeps_its_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    started = trio.current_time()
    async with simulated(monkeypatch, Pace(0.2, 100)) as client:
        await client.post("chat/completions", json={**HI, "stream": True, "max_tokens": 20})
    assert 0.4 <= trio.current_time() - started < 2


async def test_it_stops_when_the_client_hangs_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async with simulated(monkeypatch, Pace(0, 0.01)) as client:
        await client.get("models")
        for stream in (True, False):
            before = trio.lowlevel.current_statistics().tasks_living
            with trio.move_on_after(0.2):
                await client.post("chat/completions", json={**HI, "stream": stream})
            with trio.fail_after(2):
                # Nothing tells us of it: it is the server's own tasks that have to be gone.
                while trio.lowlevel.current_statistics().tasks_living > before:  # noqa: ASYNC110
                    await trio.sleep(0.01)


async def test_it_ends_at_once_with_a_kept_connection_open(monkeypatch: pytest.MonkeyPatch) -> None:
    async with trio.open_nursery() as nursery:
        url = await nursery.start(serve_simulated, "fast", "simulated-fast")
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            await client.get("models")
            nursery.cancel_scope.cancel("the test is over")
            cancelled = trio.current_time()
    assert trio.current_time() - cancelled < 0.5


def test_content_parts_are_counted_and_other_parts_are_not() -> None:
    parts = [{"type": "text", "text": "two words"}, {"type": "image_url", "image_url": {"url": "data:"}}]
    asked = {"messages": [{"role": "system", "content": "Be kind"}, {"role": "user", "content": parts}]}
    whole = Completion("deep", "d", asked).whole()
    assert "[simulated deep model] You said 2 words;" in whole["choices"][0]["message"]["content"]
    assert whole["usage"]["prompt_tokens"] == 4


@pytest.mark.parametrize(
    ("constraint", "text"),
    [
        ({"grammar": 'root ::= "FAST" | "BALANCED" | "DEEP"'}, "BALANCED"),
        ({"response_format": {"type": "json_object"}}, '{"simulated": true}'),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {
                        "schema": {
                            "type": "object",
                            "properties": {
                                "tier": {"enum": ["FAST", "BALANCED", "DEEP"]},
                                "score": {"type": "number"},
                                "sure": {"type": "boolean"},
                                "why": {"type": "string"},
                                "tags": {"type": "array"},
                                "none": {"type": "null"},
                                "kind": {"const": "k"},
                            },
                        }
                    },
                }
            },
            '{"tier": "BALANCED", "score": 0, "sure": true, "why": "simulated", "tags": [], "none": null, "kind": "k"}',
        ),
    ],
)
def test_a_demanded_form_is_kept(constraint: dict[str, Any], text: str) -> None:
    whole = Completion("fast", "f", {**HI, **constraint}).whole()
    assert whole["choices"][0]["message"]["content"] == text

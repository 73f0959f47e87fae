"""`POST /chat`: a message in, a whole answer out."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.model_server import (
    Behaviour,
    FakeModelServer,
    Hang,
    Ok,
    Status,
    bad_request,
    internal_error,
    rate_limited,
    unauthorized,
)
from tests.serving import client, running

SMALL_TALK = {"message": "hello", "task_type": "casual_chat"}


async def test_a_message_and_its_answer() -> None:
    async with (
        FakeModelServer("small") as small,
        FakeModelServer("large") as large,
        running({"fast": small, "deep": large}) as daemon,
        client(daemon) as http,
    ):
        answer = await http.post("/chat", json=SMALL_TALK)
        assert answer.status_code == 200
        assert answer.json() == {
            "content": "Hello from the fake model.",
            "model_tier": "fast",
            "model_name": "small",
            "routing_strategy": "rule",
        }
        assert small.chats[0].json() == {
            "model": "small",
            "messages": [{"role": "user", "content": "hello"}],
        }
        assert answer.headers["x-octoroute-tier"] == "fast"
        answer = await http.post(
            "/chat", json={"message": "hello", "importance": "HIGH", "task_type": "code"}
        )
        assert answer.json()["model_tier"] == "deep"


async def test_a_fallback_is_a_warning() -> None:
    async with (
        FakeModelServer("small") as small,
        FakeModelServer("large") as large,
        running({"fast": small, "deep": large}) as daemon,
        client(daemon) as http,
    ):
        await small.stop()
        answer = await http.post("/chat", json=SMALL_TALK)
        assert answer.json()["model_tier"] == "deep"
        assert len(answer.json()["warnings"]) == 1
        assert "tier fast was chosen" in answer.json()["warnings"][0]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "message: is required"),
        ({"message": ""}, "message: must not be empty"),
        ({"message": " \n"}, "message: must not be empty"),
        ({"message": 5}, "message: must be a string"),
        ({"message": "hi", "importance": "urgent"}, "importance: must be one of low, normal, high"),
        ({"message": "hi", "task_type": "poetry"}, "task_type: must be one of"),
        ([], "must be a JSON object"),
    ],
)
async def test_what_is_no_message(body: Any, says: str) -> None:
    async with FakeModelServer("small") as small, running(small) as daemon, client(daemon) as http:
        answer = await http.post("/chat", json=body)
        assert answer.status_code == 400
        assert answer.json().keys() == {"error"}
        assert says in answer.json()["error"]
        assert answer.headers["x-request-id"]
        assert not small.chats


@pytest.mark.parametrize(
    ("behaviour", "status", "says"),
    [
        (internal_error(), 502, "something broke"),
        (unauthorized(), 502, "api_key"),
        (Hang(), 504, "no answer within"),
        (bad_request(), 400, "'messages' is required"),
        (Status(422, {"error": "too polite"}), 422, "too polite"),
        (rate_limited(7), 429, "Rate limit reached"),
        (Status(200, {"choices": []}), 502, "no chat completion"),
        (Status(200, {"choices": [{"message": {"content": 5}}]}), 502, "no chat completion"),
    ],
)
async def test_what_goes_wrong_is_one_string(behaviour: Behaviour, status: int, says: str) -> None:
    async with (
        FakeModelServer("small", behaviour=behaviour) as small,
        running(small, server={"request_timeout_seconds": 0.3}) as daemon,
        client(daemon) as http,
    ):
        answer = await http.post("/chat", json=SMALL_TALK)
        assert answer.status_code == status
        assert answer.json().keys() == {"error"}
        assert says in answer.json()["error"]
        if status == 429:
            assert answer.headers["retry-after"] == "7"


async def test_an_answer_without_text() -> None:
    async with (
        FakeModelServer("small", behaviour=Ok(message={"role": "assistant", "content": None})) as small,
        running(small) as daemon,
        client(daemon) as http,
    ):
        answer = await http.post("/chat", json=SMALL_TALK)
        assert answer.status_code == 200
        assert answer.json()["content"] == ""

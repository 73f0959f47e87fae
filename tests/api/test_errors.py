"""Every refusal: its status, its words, its shape; on every path, and never HTML."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
import trio

from tests.fakes.model_server import FakeModelServer, bad_request, internal_error, rate_limited
from tests.serving import chat, client, endpoint, running

CHAT = "/v1/chat/completions"
HI = [{"role": "user", "content": "hi"}]


def error_of(answer: httpx.Response) -> dict[str, Any]:
    """The error in OpenAI's form, which must be exactly that: SDKs lose the message otherwise."""
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    body = answer.json()
    assert body.keys() == {"error"}
    error: dict[str, Any] = body["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert isinstance(error["message"], str)
    assert error["message"]
    assert isinstance(error["type"], str)
    assert error["code"] is None or isinstance(error["code"], str)
    assert error["param"] is None or isinstance(error["param"], str)
    return error


@pytest.mark.parametrize(
    ("body", "says", "param"),
    [
        (b"", "empty", None),
        (b"  \n", "empty", None),
        (b"hello", "not valid JSON", None),
        (b"{", "not valid JSON", None),
        (b'{"messages": [', "not valid JSON", None),
        (json.dumps(chat()).encode() + b"x", "not valid JSON", None),
        (b'{"messages":[{"role":"user","content":"\xff"}]}', "UTF-8", None),
        (
            b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b',"messages":[{"role":"user"}]}',
            "nested too deeply",
            None,
        ),
        (b"[]", "must be a JSON object, got a list", None),
        (b'"hi"', "must be a JSON object, got a string", None),
        (b"null", "must be a JSON object, got null", None),
        (b"{}", "messages: is required", "messages"),
        (b'{"messages": null}', "messages: must be a list, got null", "messages"),
        (b'{"messages": []}', "at least one", "messages"),
        (b'{"messages": "hi"}', "messages: must be a list, got a string", "messages"),
        (b'{"messages": ["hi"]}', "messages[0]", "messages[0]"),
        (b'{"messages": [{"content": "hi"}]}', "messages[0].role: is required", "messages[0].role"),
        (b'{"messages": [{"role": 1}]}', "messages[0].role: must be a string", "messages[0].role"),
        (b'{"messages": [{"role": "user", "content": 1}]}', "messages[0].content", "messages[0].content"),
        (b'{"messages": [{"role": "user", "content": {}}]}', "messages[0].content", "messages[0].content"),
        (b'{"messages": [{"role": "user"}], "model": 3}', "model: must be a string", "model"),
        (b'{"messages": [{"role": "user"}], "stream": "yes"}', "stream: must be true or false", "stream"),
        (
            b'{"messages": [{"role": "user"}], "metadata": {"importance": "urgent"}}',
            "low, normal, high",
            "metadata.importance",
        ),
        (
            b'{"messages": [{"role": "user"}], "metadata": {"task_type": 5}}',
            "casual_chat",
            "metadata.task_type",
        ),
    ],
)
async def test_a_body_that_is_no_request(body: bytes, says: str, param: str | None) -> None:
    async with FakeModelServer("small") as small, running(small) as daemon, client(daemon) as http:
        answer = await http.post(CHAT, content=body)
        assert answer.status_code == 400
        error = error_of(answer)
        assert says in error["message"]
        assert error["param"] == param
        assert error["type"] == "invalid_request_error"
        assert not small.chats


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": [{"role": "function", "name": "f"}]},
        {"messages": [{"role": "assistant", "content": None, "tool_calls": []}]},
        {"messages": [{"role": "anything", "content": ["a", {"type": "text", "text": 5}, {"type": 7}]}]},
        {"metadata": "text"},
        {"metadata": ["importance"]},
        {"metadata": {"importance": None, "user": 1}},
        {"metadata": {"importance": " HIGH "}},
        {"model": "FAST"},
        {"tools": "nonsense", "max_tokens": "many", "stream": None},
    ],
)
async def test_what_is_the_model_servers_to_judge(fields: dict[str, Any]) -> None:
    async with FakeModelServer("small") as small, running(small) as daemon, client(daemon) as http:
        answer = await http.post(CHAT, json={**chat(), **fields})
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("name", "value", "param"),
    [
        ("X-Octoroute-Importance", "urgent", "X-Octoroute-Importance"),
        ("X-Octoroute-Importance", "", "X-Octoroute-Importance"),
        ("X-Octoroute-Task-Type", "poetry", "X-Octoroute-Task-Type"),
    ],
)
async def test_a_header_with_a_word_that_is_not_allowed(name: str, value: str, param: str) -> None:
    async with FakeModelServer("small") as small, running(small) as daemon, client(daemon) as http:
        answer = await http.post(CHAT, json=chat(), headers={name: value})
        assert answer.status_code == 400
        error = error_of(answer)
        assert error["param"] == param
        assert "must be one of" in error["message"]


async def test_an_unknown_model_lists_what_there_is() -> None:
    async with (
        FakeModelServer("qwen-8b") as small,
        FakeModelServer("llama-70b") as large,
        running({"fast": small, "deep": large}) as daemon,
        client(daemon) as http,
    ):
        answer = await http.post(CHAT, json=chat("gpt-4o"))
        assert answer.status_code == 404
        error = error_of(answer)
        assert (error["code"], error["param"]) == ("model_not_found", "model")
        for name in ("gpt-4o", "auto", "fast", "balanced", "deep", "qwen-8b", "llama-70b"):
            assert name in error["message"]


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("path", [CHAT, "/chat"])
async def test_a_body_that_is_too_large(chunked: bool, path: str) -> None:
    async with (
        FakeModelServer("small") as small,
        running(small, server={"max_body_bytes": 1000}) as daemon,
        client(daemon) as http,
    ):
        body = json.dumps(chat(text="x" * 1000)).encode()

        async def parts() -> Any:
            for start in range(0, len(body), 100):
                await trio.lowlevel.checkpoint()
                yield body[start : start + 100]

        answer = await http.post(path, content=parts() if chunked else body)
        assert answer.status_code == 413
        if path == "/chat":
            assert "1000" in answer.json()["error"]
        else:
            error = error_of(answer)
            assert "max_body_bytes" in error["message"]
            assert error["code"] == "request_too_large"
        exact = json.dumps(chat(text="")).encode()
        exact = exact[:-1] + b" " * (1000 - len(exact)) + b"}"
        assert (await http.post(CHAT, content=exact)).status_code == 200
        assert len(small.chats) == 1


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 200),
        ({"Content-Type": "text/plain"}, 200),
        ({"Content-Type": "nonsense"}, 200),
        ({"Content-Type": "application/json", "Origin": "https://evil.example"}, 200),
        ({"Content-Type": "Application/JSON; charset=utf-8", "Origin": "null"}, 200),
        ({"Content-Type": "text/plain", "Origin": "https://evil.example"}, 415),
        ({"Origin": "null"}, 415),
        ({"Content-Type": "application/jsonx", "Origin": "https://evil.example"}, 415),
        ({"Content-Type": "multipart/form-data; boundary=x"}, 415),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, 415),
        ({"Content-Type": "application/json", "Content-Encoding": "identity"}, 200),
    ],
)
@pytest.mark.parametrize("path", [CHAT, "/chat"])
async def test_content_types(headers: dict[str, str], status: int, path: str) -> None:
    async with FakeModelServer("small") as small, running(small) as daemon, client(daemon) as http:
        body = json.dumps({"message": "hi"} if path == "/chat" else chat()).encode()
        answer = await http.post(path, content=body, headers=headers)
        assert answer.status_code == status, answer.text
        assert len(small.chats) == int(status == 200)
        if status == 415 and path == CHAT:
            assert error_of(answer)["code"] == "unsupported_media_type"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/",
        "/v1/completions",
        "/v1/embeddings",
        "/v1/responses",
        "/nowhere",
        "/v1/chat/completions/",
        "//v1//chat/completions",
        "/v1/models/",
        "/static/x",
        "/%00",
        "/v1/chat/completions%2f",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_unknown_path(path: str, method: str) -> None:
    async with FakeModelServer("small") as small, running(small) as daemon, client(daemon) as http:
        answer = await http.request(method, httpx.URL(daemon.url).copy_with(raw_path=path.encode()))
        assert answer.status_code == 404, answer.text
        assert error_of(answer)["code"] == "not_found"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", CHAT, "POST"),
        ("PUT", CHAT, "POST"),
        ("DELETE", "/v1/models", "GET"),
        ("POST", "/v1/models/auto", "GET"),
        ("POST", "/health", "GET"),
        ("POST", "/metrics", "GET"),
        ("PATCH", "/models", "GET"),
    ],
)
async def test_the_wrong_method(method: str, path: str, allowed: str) -> None:
    async with FakeModelServer("small") as small, running(small) as daemon, client(daemon) as http:
        answer = await http.request(method, path)
        assert answer.status_code == 405
        assert error_of(answer)["code"] == "method_not_allowed"
        assert allowed in answer.headers["allow"]


async def test_the_wrong_method_on_the_small_api() -> None:
    async with FakeModelServer("small") as small, running(small) as daemon, client(daemon) as http:
        answer = await http.get("/chat")
        assert answer.status_code == 405
        assert isinstance(answer.json()["error"], str)


async def test_a_defect_of_our_own_has_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    async with FakeModelServer("small") as small, running(small) as daemon, client(daemon) as http:

        def broken(*_: object) -> None:
            raise RuntimeError("secret detail")

        monkeypatch.setattr(daemon.service.router, "decide", broken)
        answer = await http.post(CHAT, json=chat())
        assert answer.status_code == 500
        error = error_of(answer)
        assert error["type"] == "server_error"
        assert "secret" not in answer.text
        assert "Traceback" not in answer.text
        monkeypatch.undo()
        assert (await http.post(CHAT, json=chat())).status_code == 200


async def test_every_retry_after_is_short() -> None:
    async with (
        FakeModelServer("small", behaviour=internal_error()) as small,
        running(small, health={"interval_seconds": 3600}) as daemon,
        client(daemon) as http,
    ):
        statuses = set()
        for behaviour in (internal_error(),) * 4 + (rate_limited(9000), bad_request()):
            small.behaviour = behaviour
            answer = await http.post(CHAT, json=chat())
            statuses.add(answer.status_code)
            if answer.status_code in {429, 503}:
                assert 1 <= int(answer.headers["retry-after"]) <= 30
        assert {502, 503, 429, 400} <= statuses


async def test_the_queue_refuses_with_429() -> None:
    async with (
        FakeModelServer("small") as small,
        running(endpoint(small, max_concurrent=1), queue={"max_waiting": 0}) as daemon,
        client(daemon) as http,
    ):
        place = daemon.service.fleet.admission["fast"].take(lambda: next(iter(daemon.service.fleet)))
        assert place is not None
        answer = await http.post(CHAT, json=chat())
        assert answer.status_code == 429
        error = error_of(answer)
        assert (error["type"], error["code"]) == ("rate_limit_error", "queue_full")
        assert 1 <= int(answer.headers["retry-after"]) <= 30
        place.release()
        assert (await http.post(CHAT, json=chat())).status_code == 200

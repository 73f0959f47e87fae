"""The pure part of the contract's table; tests/relay/test_failover.py shows it at work."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octoroute.errors import RequestError, UpstreamError
from octoroute.fleet.health import retry_after
from octoroute.relay.headers import RawHeader
from octoroute.relay.verdict import (
    Passed,
    is_context_overflow,
    of_body,
    of_status,
    of_timeout,
    of_transport,
    server_message,
    usage_of_answer,
    usage_of_events,
)


@pytest.mark.parametrize(
    ("status", "cause", "elsewhere", "evidence", "client"),
    [
        (300, "server_error", "yes", "failure", 502),
        (301, "server_error", "yes", "failure", 502),
        (400, "rejected", "no", None, "passed"),
        (401, "misconfigured", "yes", "misconfigured", 502),
        (402, "rejected", "no", None, "passed"),
        (403, "misconfigured", "yes", "misconfigured", 502),
        (404, "misconfigured", "yes", "misconfigured", 502),
        (405, "rejected", "no", None, "passed"),
        (408, "rejected", "no", None, "passed"),
        (422, "rejected", "no", None, "passed"),
        (429, "busy", "yes", "busy", "passed"),
        (499, "rejected", "no", None, "passed"),
        (500, "server_error", "yes", "failure", 502),
        (501, "unsupported", "able", None, 400),
        (502, "server_error", "yes", "failure", 502),
        (503, "unavailable", "yes", "failure", 503),
        (504, "server_error", "yes", "failure", 502),
        (599, "server_error", "yes", "failure", 502),
    ],
)
def test_statuses(status: int, cause: str, elsewhere: str, evidence: str | None, client: int | str) -> None:
    failure = of_status("a", status, [(b"x", b"y")], b"{}")
    assert (failure.cause, failure.elsewhere, failure.evidence) == (cause, elsewhere, evidence)
    if client == "passed":
        assert isinstance(failure.client, Passed)
        assert (failure.client.status, failure.client.body) == (status, b"{}")
        assert (b"x", b"y") in failure.client.headers
    else:
        assert isinstance(failure.client, RequestError)
        assert failure.client.status == client
        assert "a" in failure.client.message


@pytest.mark.parametrize(
    ("message", "unsupported"),
    [
        (
            "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj",
            True,
        ),
        ("audio input is not supported", True),
        ("This model does not support images.", True),
        ("Multimodal data is not supported by this model", True),
        ("CUDA error: operation not supported", False),
        ("operation not supported on this device. image encoder crashed", False),
        ("something broke", False),
    ],
)
def test_a_500_that_refuses_an_input_kind(message: str, unsupported: bool) -> None:
    failure = of_status("a", 500, [], json.dumps({"error": {"message": message}}).encode())
    assert (failure.cause == "unsupported") is unsupported
    assert (failure.evidence is None) is unsupported


@pytest.mark.parametrize(
    ("body", "overflow"),
    [
        (b'{"error":{"type":"exceed_context_size_error"}}', True),
        (b'{"error":{"code":"context_length_exceeded"}}', True),
        (b'{"message":"This model\'s maximum context length is 4096 tokens"}', True),
        (b'{"error":{"message":"bad temperature"}}', False),
        (b"", False),
    ],
)
def test_context_overflow(body: bytes, overflow: bool) -> None:
    assert is_context_overflow(body) is overflow
    failure = of_status("a", 400, [], body)
    assert (failure.cause, failure.elsewhere) == (("context", "larger") if overflow else ("rejected", "no"))
    assert of_status("a", 422, [], body).elsewhere == "no"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(None, 5), ("", 5), ("0", 1), ("0.4", 1), ("1", 1), ("7.6", 8), ("30", 30), ("31", 30), ("1e9", 30), ("inf", 30), ("nan", 5), ("-3", 5), ("Wed, 21 Oct 2026 07:28:00 GMT", 5), ("soon", 5)],
)  # fmt: skip
def test_retry_after(value: str | None, seconds: int) -> None:
    assert retry_after(value) == seconds


@given(st.text() | st.floats().map(str))
def test_retry_after_is_always_1_to_30(value: str) -> None:
    assert 1 <= retry_after(value) <= 30


def test_a_429_gets_the_one_retry_after() -> None:
    headers: list[RawHeader] = [(b"Retry-After", b"120"), (b"x-a", b"1"), (b"retry-after", b"7")]
    failure = of_status("a", 429, headers, b"")
    assert isinstance(failure.client, Passed)
    assert failure.client.headers == [(b"x-a", b"1"), (b"retry-after", b"30")]
    assert failure.busy_for == 30


def test_loading_is_warming() -> None:
    failure = of_status("a", 503, [], b'{"error":{"message":"Loading model"}}')
    assert (failure.cause, failure.evidence) == ("loading", "warming")


@pytest.mark.parametrize(
    ("cause", "status"), [("connect", 502), ("reset", 502), ("broken_answer", 502), ("timeout", 504)]
)
def test_transport(cause: str, status: int) -> None:
    failure = of_transport("a", UpstreamError(cause, "the reason"))  # type: ignore[arg-type]
    assert failure.cause == cause
    assert isinstance(failure.client, RequestError)
    assert failure.client.status == status
    assert "the reason" in failure.client.message
    assert (failure.elsewhere, failure.evidence) == ("yes", "failure")


def test_a_machine_that_gives_no_sign() -> None:
    failure = of_transport("a", UpstreamError("connect", "No route to host", unreachable=True))
    assert (failure.elsewhere, failure.evidence) == ("yes", "unreachable")


def test_timeout() -> None:
    failure = of_timeout("a", 0.5)
    assert isinstance(failure.client, RequestError)
    assert failure.client.status == 504
    assert "0.5 s" in failure.client.message


def test_details_never_hold_what_a_server_wrote() -> None:
    marked = b'{"error":{"message":"MARK"}}'
    assert "MARK" not in of_body("a", "broken", marked).detail
    for status in (*range(300, 600),):
        assert "MARK" not in of_status("a", status, [], marked).detail


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error":{"message":"no. "}}', " (no)"),
        (b'{"error":"busy"}', " (busy)"),
        (b'{"error":{"message":5}}', ""),
        (b'{"error":[]}', ""),
        (b'{"detail":"x"}', ""),
        (b"<html>", ""),
        (b'"error"', ""),
        (b'{"error":' + b"[" * 100_000, ""),
    ],
)
def test_a_servers_own_words(body: bytes, message: str) -> None:
    assert server_message(body) == message


def test_a_servers_words_are_bounded() -> None:
    assert len(server_message(json.dumps({"error": "x" * 10_000}).encode())) < 600


def test_usage() -> None:
    usage = usage_of_answer(b'{"usage":{"prompt_tokens":3,"completion_tokens":4}}')
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (3, 4)
    assert (
        usage_of_answer(b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b',"usage":{"prompt_tokens":1}}') is None
    )
    assert usage_of_events(b'data: {"usage":null}\n\n') is None
    last = usage_of_events(
        b'data: {"usage":{"prompt_tokens":1}}\n\ndata: {"usage":{"prompt_tokens":2}}\n\ndata: {"usage":null}'
    )
    assert last is not None
    assert last.prompt_tokens == 2

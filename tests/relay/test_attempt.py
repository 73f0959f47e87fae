"""One try: what is held back until the answer is sure, and what counts as no answer."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from octoroute.openai.request import parse
from octoroute.relay.attempt import MAX_BUFFERED, Answer, attempt
from octoroute.relay.body import RelayBody
from octoroute.relay.exchange import Exchange
from octoroute.relay.verdict import Failure
from tests.relay.in_memory import Piece, Script, new_exchange, scripted

STREAM = (
    b"\xef\xbb\xbf: one\r\n\r\n: two\n\n"
    b'event: x\rdata: {"choices":\rdata: [{"delta":{"content":"n\xc3\xa9"}}]}\r\r'
    b'data: {"error":"late","choices":[]}\n\n'
    b"data: [DONE]\n\n"
)
FIRST = STREAM.index(b'data: {"error"')


async def tried(
    script: Script, *, stream: bool, seconds: float = 10, exchange: Exchange | None = None
) -> Answer | Failure:
    body = json.dumps({"messages": [{"role": "user"}], "stream": stream}).encode()
    return await attempt(exchange or new_exchange(), scripted(script), parse(body), [], seconds)


def cut(payload: bytes, places: Sequence[int]) -> list[Piece]:
    edges = [0, *sorted(set(places)), len(payload)]
    return [payload[start:end] for start, end in itertools.pairwise(edges)]


async def _relayed(pieces: Sequence[Piece]) -> tuple[Answer, bytes]:
    exchange = new_exchange()
    answer = await tried(Script(pieces), stream=True, exchange=exchange)
    assert isinstance(answer, Answer)
    held = len(b"".join(answer.begun))
    body = RelayBody(exchange, answer, idle_seconds=5, on_broken=pytest.fail)
    received = b"".join([chunk async for chunk in body])
    assert exchange.said_done
    assert held >= STREAM.index(b"\r\r") + 1  # nothing is sent before the first event is whole
    return answer, received


@given(st.lists(st.integers(1, len(STREAM) - 1), max_size=12))
@settings(max_examples=150, deadline=None)
def test_a_stream_cut_anywhere_is_relayed_byte_for_byte(places: list[int]) -> None:
    answer, received = trio.run(_relayed, cut(STREAM, places))
    assert received == STREAM
    assert answer.events


def test_a_stream_is_committed_with_its_first_event_and_no_later() -> None:
    answer, received = trio.run(_relayed, [STREAM[at : at + 1] for at in range(len(STREAM))])
    assert received == STREAM
    assert len(b"".join(answer.begun)) <= FIRST + 1


@given(st.lists(st.integers(1, 40), max_size=6))
@settings(max_examples=50, deadline=None)
def test_a_stream_cut_before_its_first_event_is_no_answer(places: list[int]) -> None:
    broken = httpx.RemoteProtocolError("peer closed")
    failure = trio.run(lambda: tried(Script([*cut(STREAM[:45], places), broken]), stream=True))
    assert isinstance(failure, Failure)
    assert (failure.cause, failure.elsewhere, failure.evidence) == ("broken_answer", "yes", "failure")


@pytest.mark.parametrize(
    ("pieces", "says"),
    [
        ([b"  <html>"], "HTML"),
        ([b"data: {}\n\n"], "a stream of events"),
        ([b": x\n\n"], "a stream of events"),
        ([b"hello"], "something else"),
        ([b"[]"], "something else"),
        ([b"{"], "something else"),
        ([b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"], "something else"),
        ([], "empty"),
        ([b" \n"], "empty"),
        ([b'{"error": {"message": "no"}}'], "answered 200 with an error"),
    ],
)
def test_what_is_no_json_answer(pieces: list[Piece], says: str) -> None:
    failure = trio.run(lambda: tried(Script(pieces), stream=False))
    assert isinstance(failure, Failure)
    assert failure.cause == "broken_answer"
    assert says in failure.detail


@pytest.mark.parametrize(
    "body",
    [
        b'{"choices":[{"message":{"content":"hi"}}],"error":null}',
        b' \n{"choices":[],"x":1e999}',
        b'{"choices":[{"message":{"content":"half \\ud83d"}}]}',
        b"{}",
    ],
)
def test_what_is_one(body: bytes) -> None:
    answer = trio.run(lambda: tried(Script(cut(body, [3, 9])), stream=False))
    assert isinstance(answer, Answer)
    assert b"".join(answer.begun) == body
    assert answer.rest is None


def test_what_is_too_long_to_hold_passes_on() -> None:
    pieces: list[Piece] = [b"x" * 1_000_000] * 10
    answer = trio.run(lambda: tried(Script(pieces), stream=False))
    assert isinstance(answer, Answer)
    assert answer.rest is not None
    assert MAX_BUFFERED < len(b"".join(answer.begun)) <= MAX_BUFFERED + 1_000_000


def test_an_encoded_answer_is_not_looked_into() -> None:
    answer = trio.run(
        lambda: tried(Script([b"\x1f\x8b"], headers=[("Content-Encoding", "gzip")]), stream=False)
    )
    assert isinstance(answer, Answer)
    assert (b"content-encoding", b"gzip") in [(name.lower(), value) for name, value in answer.headers]


@pytest.mark.parametrize(
    ("script", "stream"),
    [
        ({"pieces": [b"{}"], "wait": 11.0}, False),
        ({"pieces": [b"{", 11.0, b"}"]}, False),
        ({"pieces": [b"{", *[1.0, b" "] * 11, b"}"]}, False),
        ({"pieces": [b": wait\n\n", *[1.0, b": wait\n\n"] * 11]}, True),
        ({"pieces": [b"no", 11.0], "status": 500}, False),
    ],
)
async def test_the_limit_is_about_the_answer(
    script: Any, stream: bool, autojump_clock: trio.testing.MockClock
) -> None:
    exchange = new_exchange()
    made = Script(**script)
    began = trio.current_time()
    failure = await tried(made, stream=stream, exchange=exchange)
    assert trio.current_time() - began == 10
    assert isinstance(failure, Failure)
    assert failure.cause == "timeout"
    await exchange.release()
    assert made.body.closed or "wait" in script


async def test_a_slow_first_event_in_time_is_an_answer(autojump_clock: trio.testing.MockClock) -> None:
    answer = await tried(Script([9.9, b"data: {}\n\n", 500.0]), stream=True)
    assert isinstance(answer, Answer)


async def test_the_answer_belongs_to_the_exchange_whatever_it_is() -> None:
    for status, stream, whole in (
        (200, True, False),
        (200, False, True),
        (500, True, True),
        (400, False, True),
    ):
        exchange = new_exchange()
        script = Script([b"data: {}\n\n", b"data: {}\n\n"], status=status)
        await tried(script, stream=stream, exchange=exchange)
        await exchange.release()
        # What was read to its end has given its connection back by itself.
        assert (script.body.ended, script.body.closed) == (whole, not whole)

"""The answer on its way: what is read off it, and what a truncation looks like."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence

import httpx
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from octoroute.fleet.upstream import UpstreamResponse
from octoroute.relay.attempt import Answer
from octoroute.relay.body import RelayBody
from octoroute.relay.exchange import Exchange
from octoroute.relay.verdict import Usage
from tests.relay.in_memory import Piece, Pieces, new_exchange

USAGE = b'{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"x":null}}'
EVENT = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'


def relay(
    begun: Sequence[bytes], rest: Sequence[Piece] | None, *, events: bool = True
) -> tuple[RelayBody, Exchange, list[str]]:
    exchange = new_exchange()
    source = None if rest is None else UpstreamResponse(httpx.Response(200, stream=Pieces(rest)))
    told: list[str] = []
    answer = Answer(200, [], list(begun), source, events)
    return RelayBody(exchange, answer, idle_seconds=5, on_broken=told.append), exchange, told


async def whole(body: RelayBody) -> bytes:
    async with body:
        return b"".join([chunk async for chunk in body])


async def test_one_item_for_each_read() -> None:
    body, exchange, told = relay([b"a", b"b"], [b"c", b"d"])
    assert [chunk async for chunk in body] == [b"a", b"b", b"c", b"d"]
    assert not exchange.broken
    assert told == []


@given(st.lists(st.integers(0, 30), max_size=5), st.sampled_from([b"\n\n", b"\r\n\r\n", b"", b"\r\r"]))
@settings(max_examples=60, deadline=None)
def test_done_is_seen_in_any_pieces(places: list[int], ending: bytes) -> None:
    payload = EVENT + b"data: [DONE]" + ending
    edges = [0, *sorted({len(EVENT) - 5 + place for place in places}), len(payload)]
    pieces: list[Piece] = [payload[start:end] for start, end in itertools.pairwise(edges) if end > start]

    async def run() -> None:
        body, exchange, _ = relay([], pieces)
        assert await whole(body) == payload
        assert exchange.said_done

    trio.run(run)


async def test_a_done_that_is_only_spoken_of_is_none() -> None:
    body, exchange, _ = relay([b'data: {"content":"data: [DONE]"}\n\n'], [b'data: "[DONE]"\n\n'])
    await whole(body)
    assert not exchange.said_done


@pytest.mark.parametrize("tail", [[], [b"data: [DONE]\n\n"], [b": x\n\n", b"data: [DONE]", b"\n\n"]])
async def test_the_usage_of_a_stream(tail: list[bytes]) -> None:
    body, exchange, _ = relay([EVENT], [EVENT, b"data: " + USAGE + b"\n\n", *tail])
    await whole(body)
    assert exchange.usage == Usage(3, 4)


async def test_the_usage_of_a_buffered_answer_is_there_with_its_last_byte() -> None:
    """Who knows the length does not ask for the end."""
    body, exchange, _ = relay([USAGE], None, events=False)
    assert await body.__anext__() == USAGE
    assert exchange.usage == Usage(3, 4)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b'{"usage":null}',
        b'{"usage":5}',
        b'{"usage":{"prompt_tokens":"many"}}',
        b"[" * 100_000,
        b'{"usage":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
@pytest.mark.parametrize("events", [True, False])
async def test_a_usage_that_is_none(text: bytes, events: bool) -> None:
    body, exchange, _ = relay(
        [b'data: {"x":"usage"}\n\ndata: ' + text + b"\n\n" if events else text], [b" "], events=events
    )
    await whole(body)
    assert exchange.usage is None


BROKEN = httpx.RemoteProtocolError("peer closed connection")


async def test_a_broken_stream_says_so_and_ends() -> None:
    body, exchange, told = relay([EVENT], [EVENT[:9], BROKEN])
    received = await whole(body)
    assert received.startswith(EVENT + EVENT[:9] + b"\n\ndata: ")
    error = json.loads(received.rpartition(b"data: ")[2])["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert "peer closed connection" in error["message"]
    assert b"[DONE]" not in received
    assert exchange.broken
    assert len(told) == 1
    assert exchange.usage is None


async def test_a_broken_document_just_ends() -> None:
    body, exchange, told = relay([b"{"], [b'"a":', BROKEN], events=False)
    assert await whole(body) == b'{"a":'
    assert exchange.broken
    assert len(told) == 1


async def test_the_idle_limit_is_between_two_reads(autojump_clock: trio.testing.MockClock) -> None:
    body, exchange, _ = relay([EVENT], [4.9, EVENT, 4.9, EVENT, 4.9])
    assert await whole(body) == EVENT * 3
    assert not exchange.broken
    body, exchange, told = relay([EVENT], [4.9, EVENT, 5.1, EVENT])
    began = trio.current_time()
    received = await whole(body)
    assert trio.current_time() - began == pytest.approx(9.9)
    assert exchange.broken
    assert b'"code":"timeout"' in received
    assert len(told) == 1


@pytest.mark.parametrize("end", [BROKEN, 5.1])
async def test_after_done_nothing_is_cut_short(end: Piece, autojump_clock: trio.testing.MockClock) -> None:
    body, exchange, told = relay([EVENT], [b"data: [DONE]\n\n", end])
    assert await whole(body) == EVENT + b"data: [DONE]\n\n"
    assert not exchange.broken
    assert told == []

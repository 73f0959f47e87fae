"""Any response, cut at any byte, is the same response; and no bytes at all can do worse than a named error."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import h11
import httpx
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from octoroute.fleet.transport import Transport
from octoroute.fleet.wire import Connection, Origin, ResponseParser, encode
from tests.fleet.raw_server import MemoryStream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

quick = settings(max_examples=150, deadline=None, database=None)

TOKEN = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0189-_!#$%&'*+.^`|~", min_size=1, max_size=12).map(
    str.encode
)
VISIBLE = bytes([*range(0x21, 0x7F), *range(0x80, 0x100)])
VALUE = st.lists(st.sampled_from([*VISIBLE, 0x20, 0x09]), max_size=20).map(lambda v: bytes(v).strip(b" \t"))
NAMES_WITH_MEANING = {b"content-length", b"transfer-encoding", b"connection", b"upgrade", b"proxy-connection"}
HEADERS = st.lists(st.tuples(TOKEN.filter(lambda n: n.lower() not in NAMES_WITH_MEANING), VALUE), max_size=5)
REASON = st.lists(st.sampled_from([*VISIBLE, 0x20]), max_size=10).map(lambda v: bytes(v).strip())


class Sample(NamedTuple):
    wire: bytes
    status: int
    reason: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    until_eof: bool


def head(status: int, reason: bytes, headers: list[tuple[bytes, bytes]]) -> bytes:
    lines = [b"HTTP/1.1 %d %b" % (status, reason), *(b"%b: %b" % pair for pair in headers)]
    return b"\r\n".join(lines) + b"\r\n\r\n"


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    interim = draw(st.lists(st.tuples(st.sampled_from([100, 102, 103]), REASON, HEADERS), max_size=2))
    status = draw(st.sampled_from([200, 201, 204, 299, 304, 400, 404, 429, 500, 503]))
    reason, headers = draw(REASON), draw(HEADERS)
    framing = draw(st.sampled_from(["length", "chunked", "eof"]))
    chunks = draw(st.lists(st.binary(min_size=1, max_size=40), max_size=5))
    payload = b"".join(chunks)
    position = draw(st.integers(0, len(headers)))
    if status in {204, 304}:
        payload, framing = b"", "none"
    elif framing == "length":
        headers.insert(position, (b"Content-Length", b"%d" % len(payload)))
    elif framing == "chunked":
        headers.insert(position, (b"transfer-encoding", draw(st.sampled_from([b"chunked", b"Chunked"]))))
    wire = b"".join(head(*each) for each in interim) + head(status, reason, headers)
    if framing == "chunked":
        for chunk in chunks:
            extension = draw(st.sampled_from([b"", b";a", b";a=b", b';a="b c"']))
            wire += b"%x%b\r\n%b\r\n" % (len(chunk), extension, chunk)
        trailers = b"".join(b"%b: %b\r\n" % pair for pair in draw(HEADERS))
        wire += b"0\r\n" + trailers + b"\r\n"
    else:
        wire += payload
    return Sample(wire, status, reason, headers, payload, framing == "eof")


def cut(wire: bytes, places: Sequence[int]) -> list[bytes]:
    edges = sorted({place % len(wire) for place in places} | {0, len(wire)})
    return [wire[a:b] for a, b in pairwise(edges)]


EVERYWHERE = range(10_000)
PLACES = st.lists(st.integers(0, 10_000), max_size=12) | st.just(EVERYWHERE)


def parse(pieces: list[bytes]) -> tuple[object, ...]:
    """Everything a caller can see of a response that comes in these pieces and then ends."""
    parser, body = ResponseParser(), b""
    for piece in [*pieces, b""]:
        if not parser.ended:
            body += parser.feed(piece)
    assert parser.complete == (parser.error is None)
    if not parser.status:
        return (parser.complete,)
    return parser.status, parser.reason, parser.headers, body, parser.complete


def transport_over(*streams: MemoryStream) -> Transport:
    """A transport that connects to these streams, one after another."""

    class InMemory(Transport):
        async def connect(self, origin: Origin) -> Connection:
            await trio.lowlevel.checkpoint()
            stream = waiting.pop(0)
            return Connection(origin, stream, stream)

    waiting = list(streams)
    return InMemory()


@quick
@given(samples(), PLACES)
async def test_a_response_cut_anywhere_is_the_same(sample: Sample, places: Sequence[int]) -> None:
    stream = MemoryStream(cut(sample.wire, places), at_end="eof" if sample.until_eof else "hang")
    transport = transport_over(stream)
    with trio.fail_after(5):
        response = await transport.handle_async_request(httpx.Request("GET", "http://model/"))
        assert isinstance(response.stream, httpx.AsyncByteStream)
        reads = stream.reads
        first_may_have_come_with_the_head = 1
        items = [item async for item in response.stream]
    assert (response.status_code, response.headers.raw) == (sample.status, sample.headers)
    assert response.extensions["reason_phrase"] == sample.reason
    assert b"".join(items) == sample.body
    assert b"" not in items
    assert len(items) <= stream.reads - reads + first_may_have_come_with_the_head
    assert "0 active" in repr(transport)
    assert stream.is_closed == sample.until_eof == ("0 idle" in repr(transport))


@quick
@given(samples(), st.integers(0, 10_000), PLACES)
async def test_a_truncated_response_is_never_a_clean_end(
    sample: Sample, end: int, places: Sequence[int]
) -> None:
    wire = sample.wire[: end % len(sample.wire)]
    if sample.until_eof and b"\r\n\r\n" in wire:
        wire = wire[: wire.index(b"\r\n\r\n")]  # later than that, nobody can know
    stream = MemoryStream(cut(wire, places) if wire else [])
    transport = transport_over(stream)
    received: list[bytes] = []

    async def receive() -> None:
        response = await transport.handle_async_request(httpx.Request("GET", "http://model/"))
        assert isinstance(response.stream, httpx.AsyncByteStream)
        async for item in response.stream:
            received.append(item)  # noqa: PERF401 - what came before the error counts

    with trio.fail_after(5), pytest.raises(httpx.RemoteProtocolError) as caught:
        await receive()
    assert sample.body.startswith(b"".join(received))
    assert caught.value.request.url == "http://model/"
    assert stream.is_closed
    assert "0 active, 0 idle" in repr(transport)


@quick
@given(samples(), st.integers(0, 10_000), st.binary(max_size=3), PLACES)
def test_a_spoiled_response_is_judged_the_same_however_it_is_cut(
    sample: Sample, at: int, noise: bytes, places: Sequence[int]
) -> None:
    place = at % len(sample.wire)
    wire = sample.wire[:place] + noise + sample.wire[place + 1 :]
    assert parse(cut(wire, places) if wire else []) == parse([wire])


@quick
@given(st.binary(max_size=200) | st.binary(max_size=50).map(lambda b: b"HTTP/1.1 200 OK\r\n" + b))
def test_garbage_is_an_error_or_a_response_and_nothing_else(wire: bytes) -> None:
    parse([wire])


@quick
@given(
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "QUERY"]),
    HEADERS,
    st.binary(max_size=300),
    st.booleans(),
)
def test_what_we_encode_is_what_h11_reads(
    method: str, headers: list[tuple[bytes, bytes]], body: bytes, chunked: bool
) -> None:
    framing = [(b"Transfer-Encoding", b"chunked")] if chunked else []
    own = [pair for pair in headers if pair[0].lower() not in {b"host", b"expect"}]
    request = httpx.Request(method, "http://model:81/v1/a%20b?q=1", headers=own + framing, content=body)
    if chunked:
        request.headers.pop("content-length", None)  # httpx would send both
    outgoing = encode(request)
    assert outgoing.body is not None
    peer = h11.Connection(h11.SERVER)
    peer.receive_data(outgoing.head + outgoing.body)
    seen = peer.next_event()
    assert isinstance(seen, h11.Request)
    assert (seen.method, seen.target) == (method.encode(), b"/v1/a%20b?q=1")
    sent = request.headers.raw
    assert [(name, value.strip(b" \t")) for name, value in sent] == list(seen.headers.raw_items())
    data = b""
    event: Callable[[], object] = peer.next_event
    while isinstance(part := event(), h11.Data):
        data += part.data
    assert isinstance(part, h11.EndOfMessage)
    assert data == body

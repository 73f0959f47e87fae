"""The first data event of a stream is found at its very byte, however the stream is framed and cut."""

from __future__ import annotations

import re
from itertools import pairwise
from time import perf_counter

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from octoroute.openai.errors import error_body
from octoroute.openai.sse import FirstEvent, comment, error_event, error_of

ENDS = [b"\n", b"\r\n", b"\r"]
LINES = st.sampled_from(
    [
        b"",
        b"",
        b": comment",
        b":",
        b": data: x",
        b"data: one",
        b"data:two",
        b"data:  three",
        b"data",
        b"data:",
        b"dat: no",
        b"Data: no",
        b" data: no",
        b"datax: no",
        b"data : no",
        b"id: 1",
        b"retry: 5",
        b"event: message",
        b"event: error",
        b"event",
        b'error: {"message":"m"}',
        b'data: {"error":{"message":"m"}}',
        b'data: {"choices":[],"error":"m"}',
        b"data: [DONE]",
        "data: é😀".encode(),
        b"\xef\xbb\xbfdata: x",
        b"\x00data: x",
        b"data: \xff",
    ]
)
STREAMS = st.builds(
    lambda bom, lines, rest: bom + b"".join(line + end for line, end in lines) + rest,
    st.sampled_from([b"", b"", b"\xef\xbb\xbf", b"\xef\xbb\xbf\xef\xbb\xbf", b"\xef\xbb"]),
    st.lists(st.tuples(LINES, st.sampled_from(ENDS)), max_size=8),
    LINES,
) | st.text("dat:\r\n \ufeff", max_size=20).map(str.encode)


class Reference:
    """WHATWG's event stream algorithm on a whole text at once, and llama.cpp's `error:` lines."""

    def __init__(self, stream: bytes) -> None:
        self.data: bytes | None = None
        self.complete_at: int | None = None  # bytes that must have arrived; None: the event lacks its end
        self.is_error = False
        position = len(b"\xef\xbb\xbf") if stream.startswith(b"\xef\xbb\xbf") else 0
        lines: list[bytes] = []
        named, error_line = b"", False
        while position < len(stream):
            end = min(
                (at for at in (stream.find(b"\r", position), stream.find(b"\n", position)) if at >= 0),
                default=None,
            )
            line = stream[position:end]
            position = len(stream) if end is None else end + (2 if stream[end : end + 2] == b"\r\n" else 1)
            if line == b"" and end is not None:
                if lines:
                    self.complete_at = end + 1
                    break
                named = b""
            elif not line.startswith(b":"):
                field, _, value = line.partition(b":")
                value = value.removeprefix(b" ")
                if field == b"event":
                    named = value
                if field in {b"data", b"error"}:
                    lines.append(value)
                    error_line |= field == b"error"
        if lines:
            self.data = b"\n".join(lines)
            self.is_error = named == b"error" or error_line or error_of(self.data) is not None


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


@given(STREAMS, st.lists(st.integers(0, 200), max_size=12))
@example(b"data: x\r\r", [])
@example(b"data: x\r\n\r\n", [8, 9, 10])
@example(b"event: error\n\ndata: x\n\n", [])
@example(b"event: error\nevent: message\ndata: x\n\n", [])
@example(b"\xef\xbb\xbfdata: x\n\n", [1, 2])
def test_the_event_is_the_references_at_the_same_byte_in_any_pieces(stream: bytes, places: list[int]) -> None:
    expected = Reference(stream)
    first = FirstEvent()
    arrived = 0
    for piece in cut(stream, places):
        arrived += len(piece)
        complete = first.feed(piece)
        assert complete is first.complete
        assert complete == (expected.complete_at is not None and arrived >= expected.complete_at)
    assert first.end() == (expected.data is not None)
    assert first.data == (expected.data or b"")
    assert first.is_error is expected.is_error


@given(STREAMS)
def test_the_event_is_seen_at_its_last_byte(stream: bytes) -> None:
    expected, first = Reference(stream), FirstEvent()
    at = next((at + 1 for at in range(len(stream)) if first.feed(stream[at : at + 1])), None)
    assert at == expected.complete_at


@given(
    st.lists(
        st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])), min_size=1, max_size=5
    ),
    st.sampled_from(ENDS),
)
def test_comments_and_other_fields_are_no_event(texts: list[str], end: bytes) -> None:
    first = FirstEvent()
    for text in texts:
        assert not first.feed(b": " + text.encode() + end + end)
        assert not first.feed(b"event: ping" + end + b"id: 1" + end + end)
    assert not first.end()
    assert (first.data, first.is_error) == (b"", False)


def test_nothing_more_is_read_after_the_event() -> None:
    first = FirstEvent()
    assert first.feed(b'data: one\n\ndata: {"error":"x"}\n\n')
    assert first.feed(b"data: two\n\n")
    assert first.end()
    assert (first.data, first.is_error) == (b"one", False)


def test_the_lines_of_an_event_are_joined() -> None:
    first = FirstEvent()
    assert first.feed(b'data: {\ndata: "a":1}\n\n')
    assert first.data == b'{\n"a":1}'


@pytest.mark.parametrize(
    "stream",
    [
        b'data: {"error":{"message":"m"}}\n\n',
        b'data: {"error":"m"}\n\n',
        b'data: {"error":{"message":"m"},"choices":[]}\n\n',
        b'error: {"message":"m"}\n\n',
        b'event: error\ndata: {"message":"m"}\n\n',
        b'data: {"message":"m"}\nevent:error\n\n',
        b'data: {"error":{"message":"m"}}',
    ],
)
def test_a_failure_is_an_error_event(stream: bytes) -> None:
    first = FirstEvent()
    first.feed(stream)
    assert first.end()
    assert first.is_error


@pytest.mark.parametrize(
    "stream",
    [
        b'data: {"choices":[{"delta":{"content":"\\"error\\""}}]}\n\n',
        b'data: {"choices":[{}],"error":{"message":"m"}}\n\n',
        b'data: {"choices":[{}],"error":null}\n\n',
        b"data: null\n\n",
        b"data: [DONE]\n\n",
        b'data: "error"\n\n',
        b'data: ["error"]\n\n',
        b'data: {"error"\n\n',
        b"data:\n\n",
        b": an error\ndata: x\n\n",
        b"event: error\n\ndata: x\n\n",  # an event without data is dropped, and its name with it
    ],
)
def test_everything_else_is_an_answer(stream: bytes) -> None:
    first = FirstEvent()
    assert first.feed(stream)
    assert not first.is_error


def test_a_stream_without_events_has_none() -> None:
    first = FirstEvent()
    assert not first.feed(b"")
    assert not first.end()


def test_a_long_first_event_costs_in_proportion() -> None:
    """Measured: 10 ms; it was 188 s when each piece was looked at again together with all before it."""
    piece = b"x" * 1024
    first = FirstEvent()
    first.feed(b"data: ")
    start = perf_counter()
    for _ in range(4096):
        assert not first.feed(piece)
    assert first.feed(b"\n\n")
    assert perf_counter() - start < 2
    assert len(first.data) == 4096 * 1024


# Errors in JSON


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b'{"error":{"message":"m"}}', {"message": "m"}),
        (b'{"error":"m"}', "m"),
        (b'{"error":null}', None),
        (b'{"error":{}}', None),
        (b'{"error":"m","choices":[{}]}', None),
        (b'{"detail":"m"}', None),
        (b'"error"', None),
        (b'<html>"error"</html>', None),
        (b"", None),
        (b'{"error":"\xff"}', None),
        (b'{"error":1e400}', None),
    ],
)
def test_the_error_of_an_object_is_found(data: bytes, error: object) -> None:
    assert error_of(data) == error


def test_an_error_nested_without_end_is_none_that_can_be_read() -> None:
    assert error_of(b'{"error":' + b"[" * 100_000 + b"]" * 100_000 + b"}") is None


@given(st.binary(max_size=50))
def test_no_bytes_make_reading_an_error_fail(noise: bytes) -> None:
    error_of(noise)
    error_of(b'{"error":' + noise + b"}")


# What we write


def events(stream: bytes) -> list[bytes]:
    """The data of all events that a client sees."""
    found = []
    for block in re.split(rb"\n\n+", stream.removesuffix(b"\n\n")):
        data = [line.removeprefix(b"data: ") for line in block.split(b"\n") if line.startswith(b"data:")]
        if data:
            found.append(b"\n".join(data))
    return found


@pytest.mark.parametrize("before", [b"", b"data: whole\n\n", b"data: line\n", b'data: {"half', b": comm"])
def test_an_error_event_stands_alone_whatever_came_before(before: bytes) -> None:
    class Broken(Exception):
        message, type, param, code = 'It "broke"\noff.', "server_error", None, "upstream_failed"

    event = error_event(error_body(Broken()))  # type: ignore[arg-type]
    *_, last = events(before + event)
    assert msgspec.json.decode(last)["error"]["message"] == 'It "broke"\noff.'
    first = FirstEvent()
    assert first.feed(event)
    assert first.is_error


def test_a_comment_is_no_event() -> None:
    first = FirstEvent()
    assert not first.feed(comment("octoroute tier=fast endpoint=a"))
    assert not first.end()

"""Every byte passes: of a request all but `model`'s value, of an answer all of them, however they are cut up."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import trio
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from octoroute.config.model import Secret
from octoroute.openai.request import parse
from tests.fakes.model_server import Behaviour, Bytewise, Exchange, FakeModelServer, Ok
from tests.serving import chat, client, connect, endpoint, running

# A request's JSON as text, member by member, so that what must come out is known without reading it.

blanks = st.text(alphabet=" \t\r\n", max_size=2)
_SHORT = {
    '"': r"\"",
    "\\": r"\\",
    "/": r"\/",
    "\n": r"\n",
    "\t": r"\t",
    "\b": r"\b",
    "\f": r"\f",
    "\r": r"\r",
}


def _escaped(character: str, how: int) -> str:
    if how == 0 and character >= " " and character not in '"\\' and not "\ud800" <= character <= "\udfff":
        return character
    if how == 1 and character in _SHORT:
        return _SHORT[character]
    units = character.encode("utf-16-be", "surrogatepass")
    codes = (units[at : at + 2].hex() for at in range(0, len(units), 2))
    return "".join(rf"\u{code.upper() if how == 2 else code}" for code in codes)


def literals(text: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """`text` as JSON strings, each character written in one of the ways there are."""
    character = st.integers(0, 3)
    return text.flatmap(
        lambda value: st.lists(character, min_size=len(value), max_size=len(value)).map(
            lambda hows: '"' + "".join(map(_escaped, value, hows)) + '"'
        )
    )


any_text = st.text(max_size=8) | st.sampled_from(["😀", "\ud83d", "né", "\u2028", "data: [DONE]\n\n", "}"])
numbers = st.sampled_from(
    [
        "0",
        "-0",
        "-0.0",
        "1E400",
        "-1e-400",
        "1.0000000000000000000001",
        "9007199254740993",
        "18446744073709551616",
    ]
) | st.from_regex(
    r"-?[1-9][0-9]{0,40}(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?",
    fullmatch=True,
    alphabet=st.characters(max_codepoint=127),
)
scalars = st.sampled_from(["true", "false", "null"]) | numbers | literals(any_text)


def _list(items: Sequence[tuple[str, str, str]]) -> str:
    return "[" + ",".join(before + item + after for before, item, after in items) + "]"


def _object(members: Sequence[tuple[str, str, str, str]]) -> str:
    return "{" + ",".join(f"{a}{key}{b}:{b}{value}{a}" for a, key, b, value in members) + "}"


values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(st.tuples(blanks, inner, blanks), max_size=3).map(_list)
        | st.lists(st.tuples(blanks, literals(any_text), blanks, inner), max_size=3).map(_object)
    ),
    max_leaves=8,
)
messages = st.sampled_from(
    [
        '[{"role":"user","content":"hi"}]',
        (
            '[ {"content" : null, "role":"assistant", "tool_calls":[{"id":"a","function":{"arguments":"{\\"a\\":1}"}}]},'
            '\n{"role":"tool","content":"né \\ud83d\\ude00 \\ud83d","tool_call_id":"a","x":1e999}]'
        ),
        (
            '[{"role":"developer","content":[{"type":"text","text":"\\u0041"},'
            '{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}}, {"type":"input_audio","n":0}]}]'
        ),
    ]
)
known = {
    "model": literals(st.just("fast")) | st.sampled_from(["null", '"FAST"', '""']),
    "max_tokens": st.sampled_from(["null", "1", "2.50"]),
    "max_completion_tokens": st.sampled_from(["null", "17"]),
    "temperature": st.sampled_from(["null", "0", "1.10"]),
    "stream": st.sampled_from(["true", "false", "null"]),
    "tools": values,
    "metadata": st.sampled_from(["null", "1", '{"user_id":"7"}', '{"importance":"LOW"}']),
}
Member = tuple[str, str, str, str, str, str]
"""The key as a text, the key as JSON, its value, and the blanks around: before it, within, after."""


def _member(key: str, value: st.SearchStrategy[str]) -> st.SearchStrategy[Member]:
    return st.tuples(st.just(key), literals(st.just(key)), value, blanks, blanks, blanks)


def _other_member() -> st.SearchStrategy[Member]:
    key = any_text.filter(lambda text: text not in {*known, "messages", "functions"})
    return key.flatmap(lambda name: _member(name, values))


members = st.tuples(
    st.lists(st.one_of(*(_member(key, value) for key, value in known.items()), _other_member()), max_size=8),
    _member("messages", messages),
    st.lists(_other_member(), max_size=2),
).map(lambda parts: [*parts[0], parts[1], *parts[2]])


@dataclass(frozen=True)
class Wanted:
    """What the endpoint configures."""

    max_tokens: int | None
    temperature: float | None


def _written(members: Sequence[Member], replaced: dict[str, str], around: tuple[str, str]) -> bytes:
    inner = ",".join(
        f"{before}{literal}{within}:{within}{replaced.get(key, value)}{after}"
        for key, literal, value, before, within, after in members
    )
    return f"{around[0]}{{{inner}}}{around[1]}".encode()


def _given(members: Sequence[Member], key: str) -> bool:
    """Whether the client gave it: what is repeated counts where it comes last."""
    return next((value != "null" for name, _, value, *_ in reversed(members) if name == key), False)


def expected(
    members: Sequence[Member], wanted: Wanted, around: tuple[str, str]
) -> tuple[bytes, dict[str, Any]]:
    """The body with each value replaced that has to be, and what has to be added to it, anywhere."""
    values: dict[str, Any] = {"model": "small"}
    if wanted.max_tokens is not None and not (
        _given(members, "max_tokens") or _given(members, "max_completion_tokens")
    ):
        values["max_tokens"] = wanted.max_tokens
    if wanted.temperature is not None and not _given(members, "temperature"):
        values["temperature"] = wanted.temperature
    present = {key for key, *_ in members}
    replaced = {key: json.dumps(value) for key, value in values.items()}
    return _written(members, replaced, around), {
        key: value for key, value in values.items() if key not in present
    }


def check(sent: bytes, as_expected: bytes, added: dict[str, Any]) -> None:
    """`sent` is `as_expected`, but for one run of members that say what is `added`."""
    opening = as_expected.index(b"{") + 1
    assert sent.startswith(as_expected[:opening])
    assert sent.endswith(as_expected[opening:])
    extra = sent[opening : len(sent) - (len(as_expected) - opening)]
    if not added:
        assert extra == b""
    else:
        assert extra.endswith(b",")
        assert json.loads(b"{" + extra[:-1] + b"}") == added


wishes = st.builds(Wanted, st.none() | st.just(512), st.none() | st.just(0.7))
_PLAIN: list[Member] = [("messages", '"messages"', '[{"role":"user","content":"hi"}]', "", "", "")]


@given(members, wishes, st.tuples(blanks, blanks))
@example([*_PLAIN, ("seed", '"seed"', "9" * 5000, "", "", "")], Wanted(1, 1), ("", "\n"))
@example([("model", r'"\u006dodel"', "null", "\t", "\n", ""), *_PLAIN], Wanted(1, 1), ("", ""))
@example(
    [*_PLAIN, ("model", '"model"', '"a"', "", "", ""), ("model", '"model"', '"fast"', "", "", "")],
    Wanted(None, None),
    ("", ""),
)
@example([("x", '"x"', '{"model":"a","model":"b"}', "", "", ""), *_PLAIN], Wanted(1, 0), (" ", ""))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_body_keeps_every_byte_but_the_models(
    members: list[Member], wanted: Wanted, around: tuple[str, str]
) -> None:
    body = _written(members, {}, around)
    sent = parse(body).body_for("small", max_tokens=wanted.max_tokens, temperature=wanted.temperature)
    check(sent, *expected(members, wanted, around))


@given(st.lists(members, min_size=1, max_size=12), wishes)
@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
async def test_bodies_arrive_upstream_with_every_byte(requests: list[list[Member]], wanted: Wanted) -> None:
    async with FakeModelServer("small") as small:
        place = endpoint(small, max_tokens=wanted.max_tokens, temperature=wanted.temperature)
        async with running(place) as daemon, client(daemon) as http:
            for number, request in enumerate(requests, 1):
                answer = await http.post("/v1/chat/completions", content=_written(request, {}, ("", "")))
                assert answer.status_code == 200, answer.text
                assert len(small.chats) == number
                check(small.chats[-1].body, *expected(request, wanted, ("", "")))


def _sent(fields: dict[str, Any], **configured: Any) -> Any:
    body = json.dumps({**chat(), **fields}).encode()
    return json.loads(parse(body).body_for("m", **{"max_tokens": 512, "temperature": 0.7, **configured}))


@pytest.mark.parametrize(
    ("given_fields", "max_tokens", "temperature"),
    [
        ({}, 512, 0.7),
        ({"max_tokens": None, "temperature": None}, 512, 0.7),
        ({"max_tokens": 5, "temperature": 0}, 5, 0),
        ({"max_completion_tokens": 5}, "absent", 0.7),
        ({"max_completion_tokens": None}, 512, 0.7),
        ({"max_completion_tokens": 5, "max_tokens": None}, None, 0.7),
    ],
)
def test_what_is_filled_in(given_fields: dict[str, Any], max_tokens: Any, temperature: Any) -> None:
    sent = _sent(given_fields)
    assert sent.get("max_tokens", "absent") == max_tokens
    assert sent["temperature"] == temperature
    if "max_completion_tokens" in given_fields:
        assert sent["max_completion_tokens"] == given_fields["max_completion_tokens"]
    assert _sent({}, max_tokens=None, temperature=None).keys() == chat().keys()


# Headers

FROM_THE_CLIENT = {
    "Authorization": "Bearer secret",
    "X-Api-Key": "secret",
    "Cookie": "session=secret",
    "Origin": "https://example.com",
    "Referer": "https://example.com/",
    "X-Octoroute-Importance": "low",
    "X-Octoroute-Anything": "1",
    "X-Forwarded-For": "10.0.0.1",
    "OpenAI-Organization": "org",
    "Accept-Encoding": "gzip, br",
    "Accept": "text/event-stream",
    "User-Agent": "me/1.0",
    "Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "Tracestate": "a=b",
    "X-Request-Id": "abc.DEF-1_2",
    "Content-Type": "application/json; charset=utf-8",
    "Idempotency-Key": "1",
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("key", [None, "sk-endpoint"])
async def test_upstream_headers_are_exactly_the_contracts(stream: bool, key: str | None) -> None:
    async with FakeModelServer("small") as small:
        place = endpoint(small, api_key=None if key is None else Secret(key))
        async with running(place) as daemon, client(daemon) as http:
            answer = await http.post(
                "/v1/chat/completions?beta=true", json=chat(stream=stream), headers=FROM_THE_CLIENT
            )
            assert answer.status_code == 200
            request = small.chats[0]
            own = [("authorization", f"Bearer {key}")] if key else []
            assert sorted(
                (name.decode().lower(), value.decode()) for name, value in request.headers
            ) == sorted(
                [
                    ("host", f"127.0.0.1:{small.port}"),
                    ("content-type", "application/json"),
                    ("content-length", str(len(request.body))),
                    ("accept", "text/event-stream"),
                    ("user-agent", "me/1.0"),
                    ("x-request-id", "abc.DEF-1_2"),
                    ("traceparent", FROM_THE_CLIENT["Traceparent"]),
                    ("tracestate", "a=b"),
                    ("accept-encoding", "identity"),
                    *own,
                ]
            )
            assert request.method == "POST"
            assert request.path == "/v1/chat/completions"


async def test_nothing_is_added_for_a_client_that_says_little() -> None:
    async with FakeModelServer("small") as small, running(small) as daemon:
        body = json.dumps(chat()).encode()
        stream = await connect(daemon)
        async with stream:
            await stream.send_all(
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n%b"
                % (len(body), body)
            )
            with trio.fail_after(10):
                head = bytes(await stream.receive_some(65536))
        given_id = head.lower().partition(b"x-request-id: ")[2].partition(b"\r\n")[0].decode()
        assert len(given_id) == 32
        names = {name.lower() for name, _ in small.chats[0].headers}
        assert names == {b"host", b"content-type", b"content-length", b"x-request-id", b"accept-encoding"}
        assert small.chats[0].header("x-request-id") == given_id


BACK = [
    ("X-Custom", "kept"),
    ("X-Ratelimit-Remaining", "7"),
    ("Cache-Control", "no-cache"),
    ("Via", "1.1 a"),
    ("Via", "1.1 b"),
    ("Set-Cookie", "session=1"),
    ("Date", "Thu, 01 Jan 1970 00:00:00 GMT"),
    ("Keep-Alive", "timeout=5"),
    ("Connection", "keep-alive, X-Private"),
    ("X-Private", "1"),
    ("Proxy-Authenticate", "Basic"),
    ("Trailer", "X-T"),
    ("Upgrade", "h2c"),
    ("X-Request-Id", "theirs"),
    ("X-Octoroute-Tier", "deep"),
]


@pytest.mark.parametrize("stream", [True, False])
async def test_headers_come_back_but_for_those_of_the_connection(stream: bool) -> None:
    async with (
        FakeModelServer("small", behaviour=Ok(headers=BACK)) as small,
        running(small) as daemon,
        client(daemon) as http,
    ):
        answer = await http.post(
            "/v1/chat/completions", json=chat(stream=stream), headers={"X-Request-Id": "mine"}
        )
        headers = answer.headers.multi_items()
        assert [value for name, value in headers if name == "via"] == ["1.1 a", "1.1 b"]
        got = {name: value for name, value in headers if name != "via"}
        assert got.pop("date") != BACK[6][1]
        assert got.pop("content-length" if not stream else "transfer-encoding")
        assert got == {
            "content-type": "text/event-stream" if stream else "application/json",
            "x-custom": "kept",
            "x-ratelimit-remaining": "7",
            "cache-control": "no-cache",
            "x-request-id": "mine",
            "x-octoroute-tier": "fast",
            "x-octoroute-model": "small",
            "x-octoroute-endpoint": "small",
            "x-octoroute-strategy": "direct",
            "x-octoroute-reason": "tier_requested",
            "x-octoroute-attempts": "1",
        }


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("a" * 128, True), ("a" * 129, False), ("a b", False), ("", False), ("é", False), ("A-Z_09.", True)],
)
async def test_request_ids(sent: str, kept: bool) -> None:
    async with FakeModelServer("small") as small, running(small) as daemon, client(daemon) as http:
        for path in ("/health", "/nowhere", "/v1/chat/completions", "/metrics"):
            answer = await http.get(path, headers={b"X-Request-Id": sent.encode("latin-1")})
            given_id = answer.headers["x-request-id"]
            assert answer.headers.get_list("x-request-id") == [given_id]
            assert (given_id == sent) is kept
            assert given_id


# Answers

EVENTS = (
    b": processing 10%\r\n\r\n"
    b'data: {"id":"1","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n'
    b'event: message\ndata: {"choices":[{"index":0,"delta":{"content":"n\xc3\xa9 \xf0\x9f\x98\x80"}}],\ndata: "x":1}\r\n\r\n'
    b"data: null\n\n: ping\n\nid: 7\nretry: 10\n\n"
    b'data: {"choices":[{"index":0,"delta":{"reasoning_content":"data: [DONE]\\n\\n"}}]}\r\r'
    b'data:{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4},"timings":{"x":1e400}}\n\n'
    b"data: [DONE]\n\n"
)


def pieces(payload: bytes, cuts: Sequence[int]) -> Behaviour:
    """`payload` as a stream, cut up at these places, each piece in a packet (and a chunk) of its own."""

    async def behaviour(exchange: Exchange) -> None:
        await exchange.head(200, [("Content-Type", "text/event-stream")], framing="chunked")
        places = [0, *sorted(cuts), len(payload)]
        for start, end in itertools.pairwise(places):
            if end > start:
                await exchange.piece(payload[start:end])
                await trio.sleep(0.0005)  # a packet of its own
        await exchange.end()

    return behaviour


async def received(http: httpx.AsyncClient) -> bytes:
    async with http.stream("POST", "/v1/chat/completions", json=chat(stream=True)) as answer:
        assert answer.status_code == 200
        return b"".join([chunk async for chunk in answer.aiter_raw()])


@given(st.lists(st.lists(st.integers(1, len(EVENTS) - 1), max_size=6, unique=True), min_size=8, max_size=8))
@settings(max_examples=8, deadline=None)
async def test_a_stream_cut_anywhere_arrives_byte_for_byte(cuts: list[list[int]]) -> None:
    async with FakeModelServer("small") as small, running(small) as daemon, client(daemon) as http:
        for places in cuts:
            small.behaviour = pieces(EVENTS, places)
            with trio.fail_after(20):
                assert await received(http) == EVENTS


async def test_a_stream_byte_by_byte_arrives_byte_for_byte() -> None:
    async with FakeModelServer("small") as small, running(small) as daemon, client(daemon) as http:
        small.behaviour = pieces(EVENTS, range(1, len(EVENTS)))
        with trio.fail_after(20):
            assert await received(http) == EVENTS
        small.behaviour = Bytewise(Ok(["né", "😀"], crlf=True))
        with trio.fail_after(20):
            bytewise = await received(http)
        assert bytewise.endswith(b"data: [DONE]\r\n\r\n")
        assert "😀".encode() in bytewise
        # [DONE] came in pieces, too: these answers were whole.
        assert 'octoroute_responses_total{status="200",tier="fast"} 2.0' in (await http.get("/metrics")).text


@given(st.data())
@settings(max_examples=10, deadline=None)
async def test_a_buffered_answer_keeps_its_bytes(data: st.DataObject) -> None:
    body = (
        '{"choices":[{"message":{"content":"hi"}}]'
        ","
        + data.draw(literals(any_text.filter(lambda t: t not in {"choices", "error"})))
        + ":"
        + data.draw(values)
        + "}"
    ).encode()
    assume(b'"error"' not in body)

    async def behaviour(exchange: Exchange) -> None:
        await exchange.head(200, [("Content-Type", "application/json")], framing="length", body=body)

    async with (
        FakeModelServer("small", behaviour=behaviour) as small,
        running(small) as daemon,
        client(daemon) as http,
    ):
        answer = await http.post("/v1/chat/completions", json=chat())
        assert answer.status_code == 200, answer.text
        assert answer.content == body


async def test_each_token_leaves_at_once() -> None:
    """One write for each read: no event waits for the next one."""
    arrived = [trio.Event() for _ in range(3)]

    async def behaviour(exchange: Exchange) -> None:
        await exchange.head(200, [("Content-Type", "text/event-stream")], framing="chunked")
        for number, event in enumerate(arrived):
            await exchange.piece(b"data: %d\n\n" % number)
            await event.wait()
        await exchange.end()

    async with (
        FakeModelServer("small", behaviour=behaviour) as small,
        running(small) as daemon,
        client(daemon) as http,
    ):
        with trio.fail_after(20):
            async with http.stream("POST", "/v1/chat/completions", json=chat(stream=True)) as answer:
                number = 0
                async for chunk in answer.aiter_raw():
                    assert chunk == b"data: %d\n\n" % number
                    arrived[number].set()
                    number += 1
        assert number == 3

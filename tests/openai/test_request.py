"""A request is read as far as routing needs it, and every other byte goes upstream as it came."""

from __future__ import annotations

import json
import re
from time import perf_counter
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from octoroute.config.model import Importance
from octoroute.errors import InvalidRequest
from octoroute.openai import request as request_module
from octoroute.openai.request import MAX_SCANNED, Metadata, TaskType, metadata_value, parse

MESSAGES = b'"messages":[{"role":"user","content":"hi"}]'
DEEP = b"[" * 100_000 + b"]" * 100_000
MANY_DIGITS = b"1" * 5000  # more than int() takes from a string


def request(*members: bytes) -> bytes:
    return b"{" + b",".join((MESSAGES, *members)) + b"}"


def refusal(body: bytes) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        parse(body)
    return caught.value


def sent(body: bytes, **fill: Any) -> bytes:
    return parse(body).body_for("upstream", **{"max_tokens": None, "temperature": None, **fill})


# Any JSON, in any formatting: an object is a list of members, of which a key may occur more than once.

BLANK = st.text(" \t\r\n", max_size=3)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXT
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
READ_KEYS = ("model", "max_tokens", "max_completion_tokens", "temperature")
ROLES = st.sampled_from(["user", "system", "assistant", "developer", "tool", "function", "anything"])
CONTENT = st.one_of(
    st.none(),
    TEXT,
    st.lists(TEXT | st.fixed_dictionaries({"type": TEXT, "text": TEXT, "model": TEXT}), max_size=3),
)
MEMBERS = st.lists(
    st.one_of(
        st.tuples(st.just("model"), st.none() | TEXT),
        st.tuples(st.sampled_from(READ_KEYS[1:]), st.none() | st.integers(0, 9) | st.floats(0, 2)),
        st.tuples(TEXT.filter(lambda key: key not in {"stream", "messages", "metadata", *READ_KEYS}), VALUES),
        st.tuples(st.just("stream"), st.none() | st.booleans()),
        # `model` occurs in nested places too, where it is none of our business.
        st.tuples(st.just("nested"), st.fixed_dictionaries({"model": VALUES, "max_tokens": VALUES})),
    ),
    max_size=8,
)


@st.composite
def formatted(draw: st.DrawFn, value: Any) -> str:
    """`value` as JSON, with blanks anywhere and its strings escaped as somebody might escape them."""

    def text(plain: str) -> str:
        how = draw(st.sampled_from(["plain", "ascii", "escaped"]))
        if how == "escaped":
            units = plain.encode("utf-16-be").hex()
            return '"' + "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4)) + '"'
        return json.dumps(plain, ensure_ascii=how == "ascii")

    def blank() -> str:
        return draw(BLANK)

    def items(parts: list[str]) -> str:
        return ",".join(f"{blank()}{part}{blank()}" for part in parts)

    def write(value: Any) -> str:
        if isinstance(value, str):
            return text(value)
        if isinstance(value, list):
            return f"[{items([write(item) for item in value])}]" if value else f"[{blank()}]"
        if isinstance(value, dict):
            value = list(value.items())
        if isinstance(value, tuple):
            value = list(value[0])  # a tuple of one holds the members of an object, duplicates and all
        elif not isinstance(value, list):
            return json.dumps(value)
        members = [f"{text(key)}{blank()}:{blank()}{write(item)}" for key, item in value]
        return f"{{{items(members)}}}" if members else f"{{{blank()}}}"

    return f"{blank()}{write(value)}{blank()}"


@st.composite
def bodies(draw: st.DrawFn) -> tuple[list[tuple[str, Any]], bytes]:
    members = draw(MEMBERS)
    messages = draw(
        st.lists(
            st.fixed_dictionaries({"role": ROLES, "content": CONTENT, "model": TEXT}), min_size=1, max_size=3
        )
    )
    members.insert(draw(st.integers(0, len(members))), ("messages", messages))
    return members, draw(formatted((members,))).encode()


def pairs(body: bytes) -> list[tuple[str, Any]]:
    """The members of an object as the standard library reads them, duplicates and all."""
    levels: list[list[tuple[str, Any]]] = []

    def note(found: list[tuple[str, Any]]) -> dict[str, Any]:
        levels.append(found)
        return dict(found)

    json.loads(body, object_pairs_hook=note)
    return levels[-1]


def same(left: Any, right: Any) -> bool:
    """Equal as JSON: 1 is neither true nor 1.0."""
    return json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)


@given(bodies(), st.none() | st.integers(1, 99), st.none() | st.floats(0, 2))
def test_a_request_goes_upstream_as_it_came_but_for_what_is_ours(
    drawn: tuple[list[tuple[str, Any]], bytes], max_tokens: int | None, temperature: float | None
) -> None:
    members, body = drawn
    given_ = dict(members)
    result = parse(body).body_for("upstream/ü", max_tokens=max_tokens, temperature=temperature)
    ours: dict[str, Any] = {"model": "upstream/ü"}
    if max_tokens is not None and given_.get("max_tokens") is given_.get("max_completion_tokens") is None:
        ours["max_tokens"] = max_tokens
    if temperature is not None and given_.get("temperature") is None:
        ours["temperature"] = temperature
    # As values: nothing but ours has changed, in place where it stood, in front where it did not.
    expected = [(key, value) for key, value in ours.items() if key not in given_]
    expected += [(key, ours.get(key, value)) for key, value in members]
    assert same(pairs(result), expected)
    # As bytes: with our values cut out again, it is what the client sent, with its own cut out.
    if not set(ours) - set(given_):
        assert len(result) - len(body) == sum(
            len(json.dumps(ours[key], ensure_ascii=False).encode()) - length
            for key, length in value_lengths(body)
            if key in ours
        )


def value_lengths(body: bytes) -> list[tuple[str, int]]:
    """The length in bytes of each top-level value, found by trying: the shortest text that is JSON."""
    text = body.decode()
    decoder = json.JSONDecoder()
    position, found = text.index("{") + 1, []
    while (position := position + len(text[position:]) - len(text[position:].lstrip(" \t\r\n,"))) < len(text):
        if text[position] == "}":
            break
        key, position = decoder.raw_decode(text, position)
        position = text.index(":", position) + 1
        position += len(text[position:]) - len(text[position:].lstrip(" \t\r\n"))
        _, end = decoder.raw_decode(text, position)
        found.append((key, len(text[position:end].encode())))
        position = end
    return found


@given(bodies())
def test_what_is_read_is_what_the_standard_library_reads(drawn: tuple[list[tuple[str, Any]], bytes]) -> None:
    members, body = drawn
    given_ = dict(members)
    request_ = parse(body)
    assert request_.model == (given_.get("model") or "auto")
    assert request_.stream is bool(given_.get("stream"))
    assert [message.role for message in request_.messages] == [m["role"] for m in given_["messages"]]


UNTOUCHED = {
    "order and blanks": b' {\n  "seed" : 7 ,\t"model": "a" , ' + MESSAGES + b" } \n",
    "numbers as written": request(b'"model":"a"', b'"x":1.0', b'"y":1E400', b'"z":-0', b'"n":' + MANY_DIGITS),
    "escapes as written": request(b'"model":"a"', rb'"x":"\u00e9\/\ud83d\ude00"', '"y":"é😀"'.encode()),
    "half an emoji": request(b'"model":"a"', rb'"x":"\ud83d"'),
    "bytes that are no UTF-8": request(b'"model":"a"', b'"x":"\xff"'),
    "models of others": request(b'"model":"a"', b'"metadata":{"model":"b"}', b'"tools":[{"model":"c"}]'),
    "text that looks like a member": request(b'"model":"a"', rb'"x":"\"model\":\"b\""'),
}


@pytest.mark.parametrize("body", UNTOUCHED.values(), ids=UNTOUCHED)
def test_all_but_the_model_is_the_same_to_the_byte(body: bytes) -> None:
    assert sent(body) == re.sub(rb'("model": ?)"a"', rb'\1"upstream"', body, count=1)


def test_the_model_is_rewritten_however_its_key_is_written_and_however_often() -> None:
    body = request(rb'"\u006dod\u0065l" : "a"', b'"model":null', b'"x":1', b'"model":"b"')
    assert sent(body) == request(
        rb'"\u006dod\u0065l" : "upstream"', b'"model":"upstream"', b'"x":1', b'"model":"upstream"'
    )
    assert parse(body).model == "b"  # the last one counts, as everywhere


@pytest.mark.parametrize("member", [b'"x":1', b'"model":null', b'"model":""'])
def test_no_model_is_auto(member: bytes) -> None:
    assert parse(request(member)).model == "auto"
    assert json.loads(sent(request(member)))["model"] == "upstream"


def test_what_is_absent_comes_first_and_the_rest_stays() -> None:
    body = b"  {  " + MESSAGES + b'  ,"temperature" : null}'
    assert sent(body, max_tokens=5, temperature=0.5) == (
        b'  {"model":"upstream","max_tokens":5,  ' + MESSAGES + b'  ,"temperature" : 0.5}'
    )


@pytest.mark.parametrize(
    ("members", "filled"),
    [
        ([], True),
        ([b'"max_tokens":null'], True),
        ([b'"max_completion_tokens":null'], True),
        ([b'"max_tokens":1', b'"max_tokens":null'], True),
        ([b'"max_tokens":9'], False),
        ([b'"max_completion_tokens":9'], False),
        ([b'"max_tokens":null', b'"max_completion_tokens":9'], False),
        ([b'"max_tokens":null', b'"max_tokens":1'], False),
    ],
)
def test_max_tokens_is_filled_in_where_neither_limit_is_given(members: list[bytes], *, filled: bool) -> None:
    before, after = (json.loads(body) for body in (request(*members), sent(request(*members), max_tokens=5)))
    assert after.get("max_tokens") == (5 if filled else before.get("max_tokens"))


@pytest.mark.parametrize(
    ("member", "result"), [(b'"x":1', 0.25), (b'"temperature":null', 0.25), (b'"temperature":0', 0)]
)
def test_a_temperature_of_zero_is_one(member: bytes, result: float) -> None:
    assert json.loads(sent(request(member), temperature=0.25))["temperature"] == result


# What is wrong with a request is said with the field's name

WRONG_FIELDS = [
    (b"{}", "messages", "is required"),
    (b'{"messages":[]}', "messages", "at least one message"),
    (b'{"messages":null}', "messages", "must be a list, got null"),
    (b'{"messages":"x"}', "messages", "must be a list, got a string"),
    (b'{"messages":[5]}', "messages[0]", "must be an object, got a whole number"),
    (b'{"messages":[{"role":"user"},{"content":"x"}]}', "messages[1].role", "is required"),
    (b'{"messages":[{"role":1}]}', "messages[0].role", "must be a string"),
    (
        b'{"messages":[{"role":"user","content":1.5}]}',
        "messages[0].content",
        "must be a string or a list or null",
    ),
    (
        b'{"messages":[{"role":"user","content":["x",5]}]}',
        "messages[0].content[1]",
        "must be a string or an object",
    ),
    (request(b'"model":5'), "model", "must be a string or null, got a whole number"),
    (request(b'"model":{}'), "model", "must be a string or null, got an object"),
    (request(b'"stream":"yes"'), "stream", "must be true or false or null, got a string"),
    (
        request(b'"metadata":{"importance":"urgent"}'),
        "metadata.importance",
        'one of low, normal, high, got "urgent"',
    ),
    (request(b'"metadata":{"importance":["high"]}'), "metadata.importance", "got a list"),
    (request(b'"metadata":{"task_type":true}'), "metadata.task_type", "got true or false"),
]


@pytest.mark.parametrize(("body", "param", "said"), WRONG_FIELDS)
def test_an_invalid_field_is_named(body: bytes, param: str, said: str) -> None:
    error = refusal(body)
    assert error.param == param
    assert error.message.startswith(f"{param}: ")
    assert said in error.message


@pytest.mark.parametrize("body", [b"[]", b"5", b"null", b'"x"', b"true"])
def test_a_body_that_is_no_object_is_told_so(body: bytes) -> None:
    assert "must be a JSON object" in refusal(body).message


NOT_JSON = [
    b"{",
    b"x",
    b"{'messages':[]}",
    request()[:-1],
    request() + b"x",
    request() + request(),
    request(b'"x":01'),
    request(b'"x":NaN'),
    request(b""),
    b"\xef\xbb\xbf" + request(),
]


@pytest.mark.parametrize("body", NOT_JSON)
def test_what_is_not_json_is_told_so(body: bytes) -> None:
    assert "not valid JSON" in refusal(body).message


@pytest.mark.parametrize("body", [b"", b" \r\n"])
def test_an_empty_body_is_told_so(body: bytes) -> None:
    assert "is empty" in refusal(body).message


def test_text_that_is_no_utf_8_is_told_so() -> None:
    assert "UTF-8" in refusal(b'{"messages":[{"role":"user","content":"\xff"}]}').message


NESTED = [
    request(b'"x":' + DEEP),
    request(b'"metadata":' + DEEP),
    request(b'"tools":' + DEEP),
    request(b'"x":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    b'{"messages":' + DEEP + b"}",
    b'{"messages":[{"role":"user","content":[{"type":"text","text":' + DEEP + b"}]}]}",
    DEEP,
]


@pytest.mark.parametrize("body", NESTED, ids=range(len(NESTED)))
def test_nesting_without_end_is_refused(body: bytes) -> None:
    refusal(body)


def test_at_every_depth_a_request_is_read_or_refused() -> None:
    """Two readers, each with its own limit: what one lets pass may be too deep for the other."""
    for depth in range(850, 1010):
        try:
            parse(request(b'"x":' + b"[" * depth + b"]" * depth))
        except InvalidRequest:
            continue


@given(st.binary(max_size=60) | st.builds(lambda noise, at: request()[:at] + noise + request()[at:], st.binary(max_size=9), st.integers(0, 45)))  # fmt: skip
@example(request(b'"x":"\xff"'))
def test_whatever_comes_is_a_request_or_refused(body: bytes) -> None:
    try:
        parsed = parse(body)
    except InvalidRequest as error:
        assert error.message.isprintable()  # noqa: PT017  # it need not be raised
    else:
        parsed.body_for("m", max_tokens=1, temperature=1.0)


# What routing reads, and what is none of its business


@given(st.sampled_from([b"1e400", MANY_DIGITS, b'"\xff"', rb'"\ud800"', b'"\x7f"', b"[" * 500 + b"]" * 500]))
def test_odd_values_are_the_model_servers_to_judge(odd: bytes) -> None:
    """They were once read by a stricter reader than the one that let them in: an internal error."""
    for member in (
        b'"x":' + odd,
        b'"tools":[' + odd + b"]",
        b'"metadata":{"x":' + odd + b"}",
        b'"metadata":' + odd,
    ):
        assert sent(request(member)) == b'{"model":"upstream",' + request(member)[1:]
    body = b'{"messages":[{"role":"user","content":"hi","x":' + odd + b"}]}"
    assert sent(body) == b'{"model":"upstream",' + body[1:]


def test_lone_surrogates_are_text() -> None:
    request_ = parse(
        rb'{"messages":[{"role":"user","content":"cut \ud83d"},{"role":"user","content":"\udE00"}]}'
    )
    assert [message.text() for message in request_.messages] == ["cut �", "�"]


def test_an_escaped_backslash_before_a_u_is_no_surrogate() -> None:
    request_ = parse(rb'{"messages":[{"role":"user","content":"C:\\ud800 \ud83d"}]}')
    assert request_.messages[0].text() == "C:\\ufffd �"  # read a little differently, but read


@pytest.mark.parametrize(
    "value", [b"null", b"[]", b"5", b'"high"', b"{}", b'{"importance":null}', b'{"x":{"importance":"low"}}']
)
def test_metadata_that_says_nothing_is_ignored(value: bytes) -> None:
    assert parse(request(b'"metadata":' + value)).metadata == Metadata()


def test_metadata_is_read_in_any_case() -> None:
    body = request(b'"metadata":{"importance":"HIGH","task_type":" Code ","mine":1}')
    assert parse(body).metadata == Metadata("high", "code")


@given(st.text(max_size=60))
def test_a_metadata_word_is_an_allowed_one_or_refused(word: str) -> None:
    try:
        assert metadata_value("importance", word, Importance) == word.strip().lower()
    except InvalidRequest as error:
        assert word.strip().lower() not in {"low", "normal", "high"}
        assert (error.param, len(error.message) < 120) == ("importance", True)  # noqa: PT017  # a long value is cut


def test_a_metadata_field_that_is_absent_is_none() -> None:
    assert metadata_value("task_type", None, TaskType) is None


@pytest.mark.parametrize(
    ("member", "has_tools"),
    [
        (b'"tools":[{"type":"function"}]', True),
        (b'"functions":[{}]', True),
        (b'"tools":[]', False),
        (b'"tools":[ \n]', False),
        (b'"tools": null ', False),
        (b'"x":1', False),
        (b'"tools":[{}],"tools":[]', False),
    ],
)
def test_tools_are_seen(member: bytes, *, has_tools: bool) -> None:
    assert parse(request(member)).has_tools is has_tools


def test_the_text_and_the_kinds_of_parts_are_read() -> None:
    parts = [
        {"type": "text", "text": "one"},
        "two",
        {"type": "image_url", "image_url": {"url": "data:..."}},
        {"type": "text", "text": None},
        {"type": 5},
        {},
        {"type": "text", "text": "three"},
    ]
    body = json.dumps(
        {"messages": [{"role": "user", "content": parts}, {"role": "assistant", "content": None}]}
    )
    user, assistant = parse(body.encode()).messages
    assert user.text() == "one\ntwo\nthree"
    assert user.part_types() == ["text", "image_url", "text", "text"]
    assert (assistant.text(), assistant.part_types()) == ("", [])


@pytest.mark.parametrize("filler", [b"A", rb"\n"])
def test_a_large_image_costs_little(filler: bytes) -> None:
    """Measured: 20 to 60 ms for 16 MiB. A reader of Python's own, character by character, takes seconds."""
    text = filler * (16 * 1024 * 1024 // len(filler))
    body = (
        b'{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"' + text + b'"}}]}]}'
    )
    start = perf_counter()
    result = sent(body)
    assert perf_counter() - start < 1
    assert result == b'{"model":"upstream",' + body[1:]


def test_a_large_value_is_never_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """16 MiB of empty lists built by Python's json would stop every stream for seconds."""
    scanned: list[str] = []
    scan = request_module._scan

    def noted(text: str, at: int) -> tuple[Any, int]:
        scanned.append(text[at])
        return scan(text, at)

    monkeypatch.setattr(request_module, "_scan", noted)
    body = b'{"messages": [{"role": "user"}], "x": [' + b"[]," * 100_000 + b'[]], "model": "auto"}'
    sent = parse(body).body_for("qwen", max_tokens=None, temperature=None)
    assert sent == body.replace(b'"auto"', b'"qwen"')
    assert scanned == ['"', '"', '"'], "only keys are read with it"


def test_a_key_repeated_with_another_value_is_taken_in_small_bodies_only() -> None:
    body = b'{"messages": [{"role": "user"}], "x": 1, "x": [%b[]]}'
    small, large = body % (b"[]," * 10), body % (b"[]," * MAX_SCANNED)
    assert parse(small).body_for("qwen", max_tokens=None, temperature=None).endswith(small[1:])
    with pytest.raises(InvalidRequest, match="The key 'x' is repeated, with another value"):
        parse(large)


@pytest.mark.parametrize(
    "members",
    [
        rb'"messages": [{"role": "user", "content": "an emoji cut in two: \ud83d"}]',
        rb'"messages": [{"role": "user"}], "\ud83d": "half an emoji"',
        rb'"messages": [{"role": "user"}], "\ud83d": 1, "\ud83e": 1',
        rb'"messages": [{"role": "user"}], "caf\u00e9": [1]',
        '"messages": [{"role": "user"}], "café": [1]'.encode(),
        b'"messages": [{"role": "user"}], "": [1], "x": 1, "x": 1',
    ],
)
def test_whatever_else_is_in_a_large_body_passes(members: bytes) -> None:
    image = b'"image": "%b"' % (b"A" * MAX_SCANNED)
    body = b'{%b, %b, "m\\u006fdel": "auto"}' % (members, image)
    sent = parse(body).body_for("qwen", max_tokens=None, temperature=None)
    assert sent == body.replace(b'"auto"', b'"qwen"')

"""The bytes of every request and answer, so that all servers say the same and the load can check it.

The stand-in model server, the floor and the load generator import this file; none of them makes up bytes of
its own. Answers are built once: whoever sends them only writes.
"""

import json
import re

CHUNKS = 64
"""Tokens of a stream sent flat out, each one SSE event."""

PACED_RATE = 100
"""Tokens a second of a paced stream: what a request gets that has `max_tokens`, which is then their number."""

DONE = b"data: [DONE]\n\n"

_ID = "chatcmpl-benchmark"
_CREATED = 1_700_000_000
_MODEL = "bench"
_ANSWER = "Hello! I am fine, thank you. How can I help you today?"


def _compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _request(**fields: object) -> bytes:
    messages = [
        {"role": "system", "content": "You are a friendly assistant. Answer in one sentence."},
        {"role": "user", "content": "Hello! How are you today?"},
    ]
    return _compact({"model": "auto", "messages": messages, **fields})


def _event(delta: dict[str, str], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    head = {"id": _ID, "object": "chat.completion.chunk", "created": _CREATED, "model": _MODEL}
    return b"data: " + _compact({**head, "choices": [choice]}) + b"\n\n"


def _answer() -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": _ANSWER}, "finish_reason": "stop"}
    return _compact(
        {
            "id": _ID,
            "object": "chat.completion",
            "created": _CREATED,
            "model": _MODEL,
            "choices": [choice],
            "usage": {"prompt_tokens": 24, "completion_tokens": 14, "total_tokens": 38},
        }
    )


# Requests: the same bytes go to every target.
BUFFERED_REQUEST = _request()
STREAM_REQUEST = _request(stream=True)


def paced_request(tokens: int) -> bytes:
    return _request(stream=True, max_tokens=tokens)


# Answers.
MODELS = _compact({"object": "list", "data": [{"id": _MODEL, "object": "model", "owned_by": "benchmark"}]})
BUFFERED_ANSWER = _answer()
LAST_EVENT = _event({}, "stop")
_TOKENS = [f" t{number:02d}" for number in range(CHUNKS)]
STREAM_EVENTS = (
    _event({"role": "assistant", "content": _TOKENS[0]}),
    *(_event({"content": token}) for token in _TOKENS[1:]),
    LAST_EVENT,
    DONE,
)
STREAM_ANSWER = b"".join(STREAM_EVENTS)

_STAMP_DIGITS = 16
_PACED_BEFORE, _PACED_AFTER = _event({"content": "@" * _STAMP_DIGITS}).split(b"@" * _STAMP_DIGITS)
STAMP = re.compile(rb'"content": ?"(\d{%d})"' % _STAMP_DIGITS)


def paced_event(nanoseconds: int) -> bytes:
    """One token that says when it was written (`time.monotonic_ns`, one clock for all processes on Linux)."""
    return _PACED_BEFORE + b"%0*d" % (_STAMP_DIGITS, nanoseconds) + _PACED_AFTER


# Checks: what is wrong with an answer, or None. "exact" holds for whoever passes bytes through; a proxy that
# writes its own JSON is held to the meaning.
_TOKEN = re.compile(rb'"content": ?"( t\d\d)"')
_EXPECTED_TOKENS = [token.encode() for token in _TOKENS]


def check_buffered(body: bytes, *, exact: bool) -> str | None:
    if body == BUFFERED_ANSWER:
        return None
    if exact:
        return f"the answer has other bytes than the model server sent: {body[:200]!r}"
    try:
        content = json.loads(body)["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError):
        return f"the answer is no chat completion: {body[:200]!r}"
    return None if content == _ANSWER else f"the answer's content is {content!r}"


def check_stream(body: bytes, *, exact: bool) -> str | None:
    if body == STREAM_ANSWER:
        return None
    if exact:
        return f"the stream has other bytes than the model server sent: {body[:200]!r} … {body[-100:]!r}"
    tokens = _TOKEN.findall(body)
    if tokens != _EXPECTED_TOKENS:
        return f"the stream has {len(tokens)} of {CHUNKS} tokens, or another order"
    return None if body.endswith(DONE) else f"the stream ends without [DONE]: {body[-100:]!r}"

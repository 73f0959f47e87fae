"""What can go wrong at a model server, and what is due then: the rows of the fault matrix, as data.

A `Fault` is what the server does; its `Verdict` is what is promised for it (docs/api-reference.md, "What a model
server's answer means"). Both are written down here without a look at what the code makes of them. `matrix.py` plays
each fault in every company and compares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import trio

from tests.fakes.behaviours import Exchange
from tests.fakes.model_server import (
    Behaviour,
    Bytewise,
    Cut,
    Delay,
    Hang,
    Ok,
    Status,
    context_exceeded,
    garbage_json,
    html_502,
    internal_error,
    loading,
    rate_limited,
    unauthorized,
)

LIMIT = 0.5
"""Seconds that an attempt, and a silence within a stream, may last where a fault is about time."""


@dataclass(frozen=True)
class Verdict:
    """What one answer of a model server means."""

    outcome: str
    """Of the attempt, in the metrics: `ok` or a cause."""
    status: int
    """What the client gets when nothing else is left."""
    code: str | None = None
    """Of the error that Octoroute words then; None: the client gets the server's own answer, byte for byte."""
    elsewhere: bool = True
    """Whether another endpoint is asked."""
    state: str = "healthy"
    """Of the endpoint, afterwards."""
    failures: int = 0
    """... and how many are counted against it."""
    retry_after: bool = False
    cut: str | None = None
    """The code of the error event that ends a stream which had begun well."""


GOOD = Verdict("ok", 200, elsewhere=False)
REFUSED = Verdict("connect", 502, "upstream_failed", failures=1)
RESET = Verdict("reset", 502, "upstream_failed", failures=1)
BROKEN = Verdict("broken_answer", 502, "upstream_failed", failures=1)
FAILED = Verdict("server_error", 502, "upstream_failed", failures=1)
TIMEOUT = Verdict("timeout", 504, "timeout", failures=1)
LOADING = Verdict("loading", 503, "no_healthy_endpoint", state="warming", retry_after=True)
"""Waited for where it has no other beside it in its tier, until the attempt's limit."""
BUSY = Verdict("busy", 429, state="busy", retry_after=True)
MISCONFIGURED = Verdict("misconfigured", 502, "upstream_failed", state="misconfigured")
TOO_LONG = Verdict("context", 400, elsewhere=False)
"""Only a larger window would help, and a tier's other endpoint is not known to have one."""
DIED = Verdict("ok", 200, elsewhere=False, failures=1, cut="upstream_failed")
"""After its first event: nobody else can go on with it."""
STALLED = Verdict("ok", 200, elsewhere=False, failures=1, cut="timeout")

Answers = Sequence[tuple[Behaviour, Verdict]]
"""What the server does with one request after another, and what that means."""


@dataclass(frozen=True)
class Fault:
    """One row of the matrix: what it does with requests for a stream, and with buffered ones."""

    name: str
    stream: Answers
    buffered: Answers
    connecting: Literal["accept", "refuse", "reset"] = "accept"
    """What becomes of connections."""
    models: Behaviour | None = None
    """What probes get; None: a proper list."""
    timed: bool = False
    """It is about time: `LIMIT` applies."""


def both(name: str, behaviour: Behaviour, verdict: Verdict, *, timed: bool = False) -> Fault:
    """A fault that is the same for a stream and for a buffered answer."""
    return Fault(name, [(behaviour, verdict)], [(behaviour, verdict)], timed=timed)


@dataclass(frozen=True)
class OnlyFiller:
    """Headers, and then for ever what is no answer: comments in a stream, blank lines before JSON."""

    async def __call__(self, exchange: Exchange) -> None:
        streamed = exchange.asked.get("stream") is True
        content_type = "text/event-stream" if streamed else "application/json"
        await exchange.head(200, [("Content-Type", content_type)], framing="chunked")
        while True:
            await exchange.piece(b": still here\n\n" if streamed else b"\n")
            await trio.sleep(0.05)


# A fixed time, so that two answers are the same bytes.
STAMP = {"created": 1}
FINE = Ok(extra=STAMP)
WHOLE = Ok(extra=STAMP, framing="chunked")
UNENDED = Ok(extra=STAMP, framing="chunked", done=False)
JSON = Ok(extra=STAMP, stream=False)
PRETTY = Status(200, b'{\r\n "object": "chat.completion",\r\n "choices": []\r\n}\r\n')
EVENTS = 3
"""A stream breaks off after so many: well after its commit, well before its end."""

FAULTS = [
    Fault("refuses connections", [(FINE, REFUSED)], [(FINE, REFUSED)], connecting="refuse"),
    Fault("resets connections at once", [(FINE, RESET)], [(FINE, RESET)], connecting="reset"),
    both("takes the request, and is silent", Hang(), TIMEOUT, timed=True),
    both("slow headers, in time", Delay(0.2, FINE), GOOD),
    both("comments only (blank lines, for JSON)", OnlyFiller(), TIMEOUT, timed=True),
    Fault(
        "falls silent in mid-answer",
        [(Cut(WHOLE, EVENTS, "stall"), STALLED)],
        [(Cut(WHOLE, 0, "stall", extra=20), TIMEOUT)],
        timed=True,
    ),
    Fault(
        "dies in mid-answer",
        [(Cut(WHOLE, EVENTS), DIED)],
        [(Cut(JSON, 0, extra=20), BROKEN)],
    ),
    Fault(
        "dies in the middle of an event (by RST)",
        [(Cut(WHOLE, EVENTS, "reset", extra=40), DIED)],
        [(Cut(WHOLE, 0, "reset", extra=40), RESET)],
    ),
    Fault(
        "leaves out the last chunk",
        [(Cut(UNENDED, None), DIED)],
        [(Cut(UNENDED, None), BROKEN)],
    ),
    both("200 with half a JSON object", garbage_json(), BROKEN),
    both("502 with HTML", html_502(), FAILED),
    both("500", internal_error(), FAILED),
    Fault("503, loading", [(loading(), LOADING)], [(loading(), LOADING)], models=loading(), timed=True),
    both("429 with `Retry-After`", rate_limited(7), BUSY),
    both("401", unauthorized(), MISCONFIGURED),
    both("400, context exceeded", context_exceeded(), TOO_LONG),
    both("a wrong content type", Ok(extra=STAMP, content_type="text/html"), GOOD),
    Fault(
        "JSON for a stream, events for a buffered request",
        [(JSON, GOOD)],
        [(Ok(extra=STAMP, stream=True), BROKEN)],
    ),
    Fault(
        "no `[DONE]` (no `finish_reason`, for JSON)",
        [(UNENDED, GOOD)],
        [(Ok(extra=STAMP, finish=None), GOOD)],
    ),
    Fault(
        "`data: null` first (`content: null`, for JSON)",
        [(Ok(extra=STAMP, prelude=[b"data: null\n\n"]), GOOD)],
        [(Ok(extra=STAMP, message={"role": "assistant", "content": None}), GOOD)],
    ),
    Fault("CRLF", [(Ok(extra=STAMP, crlf=True), GOOD)], [(PRETTY, GOOD)]),
    both("one byte at a time", Bytewise(Ok(["Hello"], extra=STAMP)), GOOD),
    Fault(
        "fails every other time",
        [(FINE, GOOD), (internal_error(), FAILED)] * 3,
        [(FINE, GOOD), (internal_error(), FAILED)] * 3,
    ),
]

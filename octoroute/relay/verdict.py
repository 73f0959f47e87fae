"""What a model server's answer means: asked elsewhere or not, against its health or not, and what the client sees.

This is the contract's table, as one pure function for each way to fail. `Failure.client` is what the client
gets when nothing is left: the server's own answer as it was (`Passed`), or an error of ours.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec
from msgspec import Struct

from octoroute.errors import (
    Cause,
    NoHealthyEndpoint,
    RequestError,
    Unsupported,
    UpstreamError,
    UpstreamFailed,
    UpstreamTimeout,
)
from octoroute.fleet.health import Evidence, retry_after
from octoroute.openai.sse import error_of
from octoroute.relay.headers import RawHeader

Elsewhere = Literal["yes", "larger", "able", "no"]
"""Whether another endpoint may be asked: any, one with a larger window, one that can, or none."""

MAX_SERVER_MESSAGE = 500


class Passed(Struct, frozen=True):
    """A model server's answer that the client gets as it was."""

    status: int
    headers: list[RawHeader]
    body: bytes


class Failure(Struct, frozen=True):
    """An attempt that gave no answer to relay. `detail` is for the log: it holds nothing that a server wrote."""

    cause: Cause
    detail: str
    elsewhere: Elsewhere
    evidence: Evidence | None
    client: Passed | RequestError
    busy_for: float = 0.0


def of_transport(endpoint: str, error: UpstreamError) -> Failure:
    """Refused, reset, or not HTTP."""
    words = {
        "connect": "could not be reached",
        "reset": "closed the connection",
        "timeout": "did not answer in time",
    }
    text = f"Endpoint {endpoint} {words.get(error.cause, 'gave a broken answer')}: {error}."
    if error.cause == "timeout":
        return Failure("timeout", str(error), "yes", "failure", UpstreamTimeout(text))
    evidence: Evidence = "unreachable" if error.unreachable else "failure"
    return Failure(error.cause, str(error), "yes", evidence, UpstreamFailed(text))


def of_timeout(endpoint: str, seconds: float) -> Failure:
    """No answer within the attempt's limit."""
    detail = f"no answer within {seconds:g} s"
    return Failure(
        "timeout", detail, "yes", "failure", UpstreamTimeout(f"Endpoint {endpoint} gave {detail}.")
    )


def of_body(endpoint: str, detail: str, body: bytes = b"") -> Failure:
    """A 200 whose body is no answer: HTML, garbage, cut short, an error in disguise."""
    text = f"Endpoint {endpoint} gave a broken answer: {detail}{server_message(body)}."
    return Failure("broken_answer", detail, "yes", "failure", UpstreamFailed(text))


def of_status(endpoint: str, status: int, headers: list[RawHeader], body: bytes) -> Failure:
    """An answer that is not 2xx.

    1. 503: another endpoint; "loading" is warming up, anything else against its health.
    2. 429: another endpoint first; it is only busy.
    3. 401, 403, 404: another endpoint; its configuration wants a look.
    4. 501, or 500 that says an input kind is not supported: an endpoint that can.
    5. 400 that says the context is exceeded: an endpoint with a larger window.
    6. Every other 4xx: the client's own mistake, passed as it was.
    7. Everything else (3xx, 5xx): another endpoint, against its health.
    """
    said = server_message(body)
    detail = f"it answered {status}"
    passed = Passed(status, headers, body)
    if status == 503:
        loading = b"loading" in body.lower()
        text = f"Endpoint {endpoint} is {'loading its model' if loading else 'unavailable'}{said}."
        wait = {"Retry-After": str(retry_after(_header(headers, b"retry-after")))}
        return Failure(
            "loading" if loading else "unavailable",
            detail,
            "yes",
            "warming" if loading else "failure",
            NoHealthyEndpoint(text, headers=wait),
        )
    if status == 429:
        seconds = retry_after(_header(headers, b"retry-after"))
        kept = [(name, value) for name, value in headers if name.lower() != b"retry-after"]
        passed = Passed(status, [*kept, (b"retry-after", str(seconds).encode())], body)
        return Failure("busy", detail, "yes", "busy", passed, busy_for=seconds)
    if status in {401, 403, 404}:
        what = {
            401: "refused its key: check the endpoint's api_key",
            403: "refused access: check the endpoint's api_key and what it may do",
            404: "does not know the path or the model: check the endpoint's base_url and model",
        }[status]
        text = f"Endpoint {endpoint} answered {status}; it {what}{said}."
        return Failure("misconfigured", detail, "yes", "misconfigured", UpstreamFailed(text))
    if status == 501 or (status == 500 and _INPUT_KIND_REFUSED.search(body)):
        text = f"Endpoint {endpoint} does not support what the request asks for{said}."
        return Failure("unsupported", detail, "able", None, Unsupported(text))
    if status == 400 and is_context_overflow(body):
        return Failure("context", detail, "larger", None, passed)
    if 400 <= status < 500:
        return Failure("rejected", detail, "no", None, passed)
    return Failure(
        "server_error",
        detail,
        "yes",
        "failure",
        UpstreamFailed(f"Endpoint {endpoint} answered {status}{said}."),
    )


# An input kind stands beside it: a driver's "operation not supported" is the server's own trouble.
_INPUT_KINDS = rb"\b(?:image|audio|video|vision|multi-?modal|file)"
_INPUT_KIND_REFUSED = re.compile(
    rb"%b[^.]{0,80} not support|not support[^.]{0,80}%b" % (_INPUT_KINDS, _INPUT_KINDS), re.IGNORECASE
)


def is_context_overflow(body: bytes) -> bool:
    """Whether a 400 says that the prompt exceeds the model's window.

    llama.cpp: type `exceed_context_size_error`; OpenAI and vLLM: code `context_length_exceeded` or the
    words "maximum context length".
    """
    text = body.lower()
    return any(
        sign in text
        for sign in (b"exceed_context_size_error", b"context_length_exceeded", b"maximum context length")
    )


def _header(headers: list[RawHeader], name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in headers if key.lower() == name), None)


def server_message(body: bytes) -> str:
    """The model server's own words, for the client: `error.message`, or `error` where that is text."""
    error = error_of(body)
    text = error.get("message") if isinstance(error, dict) else error
    if not isinstance(text, str) or not text.strip():
        return ""
    return f" ({text.strip()[:MAX_SERVER_MESSAGE].rstrip('.')})"


class Usage(Struct):
    """Token counts as servers tell them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Counted(Struct):
    usage: Usage | None = None


_counted = msgspec.json.Decoder(_Counted)


def usage_of_answer(body: bytes) -> Usage | None:
    """The usage that a whole JSON answer tells; None where it doesn't."""
    try:
        return _counted.decode(body).usage
    except (ValueError, RecursionError):
        return None


def usage_of_events(tail: bytes) -> Usage | None:
    """The usage in the last events of a stream; None where they don't tell it."""
    if b'"usage"' not in tail:
        return None
    usages = (usage_of_answer(line.removeprefix(b"data:")) for line in reversed(tail.splitlines()))
    return next((usage for usage in usages if usage is not None), None)

"""One active health check: a GET, and a look at the body, since some servers answer 200 to everything."""

from __future__ import annotations

from typing import Literal

import msgspec
import trio

from octoroute.errors import Cause, UpstreamError
from octoroute.fleet.endpoint import Endpoint
from octoroute.fleet.health import Evidence
from octoroute.fleet.upstream import UpstreamResponse

DEFAULT_PATH = "models"
MAX_BODY = 1024 * 1024
CLOSE_SECONDS = 1.0

ErrorType = Literal[
    "connect", "reset", "timeout", "broken_answer", "status", "busy", "loading", "misconfigured", "no_models"
]


class ProbeResult(msgspec.Struct, frozen=True):
    """What a probe found. `error_type` is a closed word, None for success; `detail` is for people."""

    evidence: Evidence
    error_type: ErrorType | None = None
    detail: str = ""
    models: tuple[str, ...] = ()


async def probe(endpoint: Endpoint, timeout_seconds: float) -> ProbeResult:
    """Ask `endpoint` for its list of models (or its `health_path`). Never raises for what the server does."""
    path = endpoint.settings.health_path
    with trio.move_on_after(timeout_seconds):
        try:
            response = await endpoint.upstream.get(path)
            try:
                body = await _read(response)
            finally:
                with trio.move_on_after(CLOSE_SECONDS, shield=True):
                    await response.aclose()
        except UpstreamError as error:
            return ProbeResult("failure", _error_type(error.cause), str(error))
        return judge(response.status, body, wants_models=path == DEFAULT_PATH)
    return ProbeResult("failure", "timeout", f"no answer within {timeout_seconds:g} s")


async def _read(response: UpstreamResponse) -> bytes:
    body = bytearray()
    async for chunk in response:
        body += chunk
        if len(body) > MAX_BODY:
            raise UpstreamError("broken_answer", f"the answer to a probe exceeds {MAX_BODY} bytes")
    return bytes(body)


def judge(status: int, body: bytes, *, wants_models: bool) -> ProbeResult:
    """What an answer says. A list of models is health, be it empty; a 200 alone is not."""
    if status in {401, 403, 404}:
        hint = {
            401: "is its api_key right?",
            403: "may its key do this?",
            404: "are base_url and health_path right?",
        }
        return ProbeResult("misconfigured", "misconfigured", f"it answered {status}: {hint[status]}")
    if status == 429:
        return ProbeResult("busy", "busy", "it answered 429: too many requests")
    if status == 503 and b"loading" in body.lower():
        return ProbeResult("warming", "loading", "it is loading its model")
    if not 200 <= status < 300:
        return ProbeResult("failure", "status", f"it answered {status}")
    if not wants_models:
        return ProbeResult("probe_answered")
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        value = None
    listed = [
        value[key]
        for key in ("data", "models")
        if isinstance(value, dict) and isinstance(value.get(key), list)
    ]
    if not listed:
        return ProbeResult("failure", "no_models", "it answered 200 without a list of models")
    names = (item.get("id") or item.get("name") for item in listed[0] if isinstance(item, dict))
    return ProbeResult("probe_answered", models=tuple(name for name in names if isinstance(name, str)))


def _error_type(cause: Cause) -> ErrorType:
    match cause:
        case "connect" | "reset" | "timeout":
            return cause
        case _:
            return "broken_answer"

"""One active health check: a GET, and a look at the body, since some servers answer 200 to everything."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import trio

from octoroute.errors import Cause, UpstreamError
from octoroute.fleet import load
from octoroute.fleet.endpoint import Endpoint
from octoroute.fleet.health import Evidence
from octoroute.fleet.upstream import UpstreamResponse

DEFAULT_PATH = "models"
MAX_BODY = 1024 * 1024
CLOSE_SECONDS = 1.0
CONNECTING = 0.9
"""The part of a probe's time in which it must have a connection, so that a silent machine shows as such."""
NO_SUCH_THING = {401, 403, 404, 405, 501}
"""What a server answers that has its load switched off, or to be told only to others."""

ErrorType = Literal[
    "connect", "reset", "timeout", "broken_answer", "status", "busy", "loading", "misconfigured", "no_models"
]


class ProbeResult(msgspec.Struct, frozen=True):
    """What a probe found. `error_type` is a closed word, None for success; `detail` is for people.

    `listed` is the list of models as the server gave it.
    """

    evidence: Evidence
    error_type: ErrorType | None = None
    detail: str = ""
    listed: tuple[dict[str, Any], ...] = ()

    @property
    def models(self) -> tuple[str, ...]:
        """Their names."""
        names = (model.get("id") or model.get("name") for model in self.listed)
        return tuple(name for name in names if isinstance(name, str))


async def probe(endpoint: Endpoint, timeout_seconds: float) -> ProbeResult:
    """Ask `endpoint` for its list of models (or its `health_path`). Never raises for what the server does."""
    path = endpoint.settings.health_path
    with trio.move_on_after(timeout_seconds):
        try:
            response = await endpoint.upstream.get(path, connect_within=CONNECTING * timeout_seconds)
            body = await _whole(response)
        except UpstreamError as error:
            evidence: Evidence = "unreachable" if error.unreachable else "failure"
            return ProbeResult(evidence, _error_type(error.cause), str(error))
        return judge(response.status, body, wants_models=path == DEFAULT_PATH)
    return ProbeResult("failure", "timeout", f"no answer within {timeout_seconds:g} s")


async def read_load(
    endpoint: Endpoint, listed: tuple[dict[str, Any], ...], *, quiet: bool
) -> load.Reading | None:
    """Ask the server that has just `listed` its models for its load; None where it doesn't tell.

    `quiet` tells that no request went there for long. Never raises for what the server does. The deadline is the
    caller's.
    """
    server = load.server_of(listed)
    known = load.of_list(listed, endpoint.model)
    if server is None or known is not None:
        return known
    try:
        if server == "llama.cpp":
            response = await endpoint.upstream.get_beside("props")
            if load.is_sleeping(await _whole(response)):
                return load.Reading(loaded=False)
            if quiet:
                return None
        for path in load.sources(server):
            if path in endpoint.untold:
                continue
            response = await endpoint.upstream.get_beside(path)
            body = await _whole(response)
            reading = load.read(server, path, body, endpoint.model) if response.status == 200 else None
            if reading is not None:
                return reading
            if response.status == 200 or response.status in NO_SUCH_THING:
                endpoint.untold.add(path)
    except UpstreamError:
        pass  # no evidence against its health: the probe before it answered
    return None


async def _whole(response: UpstreamResponse) -> bytes:
    body = bytearray()
    try:
        async for chunk in response:
            body += chunk
            if len(body) > MAX_BODY:
                raise UpstreamError("broken_answer", f"the answer to a probe exceeds {MAX_BODY} bytes")
    finally:
        with trio.move_on_after(CLOSE_SECONDS, shield=True):
            await response.aclose()
    return bytes(body)


def judge(status: int, body: bytes, *, wants_models: bool) -> ProbeResult:
    """What an answer says. A list of models is health, be it empty; a 200 alone is not."""
    if status in {401, 403, 404}:
        hint = {
            401: "is its api_key right?",
            403: "may its key do this?",
            404: "are base_url and health_path right?",
        }
        return ProbeResult("probe_refused", "misconfigured", f"it answered {status}: {hint[status]}")
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
    return ProbeResult("probe_answered", listed=tuple(item for item in listed[0] if isinstance(item, dict)))


def _error_type(cause: Cause) -> ErrorType:
    match cause:
        case "connect" | "reset" | "timeout":
            return cause
        case _:
            return "broken_answer"

"""One try at one endpoint: from sending the request to the first data of an answer that can be relayed."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import trio
from msgspec import Struct

from octoroute.errors import UpstreamError
from octoroute.fleet.endpoint import Endpoint
from octoroute.fleet.upstream import UpstreamResponse
from octoroute.openai.request import ChatRequest, without_surrogates
from octoroute.openai.sse import FirstEvent, error_of
from octoroute.relay import verdict
from octoroute.relay.exchange import Exchange
from octoroute.relay.headers import RawHeader, to_client
from octoroute.relay.verdict import Failure

MAX_BUFFERED = 8 * 1024 * 1024
"""A buffered answer is held whole up to this many bytes, so that one that is cut short fails over."""


class Answer(Struct):
    """An answer that may be relayed. `begun` are the bytes that came so far, `rest` what is still to come.

    `rest` is None where `begun` is all of it. `events` tells that it is a stream of events.
    """

    status: int
    headers: list[RawHeader]
    begun: list[bytes]
    rest: AsyncIterator[bytes] | None
    events: bool


async def attempt(
    exchange: Exchange,
    endpoint: Endpoint,
    request: ChatRequest,
    headers: list[RawHeader],
    timeout_seconds: float,
) -> Answer | Failure:
    """Ask `endpoint`, within the attempt's limit. The exchange owns the server's answer from its first byte."""
    body = request.body_for(
        endpoint.model, max_tokens=endpoint.settings.max_tokens, temperature=endpoint.settings.temperature
    )
    with trio.move_on_after(timeout_seconds):
        try:
            response = await endpoint.upstream.chat(body, headers)
            exchange.hold(response.give_back)
            return await _read(endpoint, response, stream=request.stream)
        except UpstreamError as error:
            return verdict.of_transport(endpoint.id, error)
    return verdict.of_timeout(endpoint.id, timeout_seconds)


async def _read(endpoint: Endpoint, response: UpstreamResponse, *, stream: bool) -> Answer | Failure:
    headers = to_client(response.headers)
    if not 200 <= response.status < 300:
        begun, _ = await _read_whole(response, MAX_BUFFERED)
        return verdict.of_status(endpoint.id, response.status, headers, b"".join(begun))
    if response.header("content-encoding") not in {None, "identity"}:
        # We asked for identity; what a server encodes all the same can't be looked into.
        return Answer(response.status, headers, [], response, events=stream)
    if stream:
        return await _read_events(endpoint, response, headers)
    return await _read_document(endpoint, response, headers, [])


async def _read_whole(response: UpstreamResponse, limit: int) -> tuple[list[bytes], bool]:
    """The body up to about `limit` bytes, and whether that is all of it."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in response:
        chunks.append(chunk)
        size += len(chunk)
        if size > limit:
            return chunks, False
    return chunks, True


async def _read_document(
    endpoint: Endpoint, response: UpstreamResponse, headers: list[RawHeader], begun: list[bytes]
) -> Answer | Failure:
    """A whole JSON object, whatever its content type claims."""
    chunks, complete = await _read_whole(response, MAX_BUFFERED - sum(map(len, begun)))
    chunks = begun + chunks
    if not complete:
        return Answer(response.status, headers, chunks, response, events=False)
    body = b"".join(chunks)
    if not body.strip():
        return verdict.of_body(endpoint.id, "the answer is empty")
    if not _is_object(body) and not _is_object(without_surrogates(body)):
        return verdict.of_body(endpoint.id, f"JSON was due, but it is {_kind(body)}")
    if error_of(body) is not None:
        return verdict.of_body(endpoint.id, f"it answered {response.status} with an error", body)
    return Answer(response.status, headers, [body], None, events=False)


async def _read_events(
    endpoint: Endpoint, response: UpstreamResponse, headers: list[RawHeader]
) -> Answer | Failure:
    """Events up to the first with data, or a JSON object that a server sent instead of a stream."""
    first = FirstEvent()
    begun: list[bytes] = []
    looked_at = False
    async for chunk in response:
        begun.append(chunk)
        if not looked_at and (start := b"".join(begun).lstrip()):
            looked_at = True
            if start.startswith(b"{"):
                return await _read_document(endpoint, response, headers, begun)
            if start.startswith(b"<"):
                return verdict.of_body(endpoint.id, f"a stream was due, but it is {_kind(start)}")
        if first.feed(chunk):
            break
        if sum(map(len, begun)) > MAX_BUFFERED:
            return verdict.of_body(endpoint.id, f"no event within {MAX_BUFFERED} bytes")
    else:
        if not first.end():
            return verdict.of_body(endpoint.id, "the stream ended before its first event")
    if first.is_error:
        return verdict.of_body(endpoint.id, "the stream began with an error", first.data)
    return Answer(response.status, headers, begun, response, events=True)


class _Object(Struct):
    """Any JSON object: checks that a body is one, and builds nothing of it."""


_skipped = msgspec.json.Decoder(_Object)


def _is_object(body: bytes) -> bool:
    try:
        return isinstance(_skipped.decode(body), _Object)
    except (ValueError, RecursionError):
        return False


def _kind(body: bytes) -> str:
    start = body.lstrip()[:5].lower()
    if start.startswith(b"<"):
        return "HTML"
    if start.startswith((b"data:", b":")):
        return "a stream of events"
    return "something else"

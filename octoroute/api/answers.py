"""Responses: JSON of our own, and answers on their way through with the headers that tell their route."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct
from quart import Response

from octoroute.config.model import Config
from octoroute.fleet.fleet import Fleet
from octoroute.relay.attempt import Answer
from octoroute.relay.body import RelayBody
from octoroute.relay.exchange import Exchange
from octoroute.relay.failover import Outcome
from octoroute.relay.headers import RawHeader
from octoroute.relay.verdict import Passed


def json_response(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer of our own."""
    response = Response(msgspec.json.encode(content), status, content_type="application/json")
    response.headers.update(dict(headers or {}))
    return response


def route_headers(exchange: Exchange, outcome: Outcome) -> list[tuple[str, str]]:
    """Why this answer comes from where it does."""
    assert exchange.route is not None
    confidence = exchange.route.confidence
    values = {
        "Tier": outcome.endpoint.tier,
        "Model": outcome.endpoint.name,
        "Endpoint": outcome.endpoint.id,
        "Strategy": exchange.route.strategy,
        "Reason": outcome.reason,
        "Confidence": None if confidence is None else f"{confidence:.2f}",
        "Attempts": str(exchange.attempts),
        "Warning": outcome.warning,
    }
    return [(f"X-Octoroute-{name}", value) for name, value in values.items() if value is not None]


class Relayed(Struct):
    """A model server's answer on its way through, with its headers as they were: no response of quart's.

    `content_length` is None where the end is not known yet.
    """

    status_code: int
    headers: list[RawHeader]
    body: RelayBody
    content_length: int | None


def relayed(exchange: Exchange, config: Config, fleet: Fleet, outcome: Outcome) -> Relayed:
    """The model server's answer for the client, with its own status, headers and bytes."""
    answer, endpoint = outcome.answer, outcome.endpoint
    if isinstance(answer, Passed):
        answer = Answer(answer.status, answer.headers, [answer.body], None, events=False)
    body = RelayBody(
        exchange,
        answer,
        idle_seconds=config.server.stream_idle_timeout_seconds,
        on_broken=lambda detail: fleet.record(endpoint, "failure", detail),
    )
    headers = list(answer.headers)
    length = None
    if answer.rest is None:
        length = sum(map(len, answer.begun))
        headers.append((b"content-length", b"%d" % length))
    headers += [(name.lower().encode(), value.encode()) for name, value in route_headers(exchange, outcome)]
    return Relayed(answer.status, headers, body, length)


def raw_headers(response: Response | Relayed) -> list[RawHeader]:
    """The headers as they go out. Latin-1, as the API's own are; a server's pass as they came."""
    if isinstance(response, Relayed):
        return response.headers
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in response.headers]

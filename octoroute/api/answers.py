"""Responses: JSON of our own, and answers on their way through with the headers that tell their route."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import msgspec
from quart import Response
from quart.wrappers.response import ResponseBody

from octoroute.config.model import Config
from octoroute.fleet.fleet import Fleet
from octoroute.relay.attempt import Answer
from octoroute.relay.body import RelayBody
from octoroute.relay.exchange import Exchange
from octoroute.relay.failover import Outcome
from octoroute.relay.headers import RawHeader


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


def relayed(exchange: Exchange, config: Config, fleet: Fleet, outcome: Outcome) -> Response:
    """The model server's answer for the client, with its own status, headers and bytes."""
    answer = outcome.answer
    if isinstance(answer, Answer):
        endpoint = outcome.endpoint
        body = RelayBody(
            exchange,
            answer,
            idle_seconds=config.server.stream_idle_timeout_seconds,
            on_broken=lambda detail: fleet.record(endpoint, "failure", detail),
        )
        length = None if answer.rest is not None else sum(map(len, answer.begun))
        response = Response(status=answer.status)
        response.response = cast("ResponseBody", body)  # it is entered and iterated, like quart's own
    else:
        response = Response(answer.body, answer.status)
        length = len(answer.body)
    del response.headers["content-type"]
    for name, value in answer.headers:
        _add(response, (name, value))
    if length is not None:
        response.headers["content-length"] = str(length)
    for header in route_headers(exchange, outcome):
        response.headers.add(*header)
    return response


def _add(response: Response, header: RawHeader) -> None:
    response.headers.add(header[0].decode("latin-1"), header[1].decode("latin-1"))

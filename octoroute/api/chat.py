"""`POST /v1/chat/completions`: read, route, relay."""

from __future__ import annotations

from quart import current_app, request

from octoroute.api.answers import Relayed, relayed
from octoroute.api.app import App, Routes, Service, current_exchange
from octoroute.api.connection import Incoming
from octoroute.config.model import Importance
from octoroute.errors import UnsupportedMediaType
from octoroute.openai.request import ChatRequest, Metadata, TaskType, metadata_value, parse
from octoroute.relay.exchange import Exchange
from octoroute.relay.failover import Failover, Outcome
from octoroute.relay.headers import to_server


def service() -> Service:
    """What serves the request being handled."""
    app: App = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001  # werkzeug's own way
    return app.service


async def chat_completions() -> Relayed:
    """Answer a chat completion, streamed or not."""
    exchange = current_exchange()
    chat = parse(await read_body(exchange))
    metadata = Metadata(
        metadata_value("X-Octoroute-Importance", header("x-octoroute-importance"), Importance)
        or chat.metadata.importance,
        metadata_value("X-Octoroute-Task-Type", header("x-octoroute-task-type"), TaskType)
        or chat.metadata.task_type,
    )
    now = service()
    outcome = await answer(now, exchange, chat, metadata)
    return relayed(exchange, now.config, now.fleet, outcome)


def header(name: str) -> str | None:
    """A header of the request; `name` is in lower case. Cheaper than werkzeug's, which raises for an absent one."""
    wanted = name.encode()
    values = [value for key, value in request.scope["headers"] if key == wanted]
    return values[-1].decode("latin-1") if values else None


async def read_body(exchange: Exchange) -> bytes:
    """The request's body, whole.

    Raises:
        UnsupportedMediaType: it is encoded or multipart, or sent across sites without being JSON.
    """
    content_type = (header("content-type") or "").partition(";")[0].strip().lower()
    if content_type.startswith("multipart/"):
        raise UnsupportedMediaType("The request body must be JSON, not multipart.")
    encoding = (header("content-encoding") or "identity").lower()
    if encoding != "identity":
        raise UnsupportedMediaType(
            f"The request body must not be encoded; its content-encoding is {encoding[:40]}."
        )
    if content_type != "application/json" and header("origin") is not None:
        # Without this, any web page could post here: only application/json makes a browser ask first.
        raise UnsupportedMediaType("A request with an Origin must have the content type application/json.")
    settings = service().config.server
    incoming: Incoming = request.scope["state"]["incoming"]
    body = await incoming.read(settings.max_body_bytes, settings.request_timeout_seconds)
    exchange.received(len(body), settings.max_request_seconds)
    return body


async def answer(now: Service, exchange: Exchange, chat: ChatRequest, metadata: Metadata) -> Outcome:
    """Route a request and have it answered; what it is served with stays the same to its end."""
    exchange.stream = chat.stream
    if chat.stream:
        exchange.silent_since = exchange.started
    decision = await now.router.decide(
        chat, metadata, client=exchange.client, session=header("x-octoroute-session")
    )
    exchange.routed(decision.route, decision.facts, decision.seconds, waited=decision.waited)
    headers = to_server(request.scope["headers"], exchange.id)
    return await Failover(exchange, now.config, now.fleet, chat, headers).run(decision.route, decision.needs)


ROUTES: Routes = (("POST", "/v1/chat/completions", chat_completions),)

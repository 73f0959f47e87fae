"""The HTTP application: its paths, who may use them, and how errors are worded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal, cast

import trio
from msgspec import Struct
from quart import Response, request
from quart.ctx import RequestContext
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import MethodNotAllowed as WrongMethod

from octoroute import errors
from octoroute.api.answers import Relayed, json_response
from octoroute.api.auth import Keys
from octoroute.api.connection import Connection, NoWebsocket
from octoroute.config.model import Config
from octoroute.fleet.fleet import Fleet
from octoroute.fleet.monitor import Monitor
from octoroute.openai.errors import error_body
from octoroute.relay.exchange import Exchange
from octoroute.routing.router import Router
from octoroute.supervision import Supervisor
from octoroute.telemetry.events import Publish
from octoroute.telemetry.logs import get_logger
from octoroute.telemetry.metrics import Metrics

log = get_logger("octoroute.api")
OPEN_PATHS = frozenset({"/health", "/health/ready"})
METRICS_PATH = "/metrics"
LEGACY_CHAT_PATH = "/chat"


Routes = tuple[tuple[Literal["GET", "POST"], str, Callable[..., Awaitable[Response | Relayed]]], ...]
"""The paths of one file, with the functions that answer them."""


class Service(Struct):
    """What serves requests under one configuration. A reload replaces the first three together."""

    config: Config
    fleet: Fleet
    router: Router
    metrics: Metrics
    monitor: Monitor
    supervisor: Supervisor
    draining: bool = False


class App(QuartTrio):
    """The quart application. `exchanges` are the requests under way."""

    asgi_http_class = Connection
    asgi_websocket_class = NoWebsocket

    def __init__(self, service: Service, publish: Publish) -> None:
        super().__init__("octoroute", static_folder=None)
        self.service = service
        self.publish = publish
        self.exchanges: set[Exchange] = set()
        self.keys = Keys(service.config.auth)
        self.url_map.merge_slashes = False  # "//v1" is no path of ours: a 404, not a redirect in HTML
        self._paths: frozenset[str] = frozenset()

    def add_routes(self, *tables: Routes) -> None:
        """Add all paths; their names are then known to the log.

        Not as blueprints: quart looks a request's blueprints up several times, which costs 2 % of it.
        """
        for method, path, handler in (route for table in tables for route in table):
            self.add_url_rule(path, view_func=handler, methods=[method])  # type: ignore[arg-type]  # Relayed passes quart by
        self._paths = frozenset(rule.rule for rule in self.url_map.iter_rules() if not rule.arguments)

    async def full_dispatch_request(self, request_context: RequestContext | None = None) -> Response:
        """As quart's, without what we have none of (signals, sessions, functions before and after): 5 % of a request."""
        try:
            self._admit()
            return cast("Response", await self.dispatch_request(request_context))
        except Exception as error:  # noqa: BLE001  # whatever it is, the client gets an answer
            return self._on_error(error)

    async def make_default_options_response(self) -> Response:
        """What OPTIONS gets: the methods allowed, and nothing that could be taken for a page."""
        response = await super().make_default_options_response()
        response.status_code = 204
        del response.headers["content-type"]
        return response

    def known_path(self, path: str) -> str:
        """A path of ours as it is; of any other, no more than that: a log is no place for what clients make up."""
        if path in self._paths:
            return path
        return "/v1/models/…" if path.startswith("/v1/models/") else "(unknown)"

    async def keep_clients(self) -> None:
        """Send a comment on each streaming request that has waited for `keepalive_seconds`; until cancelled.

        One task for all, so that a request that is answered soon pays nothing for it.
        """
        async with trio.open_nursery() as nursery:
            while True:
                seconds = self.service.config.server.keepalive_seconds
                await trio.sleep(min(1.0, seconds / 4) if seconds else 1.0)
                if seconds:
                    self._keep_silent_ones(seconds, nursery)

    def _keep_silent_ones(self, seconds: float, nursery: trio.Nursery) -> None:
        # Not part of the loop above: while that sleeps, it would hold the last exchange, with all that this holds.
        now = trio.current_time()
        for exchange in self.exchanges:
            if now - exchange.silent_since >= seconds and exchange.keep_alive is not None:
                exchange.silent_since = now
                nursery.start_soon(self._keep_client, exchange.keep_alive, name=f"keep alive {exchange.id}")

    async def _keep_client(self, keep_alive: Callable[[], Awaitable[None]]) -> None:
        try:
            await keep_alive()
        except Exception as error:  # its own request will find out; the others must be kept alive
            log.error("defect in keeping a client", exc_info=error)

    def _admit(self) -> None:
        """Before every handler: is the daemon stopping, does the client have a key."""
        if self.service.draining:
            raise errors.Draining(
                "Octoroute is shutting down.", headers={"Connection": "close", "Retry-After": "5"}
            )
        open_path = request.path in OPEN_PATHS or (
            request.path == METRICS_PATH and not self.service.config.auth.protect_metrics
        )
        if not open_path:
            client = self.keys.check(request.headers)
            if client is not None:
                current_exchange().client = client

    def _on_error(self, error: Exception) -> Response:
        answer = self._as_request_error(error)
        # The code, not the message: that one may hold a model server's words, or the client's.
        current_exchange().error = answer.code
        return self.error_response(answer, request.path)

    def _as_request_error(self, error: Exception) -> errors.RequestError:
        match error:
            case errors.RequestError():
                return error
            case WrongMethod():
                allowed = ", ".join(sorted(error.valid_methods or ()))
                return errors.MethodNotAllowed(
                    f"{request.method} is not allowed for {self.known_path(request.path)}; allowed: {allowed}.",
                    headers={"Allow": allowed},
                )
            case HTTPException(code=404):
                return errors.NotFound("There is no such path. Chat completions are at /v1/chat/completions.")
            case HTTPException():
                return errors.InvalidRequest(f"The request is not valid: {error.name}.")
            case _:
                log.error("defect in a request handler", exc_info=error, exchange=current_exchange().id)
                return errors.InternalError("An internal error occurred; the log has the details.")

    def error_response(self, error: errors.RequestError, path: str) -> Response:
        """The answer that an error is: worded as OpenAI does, or for `/chat` as one string."""
        content = {"error": error.message if path == LEGACY_CHAT_PATH else error_body(error)}
        return json_response(content, error.status, error.headers)


def current_exchange() -> Exchange:
    """The exchange of the request being handled."""
    return cast("Exchange", request.scope["state"]["exchange"])

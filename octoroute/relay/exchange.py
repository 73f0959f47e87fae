"""One client request: its cancel scope, everything that it holds open, and what happened to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from math import inf

import trio

from octoroute.config.model import Tier
from octoroute.errors import Cause, Draining, InternalError, RequestError, UpstreamTimeout
from octoroute.fleet.endpoint import Endpoint
from octoroute.relay.verdict import Usage
from octoroute.routing.facts import Facts
from octoroute.routing.route import Reason, Route
from octoroute.telemetry.events import (
    CLIENT_GONE,
    Attempted,
    Committed,
    FailedOver,
    Finished,
    Publish,
    Routed,
)
from octoroute.telemetry.logs import get_logger

log = get_logger("octoroute.relay.exchange")

CLEANUP_SECONDS = 2.0
"""How long closing what an exchange held may take."""


class Exchange:
    """Owns what a request holds: the model server's answer, the place at the endpoint.

    The handler may return, the body may never start, either may be cancelled: what was taken is given back
    when the exchange ends, which is why nothing else owns it.
    """

    def __init__(self, *, request_id: str, method: str, path: str, client: str, publish: Publish) -> None:
        self.id = request_id
        self.method = method
        self.path = path
        self.client = client
        self.scope = trio.CancelScope()
        self.keep_alive: Callable[[], Awaitable[None]] | None = None
        """Tells the client that it is not forgotten; None where there is nothing to keep alive."""
        self.silent_since = inf
        self.cancelled_because: str | None = None
        self.client_gone = False
        self.said_done = False
        self.broken = False
        self.started = trio.current_time()
        self.answered_status: int | None = None
        self.error: str | None = None
        self.bytes_in = 0
        self.bytes_out = 0
        self.usage: Usage | None = None
        self.stream: bool | None = None
        self.facts: Facts | None = None
        self.route: Route | None = None
        self.attempts = 0
        self.endpoint: Endpoint | None = None
        self.reason: Reason | None = None
        self._publish = publish
        self._held: list[Callable[[], Awaitable[None] | None]] = []
        self._waiting_since: float | None = None
        self._waited = 0.0
        self._routing_seconds: float | None = None
        self._first_data: float | None = None
        self._overhead: float | None = None

    # What it holds

    def hold(self, give_back: Callable[[], Awaitable[None] | None]) -> None:
        """Own something from now on. No await may stand between taking it and this call."""
        self._held.append(give_back)

    async def release(self) -> None:
        """Give back everything held, the last taken first; bounded, and not to be interrupted."""
        while self._held:
            try:
                waiting = self._held.pop()()
                if waiting is not None:
                    with trio.move_on_after(CLEANUP_SECONDS, shield=True):
                        await waiting
            except Exception as error:  # a defect there must not keep the rest
                log.error("giving back failed", exchange=self.id, exc_info=error)

    def cancel(self, reason: str) -> None:
        """End the exchange now; after its answer has begun, that aborts the connection."""
        if self.cancelled_because is None:
            self.cancelled_because = reason
        self.scope.cancel(reason)

    def interruption(self) -> RequestError:
        """What to tell the client of an exchange that was cancelled."""
        if self.cancelled_because is None:  # by its own deadline
            self.cancelled_because = "total time limit"
            return UpstreamTimeout("The request took longer than server.max_request_seconds allows.")
        return Draining(f"The request was cut off: {self.cancelled_because}.", headers={"Retry-After": "5"})

    def disconnected(self) -> None:
        """The client went away. Many do so at a stream's `[DONE]`, which is no interruption."""
        self.client_gone = not self.said_done
        self.cancel("client disconnected")

    # What happened to it

    def received(self, size: int, max_seconds: float) -> None:
        """The whole request is here: durations count from now. `max_seconds` ends it whatever happens; 0 does not."""
        self.started = trio.current_time()
        self.bytes_in = size
        if max_seconds:
            self.scope.deadline = self.started + max_seconds

    def routed(self, route: Route, facts: Facts | None, seconds: float, *, waited: float = 0.0) -> None:
        """A tier was chosen, in so many seconds; `waited` of them a router model was waited for."""
        self.route, self.facts, self.reason = route, facts, route.reason
        self._routing_seconds = seconds
        self._waited += waited
        self._publish(
            Routed(self.id, route.tier, route.strategy, route.reason, seconds, confidence=route.confidence)
        )

    def waits(self) -> None:
        """From now on others are waited for."""
        self._waiting_since = trio.current_time()

    def goes_on(self) -> float:
        """The wait is over; its length in seconds."""
        assert self._waiting_since is not None
        seconds = trio.current_time() - self._waiting_since
        self._waited += seconds
        self._waiting_since = None
        return seconds

    def attempted(self, endpoint: Endpoint, seconds: float, cause: Cause | None, detail: str) -> None:
        """An endpoint was asked, and answered (`cause` is None) or failed."""
        self._publish(Attempted(self.id, endpoint.tier, endpoint.id, cause, detail, seconds))

    def failed_over(self, tier: Tier, cause: Cause) -> None:
        """Another attempt follows."""
        self._publish(FailedOver(self.id, tier, cause))

    def committed(self) -> None:
        """The first data of the answer goes to the client."""
        assert self.endpoint is not None
        now = trio.current_time()
        seconds = now - self.started
        self._first_data = seconds
        self._overhead = max(0.0, seconds - self._waited)
        self._publish(
            Committed(
                self.id, self.endpoint.tier, self.endpoint.id, bool(self.stream), seconds, self._overhead
            )
        )

    def finished(self) -> None:
        """The end, whatever it was: one event with all that is known."""
        route, facts, endpoint = self.route, self.facts, self.endpoint
        self._publish(
            Finished(
                exchange=self.id,
                method=self.method,
                path=self.path,
                status=CLIENT_GONE if self.client_gone else self.answered_status or InternalError.status,
                tier=endpoint.tier if endpoint else route.tier if route else "none",
                seconds=trio.current_time() - self.started,
                broken=self.broken,
                client=self.client,
                strategy=route.strategy if route else None,
                reason=self.reason,
                rule=route.rule if route else None,
                chosen_tier=route.tier if route else None,
                chosen_reason=route.reason if route else None,
                confidence=route.confidence if route else None,
                routing_seconds=self._routing_seconds,
                endpoint=endpoint.id if endpoint else None,
                model=endpoint.name if endpoint else None,
                attempts=self.attempts,
                stream=self.stream,
                importance=facts.importance if facts else None,
                task_type=facts.task_type if facts else None,
                prompt_tokens_estimate=facts.tokens if facts else None,
                time_to_first_token=self._first_data if self.stream else None,
                overhead=self._overhead,
                bytes_in=self.bytes_in,
                bytes_out=self.bytes_out,
                tokens_in=self.usage.prompt_tokens if self.usage else None,
                tokens_out=self.usage.completion_tokens if self.usage else None,
                error=self.error or self.cancelled_because,
            )
        )

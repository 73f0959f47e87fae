"""Attempts at endpoints, one after another, until one answers: only before commit."""

from __future__ import annotations

import trio
from msgspec import Struct

from octoroute.config.model import TIERS, Config, Tier, fallback_tiers
from octoroute.errors import NoHealthyEndpoint, RequestError, Unsupported
from octoroute.fleet.endpoint import Endpoint
from octoroute.fleet.fleet import Fleet, Needs
from octoroute.fleet.health import RETRY_AFTER_SECONDS
from octoroute.fleet.probe import probe
from octoroute.openai.request import ChatRequest
from octoroute.relay.attempt import Answer, attempt
from octoroute.relay.exchange import Exchange
from octoroute.relay.headers import RawHeader
from octoroute.relay.verdict import Failure, Passed
from octoroute.routing.route import Reason, Route

LONGEST_BACKOFF_SECONDS = 2.0
LOADING_PAUSE_SECONDS = 0.5
"""How often a server that is loading is looked at while a request waits for it."""
LONGEST_LOADING_PAUSE_SECONDS = 5.0
"""The same, where its probe says that it is ready and its answers that it isn't: doubling up to this."""
WAKING_MARGIN_SECONDS = 10.0
"""Waking ends by itself; whoever waits gives up so much later should it not."""


class Outcome(Struct):
    """What goes to the client: an answer, or a server's refusal as it was; and what to say about it."""

    answer: Answer | Passed
    endpoint: Endpoint
    reason: Reason
    warning: str | None


class Failover:
    """The attempts of one exchange."""

    def __init__(
        self, exchange: Exchange, config: Config, fleet: Fleet, request: ChatRequest, headers: list[RawHeader]
    ) -> None:
        self._exchange = exchange
        self._config = config
        self._fleet = fleet
        self._request = request
        self._headers = headers
        self._tried: set[str] = set()
        self._woken: set[str] = set()
        self._last: tuple[Endpoint, Failure] | None = None
        self._refusal: tuple[Endpoint, Failure] | None = None

    async def run(self, route: Route, needs: Needs) -> Outcome:
        """Ask until an endpoint answers.

        1. The chosen tier: up to `max_attempts` endpoints, none twice.
        2. Where none of them takes requests, but one's machine is asleep and can be woken: that one, woken.
        3. Then the tiers that stand in for it, those that are awake first. A request for one name stays with that name.
        4. Where nothing takes requests, the chosen tier's endpoint that failed longest ago.

        Raises:
            RequestError: nothing answered. The last failure decides which, unless an endpoint has said before
                what it is that no endpoint can do for this request.
        """
        tiers = self._tiers(route, needs)
        for tier in tiers:
            answer = await self._try_tier(tier, route.name, needs, may_wake=tier == route.tier)
            if answer is not None:
                return self._outcome(answer, route, needs)
            if self._last is None:
                continue
            if self._last[1].elsewhere == "no":
                break
            if self._last[1].elsewhere in {"larger", "able"} and route.name is None:
                tiers += _others(route.tier, tiers)
        for tier in tiers[1:]:
            if self._sleeper(tier, route.name, needs) is not None:
                answer = await self._try_tier(tier, route.name, needs, may_wake=True)
                if answer is not None:
                    return self._outcome(answer, route, needs)
        if self._last is None:
            return await self._last_resort(route, needs)
        endpoint, failure = self._refusal or self._last
        if isinstance(failure.client, RequestError):
            raise failure.client
        self._exchange.endpoint = endpoint
        return self._outcome(failure.client, route, needs)

    def _tiers(self, route: Route, needs: Needs) -> list[Tier]:
        if not self._fleet.can_serve(needs, route.name):
            kinds = [kind for kind in ("vision", "tools") if getattr(needs, kind)]
            what = f"can do what the request needs ({', '.join(kinds) or 'a context window that large'})"
            raise Unsupported(f"No endpoint {f'of {route.name} ' if route.name else ''}{what}.")
        if route.name is not None:
            return [route.tier]
        tiers = self._fleet.tiers_for(route.tier)
        if self._fleet.lacks(route.tier, needs):
            # What a request needs comes before what its tier would cost: any tier that can, nearest first.
            tiers += _others(route.tier, tiers)
        return tiers

    async def _try_tier(self, tier: Tier, name: str | None, needs: Needs, *, may_wake: bool) -> Answer | None:
        backoff = self._config.retry.backoff_ms / 1000
        give_up: float | None = None
        pause = LOADING_PAUSE_SECONDS
        attempts = 0
        while attempts < self._config.retry.max_attempts:
            endpoint = await self._take(tier, name, needs, may_wake=may_wake)
            if endpoint is None:
                return None
            attempts += 1
            if self._last is not None:
                self._exchange.failed_over(self._last[0].tier, self._last[1].cause)
            asked = trio.current_time()
            result = await self._attempt(endpoint)
            if isinstance(result, Answer):
                return result
            self._last = (endpoint, result)
            if result.elsewhere == "no":
                return None
            if result.elsewhere in {"larger", "able"}:
                self._refusal = self._last
                self._skip_alike(endpoint, result)
            if result.evidence == "unreachable" and endpoint.settings.wake_mac is not None:
                attempts -= 1  # finding out that it sleeps leaves the attempt for when it is awake
            another = self._fleet.choose(tier, name, self._tried, needs, with_room=False)
            if another is None and result.cause == "loading":
                give_up = give_up or asked + self._config.request_timeout(tier)
                if await self._loaded(endpoint, pause, give_up):
                    self._tried.discard(endpoint.id)
                    attempts -= 1
                    pause = min(2 * pause, LONGEST_LOADING_PAUSE_SECONDS)
            elif another is not None:
                self._exchange.waits()
                await trio.sleep(min(backoff, LONGEST_BACKOFF_SECONDS))
                self._exchange.goes_on()
                backoff *= 2
        return None

    async def _loaded(self, endpoint: Endpoint, pause: float, give_up: float) -> bool:
        """Wait for a server that is loading its model, until `give_up`; whether it may be asked again.

        Whoever waits probes only where nobody has since the last look, so many requests cost no more than one.
        """
        self._exchange.waits()
        while endpoint.health.state == "warming" and trio.current_time() + pause < give_up:
            looked = endpoint.health.last_check
            await trio.sleep(pause)
            if not endpoint.settings.health_path:
                break  # nothing tells but asking again
            if endpoint.health.last_check == looked:
                result = await probe(endpoint, self._config.health.timeout_seconds)
                self._fleet.record(endpoint, result.evidence, result.detail)
        self._exchange.goes_on()
        return trio.current_time() + pause < give_up

    async def _take(self, tier: Tier, name: str | None, needs: Needs, *, may_wake: bool) -> Endpoint | None:
        """A place at the next endpoint of the tier: now, or after waiting for one. None where none is left."""

        def choose() -> Endpoint | None:
            return self._fleet.choose(tier, name, self._tried, needs)

        def hopeless() -> bool:
            if self._fleet.choose(tier, name, self._tried, needs, with_room=False) is not None:
                return False
            return not (may_wake and self._fleet.is_waking(tier, name, self._tried, needs))

        admission = self._fleet.admission[tier]
        place = admission.take(choose)
        if place is None:
            if hopeless() and not (may_wake and self._wake(tier, name, needs)):
                return None
            self._exchange.waits()
            try:
                patience = self._patience(tier, name)
                place = await admission.wait(self._exchange.client, choose, hopeless, patience=patience)
            finally:
                self._exchange.goes_on()
            if place is None:
                return None
        self._exchange.hold(place.release)
        return place.endpoint

    def _wake(self, tier: Tier, name: str | None, needs: Needs) -> bool:
        """Have a machine of the tier woken that seems to sleep. Whether there is one to wait for."""
        endpoint = self._sleeper(tier, name, needs)
        if endpoint is None:
            return False
        self._woken.add(endpoint.id)
        self._tried.discard(endpoint.id)
        self._fleet.wake(endpoint)
        return True

    def _sleeper(self, tier: Tier, name: str | None, needs: Needs) -> Endpoint | None:
        """An endpoint that this request may have woken; each once."""
        if self._refusal is not None or (self._last is not None and self._last[1].elsewhere != "yes"):
            return None  # another endpoint would refuse this request, too
        endpoint = self._fleet.sleeper(tier, name, needs)
        return None if endpoint is None or endpoint.id in self._woken else endpoint

    def _patience(self, tier: Tier, name: str | None) -> float | None:
        """How long a place in the tier is worth waiting for, where a machine wakes up or a model is loaded."""
        waits: list[float] = []
        for endpoint in self._fleet.tiers[tier]:
            if name is None or endpoint.name == name:
                if endpoint.waking:
                    waits.append(endpoint.settings.wake_timeout_seconds + WAKING_MARGIN_SECONDS)
                if endpoint.is_cold:
                    waits.append(self._config.request_timeout(tier))
        return max(waits, default=None)

    async def _attempt(self, endpoint: Endpoint) -> Answer | Failure:
        exchange = self._exchange
        self._tried.add(endpoint.id)
        self._fleet.asked(endpoint)
        exchange.attempts += 1
        timeout = self._config.request_timeout(endpoint.tier)
        exchange.waits()
        result = await attempt(exchange, endpoint, self._request, self._headers, timeout)
        seconds = exchange.goes_on()
        if isinstance(result, Answer):
            self._fleet.record(endpoint, "request_answered")
            exchange.attempted(endpoint, seconds, None, "")
            exchange.endpoint = endpoint
            return result
        if result.evidence is not None:
            self._fleet.record(endpoint, result.evidence, result.detail, busy_for=result.busy_for)
        exchange.attempted(endpoint, seconds, result.cause, result.detail)
        await exchange.release()
        return result

    def _skip_alike(self, endpoint: Endpoint, failure: Failure) -> None:
        """Endpoints that would say the same: of the same name; for a window, the rest of the tier and known small ones."""
        for other in self._fleet:
            if failure.elsewhere == "able":
                if other.name == endpoint.name:
                    self._tried.add(other.id)
                continue
            window, known = other.settings.context_window, endpoint.settings.context_window
            alike = other.tier == endpoint.tier if window is None or known is None else window <= known
            if alike:
                self._tried.add(other.id)

    async def _last_resort(self, route: Route, needs: Needs) -> Outcome:
        endpoint = next(
            (
                found
                for tier in [route.tier, *(() if route.name else self._fleet.tiers_for(route.tier)[1:])]
                if (found := self._fleet.last_resort(tier, route.name, needs)) is not None
            ),
            None,
        )
        wait = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        if endpoint is None:
            raise NoHealthyEndpoint(f"No endpoint of tier {route.tier} may serve this request.", headers=wait)
        place = self._fleet.admission[endpoint.tier].take(lambda: endpoint if endpoint.has_room else None)
        if place is not None:
            self._exchange.hold(place.release)
            result = await self._attempt(endpoint)
            if isinstance(result, Answer):
                return self._outcome(result, route, needs)
            if result.cause in {"misconfigured", "unsupported"} and isinstance(result.client, RequestError):
                raise result.client
            if isinstance(result.client, Passed):
                self._exchange.endpoint = endpoint
                return self._outcome(result.client, route, needs)
            cause = result.client.message
        else:
            cause = f"Endpoint {endpoint.id} is down and has no free place."
        raise NoHealthyEndpoint(f"No healthy endpoint for tier {route.tier}. {cause}", headers=wait)

    def _outcome(self, answer: Answer | Passed, route: Route, needs: Needs) -> Outcome:
        endpoint = self._exchange.endpoint
        assert endpoint is not None
        reason, warning = route.reason, route.warning
        if endpoint.tier != route.tier:
            reason = self._detour(route.tier, endpoint.tier, needs)
            detour = f"tier {route.tier} was chosen ({route.reason}), tier {endpoint.tier} answers ({reason})"
            warning = f"{warning}; {detour}" if warning else detour
        self._exchange.reason = reason
        return Outcome(answer, endpoint, reason, warning)

    def _detour(self, chosen: Tier, answered: Tier, needs: Needs) -> Reason:
        """Why another tier than the chosen one answers."""
        if self._last is not None and self._last[1].cause == "context":
            return "needs_context"
        lacking = self._fleet.lacks(chosen, needs)
        if lacking is not None:
            return lacking
        return "fallback_up" if TIERS.index(answered) > TIERS.index(chosen) else "fallback_down"


def _others(tier: Tier, tiers: list[Tier]) -> list[Tier]:
    """The tiers that are not among `tiers`, nearest to `tier` first, whatever `tier_fallback` allows."""
    return [other for other in fallback_tiers(tier, "up-down") if other not in tiers]

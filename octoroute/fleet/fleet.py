"""All tiers and their endpoints: finds models by name, chooses endpoints, and keeps the evidence of their health."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Collection, Iterator
from random import Random
from typing import Literal

import msgspec
import trio
from msgspec import Struct

from octoroute.config.model import TIERS, Config, Tier, fallback_tiers
from octoroute.config.model import Endpoint as EndpointSettings
from octoroute.errors import ModelNotFound, NoSuchEndpoint
from octoroute.fleet import health, selection
from octoroute.fleet.admission import Admission
from octoroute.fleet.endpoint import Endpoint, endpoint_ids
from octoroute.fleet.upstream import Upstream
from octoroute.telemetry.events import HealthChanged, Publish
from octoroute.telemetry.metrics import EndpointState, FleetState, TierState


class Needs(Struct, frozen=True):
    """What a request asks of an endpoint beyond text: an estimate of its tokens, images, tools."""

    tokens: int = 0
    vision: bool = False
    tools: bool = False


class Target(Struct, frozen=True):
    """What a request's `model` means: a tier, and possibly the one name in it; neither is "auto"."""

    tier: Tier | None = None
    name: str | None = None


AUTO = "auto"
Lack = Literal["needs_vision", "needs_tools", "needs_context"]


class Fleet:
    """The endpoints of one configuration, in the order of the file."""

    def __init__(
        self,
        config: Config,
        *,
        publish: Publish,
        random: Random | None = None,
        clock: Callable[[], float] = trio.current_time,
        previous: Fleet | None = None,
    ) -> None:
        """Build the fleet; with a `previous` one (a reload), endpoints that stayed keep their health and places."""
        self._publish = publish
        self._random = random or Random()  # noqa: S311  # spreads load, guards nothing
        self._clock = clock
        self._policy = health.Policy(config.health.unhealthy_after, config.health.healthy_after)
        self._fallback = config.routing.tier_fallback
        self.tiers: dict[Tier, list[Endpoint]] = {tier: [] for tier in TIERS}
        settings = [(tier, endpoint) for tier in TIERS for endpoint in config.models.get(tier, ())]
        ids = endpoint_ids([endpoint for _, endpoint in settings])
        # One context for all: each costs about 37 ms for its CA bundle.
        secure = any(endpoint.base_url.startswith("https:") for _, endpoint in settings)
        ssl_context = ssl.create_default_context() if secure else None
        stayed = {(e.tier, e.name, e.settings.base_url): e for e in previous or ()}
        for (tier, endpoint), endpoint_id in zip(settings, ids, strict=True):
            upstream = Upstream(
                endpoint, connect_timeout=config.server.connect_timeout_seconds, ssl_context=ssl_context
            )
            known = stayed.get((tier, endpoint.name, endpoint.base_url))
            if known is not None:
                known.reconfigure(endpoint_id, endpoint, upstream)
            self.tiers[tier].append(known or Endpoint(endpoint_id, tier, endpoint, upstream))
        limits = (config.queue.max_waiting, config.queue.max_wait_seconds)
        # The queues stay, with those who wait in them: the places that they wait for are given back there.
        self.admission: dict[Tier, Admission] = (
            previous.admission if previous else {tier: Admission(*limits) for tier in TIERS}
        )
        for admission in self.admission.values():
            admission.limit(*limits)
        self._targets = self._names()

    def __iter__(self) -> Iterator[Endpoint]:
        return (endpoint for tier in TIERS for endpoint in self.tiers[tier])

    def __repr__(self) -> str:
        return f"<Fleet {', '.join(f'{tier}: {len(self.tiers[tier])}' for tier in TIERS)}>"

    # Names

    def _names(self) -> dict[str, Target]:
        targets: dict[str, Target] = {AUTO: Target(), **{tier: Target(tier) for tier in TIERS}}
        for endpoint in self:
            target = Target(endpoint.tier, endpoint.name)
            for name in (endpoint.name, *endpoint.settings.aliases):
                targets.setdefault(name, target)
        for name, target in list(targets.items()):
            targets.setdefault(name.lower(), target)
        return targets

    def model_names(self) -> list[str]:
        """Every distinct endpoint name, in order."""
        return list(dict.fromkeys(endpoint.name for endpoint in self))

    def resolve(self, model: str) -> Target:
        """What `model` names: exactly, else in any case.

        Raises:
            ModelNotFound: nothing of that name; the message lists what there is.
        """
        target = self._targets.get(model) or self._targets.get(model.lower())
        if target is None:
            known = ", ".join([AUTO, *TIERS, *self.model_names()])
            raise ModelNotFound(f'There is no model "{model[:100]}". Available: {known}.', param="model")
        return target

    # Choosing

    def tiers_for(self, tier: Tier) -> list[Tier]:
        """The tiers that may serve a request for `tier`, in the order in which they are tried."""
        return [tier, *fallback_tiers(tier, self._fallback)]

    def choose(
        self, tier: Tier, name: str | None, excluded: Collection[str], needs: Needs, *, with_room: bool = True
    ) -> Endpoint | None:
        """The endpoint to ask next (`selection`), or None. `with_room=False` looks past full ones."""
        now = self._clock()
        endpoints = {e.id: e for e in self.tiers[tier] if name is None or e.name == name}
        candidates = [
            endpoint.candidate(now, able(endpoint.settings, needs)) for endpoint in endpoints.values()
        ]
        if not with_room:
            candidates = [msgspec.structs.replace(candidate, room=True) for candidate in candidates]
        chosen = selection.select(candidates, excluded, self._random)
        return None if chosen is None else endpoints[chosen]

    def last_resort(self, tier: Tier, name: str | None, needs: Needs) -> Endpoint | None:
        """The endpoint that failed longest ago, for when none takes requests: it may be back."""
        endpoints = [
            endpoint
            for endpoint in self.tiers[tier]
            if (name is None or endpoint.name == name)
            and not endpoint.drained
            and able(endpoint.settings, needs) is not False
        ]
        return min(endpoints, key=lambda endpoint: endpoint.health.last_failure or 0.0, default=None)

    def can_serve(self, needs: Needs, name: str | None = None) -> bool:
        """Whether any endpoint (of that name) may be able to do what is asked."""
        return any(
            able(endpoint.settings, needs) is not False
            for endpoint in self
            if name is None or endpoint.name == name
        )

    def lacks(self, tier: Tier, needs: Needs) -> Lack | None:
        """What the endpoints of `tier` are all known not to be able to do; None where one may be able, or none is."""
        endpoints = self.tiers[tier]
        if not endpoints or any(able(endpoint.settings, needs) is not False for endpoint in endpoints):
            return None
        if needs.vision and all(endpoint.settings.vision is False for endpoint in endpoints):
            return "needs_vision"
        if needs.tools and all(endpoint.settings.tools is False for endpoint in endpoints):
            return "needs_tools"
        if any(able(endpoint.settings, Needs(tokens=needs.tokens)) is False for endpoint in endpoints):
            return "needs_context"
        return "needs_vision"  # one has the eyes, another one the hands

    def ready_tiers(self) -> dict[Tier, bool]:
        """For each tier, whether one of its own endpoints takes requests."""
        return {
            tier: any(endpoint.is_healthy and not endpoint.drained for endpoint in endpoints)
            for tier, endpoints in self.tiers.items()
        }

    # Health

    def asked(self, endpoint: Endpoint) -> None:
        """A request goes to `endpoint` now; nobody else makes its trial meanwhile."""
        endpoint.health = health.asked(endpoint.health, self._clock())

    def record(
        self, endpoint: Endpoint, evidence: health.Evidence, detail: str = "", *, busy_for: float = 0.0
    ) -> None:
        """Take evidence of an endpoint's health; a change of state is published."""
        before = endpoint.health.state
        policy = self._policy
        if not endpoint.settings.health_path:
            policy = health.Policy(policy.unhealthy_after, policy.healthy_after, probed=False)
        endpoint.health = health.after(endpoint.health, evidence, self._clock(), policy, busy_for=busy_for)
        if endpoint.health.state != before:
            self._publish(
                HealthChanged(
                    endpoint.tier, endpoint.id, old=before, new=endpoint.health.state, detail=detail
                )
            )
            self.admission[endpoint.tier].dispatch()

    def drain(self, name: str) -> list[Endpoint]:
        """Send no new requests to the endpoints of that id or name; running ones go on.

        Raises:
            NoSuchEndpoint: there is none; the message lists what there is.
        """
        return self._set_drained(name, drained=True)

    def enable(self, name: str) -> list[Endpoint]:
        """Send requests to them again (errors as in `drain`)."""
        return self._set_drained(name, drained=False)

    def _set_drained(self, name: str, *, drained: bool) -> list[Endpoint]:
        found = [e for e in self if e.id == name] or [e for e in self if e.name == name]
        if not found:
            known = ", ".join(endpoint.id for endpoint in self)
            raise NoSuchEndpoint(f'There is no endpoint "{name[:100]}". There are: {known}.')
        for endpoint in found:
            endpoint.drained = drained
        self.dispatch()
        return found

    def dispatch(self) -> None:
        """Let waiting requests look again: time alone makes an endpoint available, too."""
        for admission in self.admission.values():
            admission.dispatch()

    def state(self) -> FleetState:
        """What a scrape of the metrics tells of the fleet."""
        return FleetState(
            [EndpointState(e.tier, e.id, e.is_healthy) for e in self],
            [
                TierState(tier, sum(e.in_flight for e in endpoints), self.admission[tier].waiting)
                for tier, endpoints in self.tiers.items()
            ],
        )

    async def aclose(self) -> None:
        """Close every idle connection."""
        for endpoint in self:
            await endpoint.upstream.aclose()


def able(settings: EndpointSettings, needs: Needs) -> bool | None:
    """Whether an endpoint can do what is asked: True, False, or None where its configuration doesn't say."""
    answers: list[bool | None] = []
    if needs.vision:
        answers.append(settings.vision)
    if needs.tools:
        answers.append(settings.tools)
    if needs.tokens and settings.context_window is not None:
        answers.append(needs.tokens < settings.context_window)
    if False in answers:
        return False
    return None if None in answers else True

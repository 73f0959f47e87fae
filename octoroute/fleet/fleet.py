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
from octoroute.fleet import health, load, selection
from octoroute.fleet.admission import Admission
from octoroute.fleet.endpoint import Endpoint, endpoint_ids
from octoroute.fleet.upstream import Upstream
from octoroute.fleet.wake import AGAIN_SECONDS
from octoroute.telemetry.events import HealthChanged, Publish, WakeOnLan
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
        self._probed, self._unprobed = (
            health.Policy(
                config.health.unhealthy_after,
                config.health.healthy_after,
                config.health.interval_seconds,
                probed=probed,
            )
            for probed in (True, False)
        )
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
        endpoints = self._serving(tier, name, needs)
        return min(endpoints, key=lambda endpoint: endpoint.health.last_failure or 0.0, default=None)

    def _serving(self, tier: Tier, name: str | None, needs: Needs) -> list[Endpoint]:
        """The endpoints of a tier (of that name) that may serve such requests, be they up or down."""
        return [
            endpoint
            for endpoint in self.tiers[tier]
            if (name is None or endpoint.name == name)
            and not endpoint.drained
            and able(endpoint.settings, needs) is not False
        ]

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
        endpoint.asked_at = self._clock()
        endpoint.health = health.asked(endpoint.health, endpoint.asked_at)

    def record(
        self, endpoint: Endpoint, evidence: health.Evidence, detail: str = "", *, busy_for: float = 0.0
    ) -> None:
        """Take evidence of an endpoint's health; a change of state is published."""
        now, before = self._clock(), endpoint.health.state
        endpoint.health = health.after(
            endpoint.health,
            evidence,
            now,
            self._policy(endpoint),
            busy_for=busy_for,
            jitter=self._jitter(),
        )
        if endpoint.health.state != before:
            self._publish(
                HealthChanged(
                    endpoint.tier, endpoint.id, old=before, new=endpoint.health.state, detail=detail
                )
            )
            self.admission[endpoint.tier].dispatch()
        if evidence != "request_answered":
            return
        endpoint.answered_at = now
        known = endpoint.load
        if known is not None and known.reading.loaded is False:
            reading = msgspec.structs.replace(known.reading, loaded=True)
            endpoint.load = msgspec.structs.replace(known, reading=reading)
            self.admission[endpoint.tier].dispatch()

    def probed(self, endpoint: Endpoint) -> None:
        """A probe of `endpoint` has ended and is recorded: the next one is due later."""
        endpoint.health = health.probed(
            endpoint.health, self._clock(), self._policy(endpoint), jitter=self._jitter()
        )

    def _policy(self, endpoint: Endpoint) -> health.Policy:
        return self._probed if endpoint.settings.health_path else self._unprobed

    def _jitter(self) -> float:
        return self._random.uniform(1 - health.JITTER, 1 + health.JITTER)

    def told(
        self, endpoint: Endpoint, server: load.Server | None, reading: load.Reading | None, at: float
    ) -> None:
        """Keep what a `server` told of its load when it was asked `at` that time; None where that can't be known."""
        was_cold = endpoint.is_cold
        if reading is not None and reading.loaded is False and endpoint.answered_at > at:
            # A request was answered meanwhile, so the model is loaded by now.
            reading = msgspec.structs.replace(reading, loaded=True)
        endpoint.server = server
        endpoint.load = None if reading is None else load.load_from(reading, endpoint.in_flight, at)
        if was_cold and not endpoint.is_cold:
            self.admission[endpoint.tier].dispatch()

    # Sleeping machines

    def sleeper(self, tier: Tier, name: str | None, needs: Needs) -> Endpoint | None:
        """One that is being woken for such a request, or else may be: it seems to sleep, and we know how to wake it."""
        now = self._clock()
        endpoints = [e for e in self._serving(tier, name, needs) if e.waking or _may_be_woken(e, now)]
        return max(endpoints, key=lambda e: (e.waking, e.settings.priority), default=None)

    def is_waking(self, tier: Tier, name: str | None, excluded: Collection[str], needs: Needs) -> bool:
        """Whether one is being woken that may then be asked."""
        return any(e.waking and e.id not in excluded for e in self._serving(tier, name, needs))

    def wake(self, endpoint: Endpoint) -> None:
        """Have the monitor wake the endpoint's machine; until that has ended it takes no requests."""
        if not endpoint.waking:
            endpoint.waking = True
            self._publish(WakeOnLan(endpoint.tier, endpoint.id, "waking"))

    def woken(self, endpoint: Endpoint, seconds: float, *, answers: bool) -> None:
        """Waking it has ended: whoever waits for it is served, or goes on without."""
        endpoint.waking = False
        endpoint.woken_in_vain = None if answers else self._clock()
        step: Literal["woke", "did not wake"] = "woke" if answers else "did not wake"
        self._publish(WakeOnLan(endpoint.tier, endpoint.id, step, seconds))
        self.admission[endpoint.tier].dispatch()

    # Taken out of service

    def set_drained(self, name: str, *, drained: bool) -> list[Endpoint]:
        """Send no new requests to the endpoints of that id or name, while running ones go on; or send them again.

        Raises:
            NoSuchEndpoint: there is none; the message lists what there is.
        """
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


def _may_be_woken(endpoint: Endpoint, now: float) -> bool:
    """A machine that refuses connections is awake; one that didn't wake up is left alone for a while."""
    if endpoint.settings.wake_mac is None or not endpoint.health.asleep:
        return False
    return endpoint.woken_in_vain is None or now >= endpoint.woken_in_vain + AGAIN_SECONDS


def able(settings: EndpointSettings, needs: Needs) -> bool | None:
    """Whether an endpoint can do what is asked: True, False, or None where its configuration doesn't say."""
    vision = settings.vision if needs.vision else True
    tools = settings.tools if needs.tools else True
    window = settings.context_window
    if vision is False or tools is False or (window is not None and 0 < window <= needs.tokens):
        return False
    return None if vision is None or tools is None else True

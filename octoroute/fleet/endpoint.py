"""One model on one server, as the running daemon sees it: configuration, health, load and the way there."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from math import inf
from urllib.parse import urlsplit, urlunsplit

from msgspec import Struct
from msgspec.structs import replace

from octoroute.config import model as config
from octoroute.fleet import load
from octoroute.fleet.health import Health, State, rank
from octoroute.fleet.selection import Candidate
from octoroute.fleet.upstream import Upstream


class EndpointReport(Struct, frozen=True):
    """An endpoint as it is now, for `/models` and `octoroute status`."""

    id: str
    name: str
    tier: config.Tier
    endpoint: str
    model: str
    aliases: tuple[str, ...]
    healthy: bool
    state: State
    drained: bool
    last_check_seconds_ago: float | None
    consecutive_failures: int
    in_flight: int
    max_concurrent: int | None
    load: load.LoadReport | None
    priority: int
    weight: float


class Endpoint:
    """An endpoint of the fleet. `in_flight` counts the places taken; a `drained` one gets no new requests.

    `load` is what its `server` last told, None where that is unknown; `untold` are the paths where it doesn't tell.
    `asked_at` is when a request last went there, `answered_at` when it last answered one. `waking` tells that its
    machine is being woken.
    """

    def __init__(
        self, endpoint_id: str, tier: config.Tier, settings: config.Endpoint, upstream: Upstream
    ) -> None:
        self.id = endpoint_id
        self.tier = tier
        self.settings = settings
        self.upstream = upstream
        self.health = Health()
        self.in_flight = 0
        self.drained = False
        self.server: load.Server | None = None
        self.load: load.Load | None = None
        self.untold: set[str] = set()
        self.asked_at: float | None = None
        self.answered_at = -inf
        self.waking = False
        self.woken_in_vain: float | None = None
        """When waking it last failed."""

    def reconfigure(self, endpoint_id: str, settings: config.Endpoint, upstream: Upstream) -> None:
        """Take new settings; health, places and being drained stay. That it was misconfigured may be what was put right."""
        self.id, self.settings, self.upstream = endpoint_id, settings, upstream
        if self.health.state == "misconfigured":
            self.health = Health()
        elif self.health.state == "unhealthy":
            # From probes to trials, or back: either way it is looked at soon.
            self.health = replace(self.health, until=inf if settings.health_path else 0.0)
        self.forget_load()
        self.woken_in_vain = None

    def __repr__(self) -> str:
        return f"<Endpoint {self.id} ({self.tier}) {self.health.state}, {self.in_flight} in flight>"

    @property
    def name(self) -> str:
        """The public name of its model."""
        return self.settings.name

    @property
    def model(self) -> str:
        """What the server calls the model."""
        return self.settings.model or self.settings.name

    @property
    def is_healthy(self) -> bool:
        """Whether it answers, be it busy for a moment."""
        return self.health.state in {"healthy", "busy"}

    @property
    def is_cold(self) -> bool:
        """Whether its first request makes it load its model, and a second one meanwhile would load it once more.

        LM Studio does that. Ollama and llama.cpp's router let the others wait for the first.
        """
        return self.server == "lmstudio" and self.load is not None and self.load.reading.loaded is False

    def forget_load(self) -> None:
        """It may be another server by now, or have other options."""
        self.server, self.load = None, None
        self.untold.clear()

    @property
    def has_room(self) -> bool:
        """Whether one more request may go there now."""
        if self.in_flight and self.is_cold:
            return False
        limit = self.settings.max_concurrent
        return limit is None or self.in_flight < limit

    def candidate(self, now: float, able: bool | None) -> Candidate:
        """What selection sees of it."""
        return Candidate(
            id=self.id,
            rank=None if self.drained or self.waking else rank(self.health, now),
            priority=self.settings.priority,
            weight=self.settings.weight,
            able=able,
            room=self.has_room,
            load=load.rank(self.load, self.in_flight),
        )

    def report(self, now: float) -> EndpointReport:
        """What there is to tell of it at `now`."""
        checked = self.health.last_check
        return EndpointReport(
            id=self.id,
            name=self.name,
            tier=self.tier,
            endpoint=_without_userinfo(self.settings.base_url),
            model=self.model,
            aliases=self.settings.aliases,
            healthy=self.is_healthy,
            state=self.health.state,
            drained=self.drained,
            last_check_seconds_ago=None if checked is None else round(now - checked, 1),
            consecutive_failures=self.health.failures,
            in_flight=self.in_flight,
            max_concurrent=self.settings.max_concurrent,
            load=load.report(self.load, now),
            priority=self.settings.priority,
            weight=self.settings.weight,
        )


def endpoint_ids(endpoints: Sequence[config.Endpoint]) -> list[str]:
    """An id for each: its name; where that occurs more than once, `name@host:port`, with the path if need be.

    Two that differ only in how the same place is written (a default port, https on port 80) get a number.
    """
    names = [endpoint.name for endpoint in endpoints]
    with_host = [f"{endpoint.name}@{_host_and_port(endpoint.base_url)}" for endpoint in endpoints]
    ids: list[str] = []
    for endpoint, name, host in zip(endpoints, names, with_host, strict=True):
        if names.count(name) == 1:
            own = name
        elif with_host.count(host) == 1:
            own = host
        else:
            own = host + urlsplit(endpoint.base_url).path
        numbered = (f"{own}#{number}" for number in count(2))
        ids.append(own if own not in ids else next(other for other in numbered if other not in ids))
    return ids


def _host_and_port(base_url: str) -> str:
    url = urlsplit(base_url)
    host = url.hostname or ""
    if ":" in host:
        host = f"[{host}]"
    return f"{host}:{url.port or (443 if url.scheme == 'https' else 80)}"


def _without_userinfo(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))

"""The configuration as frozen types: every table, every key, its default and what is allowed.

One struct is one table of the file. Bounds stand in the types (`msgspec.Meta`), so that loading, the
messages about bad values and the documentation's test all read the same source.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

Tier = Literal["fast", "balanced", "deep"]
Strategy = Literal["rule", "llm", "hybrid"]
Importance = Literal["low", "normal", "high"]
TierFallback = Literal["none", "up", "down", "up-down"]

TIERS: tuple[Tier, ...] = ("fast", "balanced", "deep")
"""The tiers, from the smallest models to the largest."""


def fallback_tiers(tier: Tier, fallback: TierFallback) -> list[Tier]:
    """The tiers that stand in for `tier`, nearest first, larger ones before smaller ones."""
    position = TIERS.index(tier)
    up, down = list(TIERS[position + 1 :]), list(reversed(TIERS[:position]))
    return {"none": [], "up": up, "down": down, "up-down": up + down}[fallback]


Seconds = Annotated[float, Meta(ge=0.1)]
OptionalSeconds = Annotated[float, Meta(ge=0)]
"""Seconds, where 0 switches the feature off."""
RequestSeconds = Annotated[float, Meta(ge=1, le=3600)]
Positive = Annotated[int, Meta(ge=1)]
Port = Annotated[int, Meta(ge=0, le=65535)]


class Secret:
    """A string that no log line, error or `repr` shows; `reveal()` is the only way to read it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)


class Server(Struct, frozen=True, kw_only=True):
    """`[server]`: where Octoroute listens, and the limits of a request. Times are seconds."""

    host: str = "0.0.0.0"  # noqa: S104  # the seed's default: a homelab's other machines are the clients
    port: Port = 3000
    request_timeout_seconds: RequestSeconds = 300
    connect_timeout_seconds: Seconds = 5
    stream_idle_timeout_seconds: Seconds = 60
    drain_timeout_seconds: OptionalSeconds = 30
    keepalive_seconds: OptionalSeconds = 15
    max_request_seconds: OptionalSeconds = 0
    max_body_bytes: Positive = 16 * 1024 * 1024
    tls_cert: str | None = None
    tls_key: str | None = None


class Endpoint(Struct, frozen=True, kw_only=True):
    """One `[[models.<tier>]]`: one model on one server.

    `name` is what clients see, `model` what the server is asked for (`name` where it is None).
    `api_key` holds the key wherever it was configured: in the file, the environment or a file of its own.
    """

    name: str
    base_url: str
    model: str | None = None
    aliases: tuple[str, ...] = ()
    max_tokens: Positive | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    weight: Annotated[float, Meta(gt=0, le=1_000_000)] = 1.0
    priority: int = 1
    api_key: Secret | None = None
    max_concurrent: Positive | None = None
    context_window: Positive | None = None
    vision: bool | None = None
    tools: bool | None = None
    health_path: str = "models"
    wake_mac: str | None = None
    wake_timeout_seconds: Seconds = 120


class RouterTimeouts(Struct, frozen=True, kw_only=True):
    """`[routing.router_timeouts]`: seconds that one routing question may take, by router tier."""

    fast: Seconds = 10
    balanced: Seconds = 10
    deep: Seconds = 10


class Routing(Struct, frozen=True, kw_only=True):
    """`[routing]`: how a tier is chosen."""

    strategy: Strategy = "hybrid"
    router_tier: Tier = "balanced"
    default_importance: Importance = "normal"
    default_tier: Tier = "balanced"
    tier_fallback: TierFallback = "up-down"
    min_confidence: Annotated[float, Meta(ge=0, le=1)] = 0.5
    decision_ttl_seconds: OptionalSeconds = 300
    sticky_seconds: OptionalSeconds = 0
    router_timeouts: RouterTimeouts = field(default_factory=RouterTimeouts)


class Timeouts(Struct, frozen=True, kw_only=True):
    """`[timeouts]`: a tier's own `request_timeout_seconds`; None is the global one."""

    fast: RequestSeconds | None = None
    balanced: RequestSeconds | None = None
    deep: RequestSeconds | None = None


class Health(Struct, frozen=True, kw_only=True):
    """`[health]`: how often endpoints are probed, and how many results change their state."""

    interval_seconds: Seconds = 30
    timeout_seconds: Seconds = 5
    unhealthy_after: Positive = 3
    healthy_after: Positive = 1


class Retry(Struct, frozen=True, kw_only=True):
    """`[retry]`: attempts per request in one tier, and the pause before each further one."""

    max_attempts: Annotated[int, Meta(ge=1, le=10)] = 3
    backoff_ms: Annotated[int, Meta(ge=0, le=10_000)] = 100


class Queue(Struct, frozen=True, kw_only=True):
    """`[queue]`: who may wait when a tier is at its `max_concurrent`."""

    max_waiting: Annotated[int, Meta(ge=0)] = 100
    max_wait_seconds: Seconds = 30


class Auth(Struct, frozen=True, kw_only=True):
    """`[auth]`: the keys that clients may use; none at all leaves the API open."""

    api_keys: tuple[Secret, ...] = ()
    protect_metrics: bool = False


class Observability(Struct, frozen=True, kw_only=True):
    """`[observability]`: the log. `$OCTOROUTE_LOG` wins over `log_level`."""

    log_level: str = "info"
    log_format: Literal["auto", "console", "json"] = "auto"


class Config(Struct, frozen=True, kw_only=True):
    """A whole, valid configuration. `models` holds each tier's endpoints, in the file's order."""

    models: dict[Tier, tuple[Endpoint, ...]]
    server: Server = field(default_factory=Server)
    routing: Routing = field(default_factory=Routing)
    timeouts: Timeouts = field(default_factory=Timeouts)
    health: Health = field(default_factory=Health)
    retry: Retry = field(default_factory=Retry)
    queue: Queue = field(default_factory=Queue)
    auth: Auth = field(default_factory=Auth)
    observability: Observability = field(default_factory=Observability)

    def request_timeout(self, tier: Tier) -> float:
        """Seconds that one attempt in `tier` may take."""
        own: float | None = getattr(self.timeouts, tier)
        return self.server.request_timeout_seconds if own is None else own

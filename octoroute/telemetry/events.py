"""What happens to an exchange, as a closed set of events, published once: metrics, logs and feeds read them."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from octoroute.errors import Cause

CLIENT_GONE = 499
"""The status that counts a client who left before the end (nginx's convention)."""


class Routed(Struct, frozen=True):
    """A tier was chosen. `seconds` is how long the decision took."""

    exchange: str
    tier: str
    strategy: str
    reason: str
    seconds: float


class Attempted(Struct, frozen=True):
    """An endpoint was asked. `cause` is None where it answered; `detail` is for the log and holds no prompt."""

    exchange: str
    tier: str
    endpoint: str
    cause: Cause | None
    detail: str
    seconds: float


class FailedOver(Struct, frozen=True):
    """Another attempt follows one that failed in `tier` for `cause`."""

    exchange: str
    tier: str
    cause: Cause


class Committed(Struct, frozen=True):
    """The answer's first data is on its way to the client.

    `seconds` counts from the whole request's arrival, `overhead` the part of it that Octoroute itself took.
    """

    exchange: str
    tier: str
    endpoint: str
    stream: bool
    seconds: float
    overhead: float


class Finished(Struct, frozen=True):
    """The exchange is over. `tier` is the one that answered, or "none"."""

    exchange: str
    method: str
    path: str
    status: int
    tier: str
    seconds: float
    broken: bool = False
    client: str = ""
    strategy: str | None = None
    reason: str | None = None
    rule: int | None = None
    chosen_tier: str | None = None
    chosen_reason: str | None = None
    endpoint: str | None = None
    model: str | None = None
    attempts: int = 0
    stream: bool | None = None
    importance: str | None = None
    task_type: str | None = None
    prompt_tokens_estimate: int | None = None
    time_to_first_token: float | None = None
    overhead: float | None = None
    bytes_in: int = 0
    bytes_out: int = 0
    tokens_in: int | None = None
    tokens_out: int | None = None
    error: str | None = None


class HealthChanged(Struct, frozen=True):
    """An endpoint's state changed."""

    tier: str
    endpoint: str
    old: str
    new: str
    detail: str


class ProbeFailed(Struct, frozen=True):
    """A probe got no list of models."""

    tier: str
    endpoint: str
    error_type: str
    detail: str


class MonitorFailed(Struct, frozen=True):
    """The health monitor crashed; it is started again after `restart_in` seconds."""

    error: str
    restart_in: float


Event = Routed | Attempted | FailedOver | Committed | Finished | HealthChanged | ProbeFailed | MonitorFailed
Publish = Callable[[Event], None]


def fan_out(*subscribers: Publish) -> Publish:
    """One publisher for all `subscribers`."""

    def publish(event: Event) -> None:
        for subscriber in subscribers:
            subscriber(event)

    return publish

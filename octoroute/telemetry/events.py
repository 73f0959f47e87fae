"""What happens to an exchange, as a closed set of events, published once: metrics, logs and feeds read them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from octoroute.errors import Cause

CLIENT_GONE = 499
"""The status that counts a client who left before the end (nginx's convention)."""


class Routed(Struct, frozen=True):
    """A tier was chosen. `seconds` is how long the decision took, `confidence` a model's in it, where one told."""

    exchange: str
    tier: str
    strategy: str
    reason: str
    seconds: float
    confidence: float | None = None


QuestionCause = Cause | Literal["refused", "no_word"]
"""Why a router model decided nothing: as an attempt may fail, or it took no question, or answered no tier."""


class RouterAsked(Struct, frozen=True):
    """A router model was asked for a tier. `cause` is None where it named one; tokens where it told them."""

    tier: str
    endpoint: str
    cause: QuestionCause | None
    detail: str
    seconds: float
    tokens_in: int
    tokens_out: int


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
    confidence: float | None = None
    routing_seconds: float | None = None
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


class WakeOnLan(Struct, frozen=True):
    """An endpoint's machine is woken, because requests wait for it; or that came to an end, after `seconds`."""

    tier: str
    endpoint: str
    step: Literal["waking", "woke", "did not wake"]
    seconds: float = 0.0


class MonitorFailed(Struct, frozen=True):
    """The health monitor crashed; it is started again after `restart_in` seconds."""

    error: str
    restart_in: float


Event = (
    Routed
    | RouterAsked
    | Attempted
    | FailedOver
    | Committed
    | Finished
    | HealthChanged
    | ProbeFailed
    | WakeOnLan
    | MonitorFailed
)
Publish = Callable[[Event], None]


def fan_out(*subscribers: Publish) -> Publish:
    """One publisher for all `subscribers`."""

    def publish(event: Event) -> None:
        for subscriber in subscribers:
            subscriber(event)

    return publish

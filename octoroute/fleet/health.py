"""Up or down: an endpoint's health as a pure state table.

    state          means                                          takes requests
    healthy        answers                                        yes
    busy           said 429: full for a moment                    yes, after the others
    warming        said 503: loading its model                    where the tier has no other
    misconfigured  said 401, 403 or 404: retrying achieves nothing  one trial after TRIAL_SECONDS
    unhealthy      `unhealthy_after` failures in a row            no; probes bring it back, or where there are
                                                                  none, one trial after TRIAL_SECONDS

    evidence \\ state   healthy           busy      warming    misconfigured  unhealthy
    request answered    healthy           healthy   healthy    healthy        healthy
    probe answered      healthy           busy*     healthy    misconfigured  healthy after `healthy_after`
    failure             count and stay, unhealthy at `unhealthy_after`        unhealthy
    warming             warming           warming   warming    warming        warming
    busy                busy              busy      busy       busy           busy
    misconfigured       misconfigured     …         …          …              misconfigured

    * until its time is over.

Invariants: `failures` counts failures since the last success of any kind; an endpoint becomes "unhealthy" only
with `failures >= unhealthy_after`; a failure never makes it more preferred than it was.
"""

from __future__ import annotations

from math import inf
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

State = Literal["healthy", "busy", "warming", "misconfigured", "unhealthy"]
Evidence = Literal["request_answered", "probe_answered", "failure", "warming", "busy", "misconfigured"]

RETRY_AFTER_SECONDS = 5
LONGEST_RETRY_AFTER_SECONDS = 30
TRIAL_SECONDS = 60.0
"""A misconfigured endpoint is asked again after this long: somebody may have put it right."""


class Health(Struct, frozen=True):
    """An endpoint's health. Times are those of the daemon's clock, in seconds; None is never.

    `until` is when being busy ends, or when an endpoint that takes no requests may be tried again.
    """

    state: State = "healthy"
    failures: int = 0
    successes: int = 0
    until: float = 0.0
    last_check: float | None = None
    last_failure: float | None = None


class Policy(Struct, frozen=True):
    """How many results change a state (`[health]`). What is not probed gets a trial request now and then instead."""

    unhealthy_after: int = 3
    healthy_after: int = 1
    probed: bool = True


def after(health: Health, evidence: Evidence, now: float, policy: Policy, *, busy_for: float = 0.0) -> Health:
    """The health once `evidence` came in at `now`. `busy_for` is in seconds."""
    health = replace(health, last_check=now)
    match evidence:
        case "request_answered":
            return replace(health, state="healthy", failures=0, successes=0)
        case "probe_answered":
            return _probe_answered(health, now, policy)
        case "failure":
            failures = health.failures + 1
            down = failures >= policy.unhealthy_after
            health = replace(health, failures=failures, successes=0, last_failure=now)
            if not down:
                return health
            return replace(health, state="unhealthy", until=inf if policy.probed else now + TRIAL_SECONDS)
        case "warming":
            return replace(health, state="warming", last_failure=now)
        case "busy":
            return replace(health, state="busy", until=now + busy_for)
        case "misconfigured":
            # Only being asked puts the trial off (`asked`): probes that say the same again must not.
            until = health.until if health.state == "misconfigured" else now + TRIAL_SECONDS
            return replace(health, state="misconfigured", until=until, last_failure=now)


def _probe_answered(health: Health, now: float, policy: Policy) -> Health:
    """A probe's success clears the count of failures, but proves neither a free place nor a right key."""
    successes = health.successes + 1
    health = replace(health, failures=0, successes=successes)
    match health.state:
        case "misconfigured":
            return health
        case "busy" if now < health.until:
            return health
        case "unhealthy" if successes < policy.healthy_after:
            return health
        case _:
            return replace(health, state="healthy", successes=0)


def asked(health: Health, now: float) -> Health:
    """The health of an endpoint that a request goes to now: of its trial, there is but one."""
    if health.state not in {"misconfigured", "unhealthy"} or health.until == inf:
        return health
    return replace(health, until=now + TRIAL_SECONDS)


def retry_after(value: str | None) -> int:
    """A server's `Retry-After` in whole seconds, within 1 to 30: SDKs obey it, and a 120 blocks one for minutes."""
    try:
        seconds = float(value) if value else RETRY_AFTER_SECONDS
    except ValueError:  # an HTTP date
        seconds = RETRY_AFTER_SECONDS
    if not seconds >= 0:  # NaN too
        seconds = RETRY_AFTER_SECONDS
    return max(1, min(LONGEST_RETRY_AFTER_SECONDS, round(min(seconds, LONGEST_RETRY_AFTER_SECONDS))))


def rank(health: Health, now: float) -> int | None:
    """Who is preferred: 0 first, 1 after the others, 2 only where nobody else is; None takes no requests.

    A trial that is due ranks first: after healthy ones it would never come, and the endpoint not come back.
    """
    match health.state:
        case "healthy":
            return 0
        case "busy":
            return 1 if now < health.until else 0
        case "warming":
            return 2
        case "misconfigured" | "unhealthy":
            return None if now < health.until else 0

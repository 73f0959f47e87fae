"""Up or down: an endpoint's health as a pure state table.

    state          means                                          takes requests
    healthy        answers                                        yes
    busy           said 429: full for a moment                    yes, after the others
    warming        said 503: loading its model                    where the tier has no other
    misconfigured  said 401, 403 or 404: retrying achieves nothing  one trial after TRIAL_SECONDS
    unhealthy      `unhealthy_after` failures in a row            no; probes bring it back, or where there are
                                                                  none, a trial now and then

    evidence \\ state   healthy           busy      warming    misconfigured  unhealthy
    request answered    healthy           healthy   healthy    healthy        healthy
    probe answered      healthy           busy*     healthy    misconfigured  healthy after `healthy_after`
    failure             count and stay, unhealthy at `unhealthy_after`        unhealthy
    unreachable         as failure; and its machine may be asleep
    warming             warming           warming   warming    warming        warming
    busy                busy              busy      busy       busy           busy
    misconfigured       misconfigured     …         …          …              misconfigured
    probe refused       as misconfigured; or, where a request was answered although it was, as probe answered

    * until its time is over.

When it is probed next (`probe_at`): each `interval`. Once it is unhealthy or warming, after FIRST_PAUSE_SECONDS, and
then after twice the pause before, up to the interval, each with jitter. The pauses go on growing where it comes back
and goes down again without having answered a request: its probe tells less than it seems to. What is not probed gets
its trials at pauses that grow likewise, up to TRIAL_SECONDS.

Invariants: `failures` counts failures since the last success of any kind; an endpoint becomes "unhealthy" only
with `failures >= unhealthy_after`; a failure never makes it more preferred than it was.
"""

from __future__ import annotations

from math import inf
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

State = Literal["healthy", "busy", "warming", "misconfigured", "unhealthy"]
Evidence = Literal[
    "request_answered",
    "probe_answered",
    "failure",
    "unreachable",
    "warming",
    "busy",
    "misconfigured",
    "probe_refused",
]

RETRY_AFTER_SECONDS = 5
LONGEST_RETRY_AFTER_SECONDS = 30
TRIAL_SECONDS = 60.0
"""A misconfigured endpoint is asked again after this long: somebody may have put it right."""
FIRST_PAUSE_SECONDS = 1.0
"""What has just gone down is looked at again so soon: most servers that go away are being restarted."""
JITTER = 0.2
"""The part of a pause by which it is longer or shorter by chance, so that not all look at the same moment."""


class Health(Struct, frozen=True):
    """An endpoint's health. Times are those of the daemon's clock, in seconds; None is never.

    `until` is when being busy ends, or when an endpoint that takes no requests may be tried again. `on_trial` tells
    that a request is its trial. `asleep` tells that its machine gave no sign when it was last asked, not even that
    it refuses. `answers` tells that requests are answered whatever its probe is.
    """

    state: State = "healthy"
    failures: int = 0
    successes: int = 0
    until: float = 0.0
    probe_at: float = 0.0
    pause: float = 0.0
    on_trial: bool = False
    asleep: bool = False
    answers: bool = False
    last_check: float | None = None
    last_failure: float | None = None


class Policy(Struct, frozen=True):
    """How many results change a state, and how often one is looked for (`[health]`; `interval` in seconds).

    What is not probed gets a trial request now and then instead.
    """

    unhealthy_after: int = 3
    healthy_after: int = 1
    interval: float = 30.0
    probed: bool = True


def after(
    health: Health,
    evidence: Evidence,
    now: float,
    policy: Policy,
    *,
    busy_for: float = 0.0,
    jitter: float = 1.0,
) -> Health:
    """The health once `evidence` came in at `now`. `busy_for` is in seconds; `jitter` is a factor near 1."""
    if evidence == "request_answered":  # most of all evidence
        answers = health.answers or health.state == "misconfigured"
        return Health(
            "healthy",
            probe_at=health.probe_at,
            answers=answers,
            last_check=now,
            last_failure=health.last_failure,
        )
    known = replace(health, last_check=now, asleep=evidence == "unreachable", on_trial=False)
    known = _judged(known, evidence, now, policy, busy_for)
    if known.state == "unhealthy" and not policy.probed:
        return _until_trial(known, health, now, jitter)
    if known.state != health.state and known.state in {"unhealthy", "warming"}:
        # One that loads is alive, whatever was before.
        return _with_pause(known, 0.0 if known.state == "warming" else known.pause, now, policy, jitter)
    return known


def _judged(health: Health, evidence: Evidence, now: float, policy: Policy, busy_for: float) -> Health:
    match evidence:
        case "probe_answered":
            return _probe_answered(health, now, policy)
        case "failure" | "unreachable":
            failures = health.failures + 1
            health = replace(health, failures=failures, successes=0, last_failure=now)
            if failures < policy.unhealthy_after and health.state != "unhealthy":
                return health
            return replace(health, state="unhealthy", until=inf)
        case "warming":
            return replace(health, state="warming", last_failure=now)
        case "busy":
            return replace(health, state="busy", until=now + busy_for)
        case "probe_refused" if health.answers:
            return _probe_answered(health, now, policy)
        case _:  # misconfigured: a request says so, or a probe is refused
            # Only being asked puts the trial off (`asked`): probes that say the same again must not.
            until = health.until if health.state == "misconfigured" else now + TRIAL_SECONDS
            return replace(health, state="misconfigured", until=until, last_failure=now, answers=False)


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
        case "healthy":
            return replace(health, successes=0, pause=0.0)
        case _:
            return replace(health, state="healthy", successes=0)


def _until_trial(known: Health, before: Health, now: float, jitter: float) -> Health:
    """When an unhealthy endpoint that is not probed may be tried: later with each trial that fails."""
    if before.state != "unhealthy" or before.until == inf:
        pause = FIRST_PAUSE_SECONDS
    elif before.on_trial:
        pause = min(TRIAL_SECONDS, 2 * before.pause)
    else:  # it was sent before the endpoint went down
        return replace(known, until=before.until)
    return replace(known, pause=pause, until=now + pause * jitter)


def probed(health: Health, now: float, policy: Policy, *, jitter: float = 1.0) -> Health:
    """The health of an endpoint whose probe has just ended, with the time of the next one."""
    if health.state not in {"unhealthy", "warming"}:
        return replace(health, probe_at=now + policy.interval)
    if health.probe_at > now:  # it has only just gone down
        return health
    # One that has begun to answer is on its way back.
    return _with_pause(health, 0.0 if health.successes else health.pause, now, policy, jitter)


def _with_pause(health: Health, last: float, now: float, policy: Policy, jitter: float) -> Health:
    """With the time of its next probe, after twice the `last` pause."""
    pause = min(max(FIRST_PAUSE_SECONDS, 2 * last), policy.interval)
    return replace(health, pause=pause, probe_at=now + pause * jitter)


def asked(health: Health, now: float) -> Health:
    """The health of an endpoint that a request goes to now: of its trial, there is but one at a time.

    It ends with what the endpoint says, or, where that says nothing of its health, after TRIAL_SECONDS.
    """
    if health.state not in {"misconfigured", "unhealthy"} or health.until == inf:
        return health
    return replace(health, until=now + TRIAL_SECONDS, on_trial=True)


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

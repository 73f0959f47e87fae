"""The state table of health.py, row by row, and what holds after any evidence whatever."""

from __future__ import annotations

from math import inf
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from octoroute.fleet.health import (
    FIRST_PAUSE_SECONDS,
    JITTER,
    TRIAL_SECONDS,
    Evidence,
    Health,
    Policy,
    State,
    after,
    asked,
    probed,
    rank,
)

NOW = 1000.0
BUSY_FOR = 7.0
POLICY = Policy(unhealthy_after=3, healthy_after=2)
UNPROBED = Policy(unhealthy_after=3, healthy_after=2, probed=False)

HEALTHY = Health("healthy", failures=1)
BUSY = Health("busy", failures=1, until=NOW + 5)
BUSY_OVER = Health("busy", failures=1, until=NOW)
WARMING = Health("warming", failures=1)
MISCONFIGURED = Health("misconfigured", failures=1, until=NOW + 30)
UNHEALTHY = Health("unhealthy", failures=3, until=inf)

TABLE: list[tuple[Evidence, list[tuple[Health, State]]]] = [
    (
        "request_answered",
        [(h, "healthy") for h in (HEALTHY, BUSY, BUSY_OVER, WARMING, MISCONFIGURED, UNHEALTHY)],
    ),
    (
        "probe_answered",
        [
            (HEALTHY, "healthy"),
            (BUSY, "busy"),
            (BUSY_OVER, "healthy"),
            (WARMING, "healthy"),
            (MISCONFIGURED, "misconfigured"),
            (UNHEALTHY, "unhealthy"),
            (replace(UNHEALTHY, successes=1), "healthy"),
        ],
    ),
    (
        "failure",
        [
            (HEALTHY, "healthy"),
            (BUSY, "busy"),
            (WARMING, "warming"),
            (MISCONFIGURED, "misconfigured"),
            (UNHEALTHY, "unhealthy"),
            # It was about to come back: one failure, and the successes count anew.
            (replace(UNHEALTHY, failures=0, successes=1), "unhealthy"),
            *((replace(h, failures=2), "unhealthy") for h in (HEALTHY, BUSY, WARMING, MISCONFIGURED)),
        ],
    ),
    ("warming", [(h, "warming") for h in (HEALTHY, BUSY, WARMING, MISCONFIGURED, UNHEALTHY)]),
    ("busy", [(h, "busy") for h in (HEALTHY, BUSY, WARMING, MISCONFIGURED, UNHEALTHY)]),
    (
        "unreachable",
        [
            (HEALTHY, "healthy"),
            (BUSY, "busy"),
            (UNHEALTHY, "unhealthy"),
            (replace(HEALTHY, failures=2), "unhealthy"),
        ],
    ),
    ("misconfigured", [(h, "misconfigured") for h in (HEALTHY, BUSY, WARMING, MISCONFIGURED, UNHEALTHY)]),
    (
        "probe_refused",
        [
            *((h, "misconfigured") for h in (HEALTHY, BUSY, WARMING, MISCONFIGURED, UNHEALTHY)),
            *((replace(h, answers=True), h.state) for h in (HEALTHY, BUSY)),
            (replace(WARMING, answers=True), "healthy"),
            (replace(UNHEALTHY, answers=True, successes=1), "healthy"),
        ],
    ),
]
CELLS = [(evidence, before, state) for evidence, row in TABLE for before, state in row]


@pytest.mark.parametrize(("evidence", "before", "state"), CELLS)
def test_the_state_table(evidence: Evidence, before: Health, state: State) -> None:
    assert after(before, evidence, NOW, POLICY, busy_for=BUSY_FOR).state == state


@pytest.mark.parametrize(
    ("health", "expected"),
    [
        (HEALTHY, 0),
        (BUSY, 1),
        (BUSY_OVER, 0),
        (WARMING, 2),
        (MISCONFIGURED, None),
        (replace(MISCONFIGURED, until=NOW), 0),
        (UNHEALTHY, None),
        (replace(UNHEALTHY, until=NOW + 1), None),
        (replace(UNHEALTHY, until=NOW), 0),
    ],
)
def test_who_takes_requests(health: Health, expected: int | None) -> None:
    assert rank(health, NOW) == expected


def test_a_new_endpoint_takes_requests_and_was_never_checked() -> None:
    assert rank(Health(), NOW) == 0
    assert (Health().last_check, Health().last_failure) == (None, None)


def test_busy_ends_by_time() -> None:
    health = after(Health(), "busy", NOW, POLICY, busy_for=BUSY_FOR)
    assert [rank(health, NOW + seconds) for seconds in (0, BUSY_FOR - 0.1, BUSY_FOR)] == [1, 1, 0]
    assert health.failures == 0  # busy is no failure
    assert after(health, "probe_answered", NOW + 1, POLICY).state == "busy"
    assert after(health, "probe_answered", NOW + BUSY_FOR, POLICY).state == "healthy"


def test_failing_while_busy_or_loading_does_not_make_an_endpoint_preferred() -> None:
    """A loading server that then refuses connections was sent everybody's requests first."""
    for evidence in ("busy", "warming"):
        health = after(Health(), evidence, NOW, POLICY, busy_for=BUSY_FOR)
        worse = after(health, "failure", NOW + 1, POLICY)
        assert rank(worse, NOW + 1) == rank(health, NOW + 1) != 0


def test_an_answered_probe_does_not_prove_the_key() -> None:
    health = after(Health(), "misconfigured", NOW, POLICY)
    for tick in range(1, 10):
        health = after(health, "probe_answered", NOW + tick, POLICY)
        assert (health.state, rank(health, NOW + tick)) == ("misconfigured", None)
    assert after(health, "request_answered", NOW + 10, POLICY).state == "healthy"


def test_a_misconfigured_endpoint_gets_one_trial_at_a_time() -> None:
    health = after(Health(), "misconfigured", NOW, POLICY)
    due = NOW + TRIAL_SECONDS
    assert [rank(health, due - 0.1), rank(health, due)] == [None, 0]
    health = asked(health, due)
    assert [rank(health, due), rank(health, due + TRIAL_SECONDS - 0.1)] == [None, None]
    health = after(health, "misconfigured", due + 1, POLICY)
    assert [rank(health, due + TRIAL_SECONDS - 0.1), rank(health, due + TRIAL_SECONDS)] == [None, 0]


def test_probes_do_not_put_the_trial_off() -> None:
    """A server without a list of models answers every probe with 404, and chat completions all the same."""
    health = Health()
    for tick in range(0, 121, 30):
        health = after(health, "misconfigured", NOW + tick, POLICY)
    assert rank(health, NOW + 120) == 0


def test_a_probe_that_is_refused_where_requests_are_answered_is_no_evidence() -> None:
    """A server without a list of models flapped: its requests made it healthy, its probes misconfigured."""
    health = after(Health(), "probe_refused", NOW, POLICY)
    health = after(asked(health, NOW + TRIAL_SECONDS), "request_answered", NOW + TRIAL_SECONDS, POLICY)
    for tick in range(5):
        health = after(health, "probe_refused", NOW + 100 + tick, POLICY)
        assert rank(health, NOW + 100 + tick) == 0
    health = after(health, "misconfigured", NOW + 200, POLICY)  # until a request says so itself
    assert after(health, "probe_refused", NOW + 201, POLICY).state == "misconfigured"


def test_an_unprobed_endpoint_gets_trials_at_growing_pauses() -> None:
    health = Health()
    for tick in range(3):
        assert rank(health, NOW + tick) == 0
        health = after(health, "failure", NOW + tick, UNPROBED)
    now = NOW + 2
    for pause in (1, 2, 4, 8, 16, 32, 60, 60):
        assert [rank(health, now + pause - 0.1), rank(health, now + pause)] == [None, 0]
        health = asked(health, now + pause)
        assert rank(health, now + pause + TRIAL_SECONDS - 0.1) is None  # one at a time, however long it takes
        now += pause + 5
        health = after(health, "failure", now, UNPROBED)
    health = after(
        after(health, "request_answered", now, UNPROBED), "failure", now, replace(UNPROBED, unhealthy_after=1)
    )
    assert [rank(health, now + 0.9), rank(health, now + 1)] == [None, 0]


def test_failures_of_requests_sent_before_it_went_down_put_no_trial_off() -> None:
    health = Health()
    for _ in range(20):
        health = after(health, "failure", NOW, UNPROBED)
    assert rank(health, NOW + FIRST_PAUSE_SECONDS) == 0


def test_a_trial_that_says_nothing_of_its_health_gives_way_to_another() -> None:
    health = Health("unhealthy", failures=3, until=NOW)
    assert rank(asked(health, NOW), NOW + TRIAL_SECONDS) == 0


# When it is probed


def pauses(health: Health, evidence: Evidence, count: int, policy: Policy = POLICY) -> list[float]:
    """How long after each probe that found `evidence` the next one comes, from the one that is due now."""
    now, found = health.probe_at, []
    for _ in range(count):
        health = probed(after(health, evidence, now, policy), now, policy)
        found.append(round(health.probe_at - now, 6))
        now = health.probe_at
    return found


def test_the_healthy_are_probed_at_the_interval() -> None:
    assert pauses(Health(), "probe_answered", 3) == [30, 30, 30]
    assert pauses(Health(), "misconfigured", 3) == [30, 30, 30]
    assert pauses(Health(), "busy", 3) == [30, 30, 30]


@pytest.mark.parametrize("evidence", ["failure", "unreachable", "warming"])
def test_who_goes_down_is_probed_soon_and_then_ever_more_rarely(evidence: Evidence) -> None:
    policy = replace(POLICY, unhealthy_after=1)
    assert pauses(Health(), evidence, 8, policy) == [1, 2, 4, 8, 16, 30, 30, 30]
    assert pauses(Health(), evidence, 3, replace(policy, interval=0.5)) == [0.5, 0.5, 0.5]


def test_a_request_that_finds_it_down_has_it_probed_soon() -> None:
    health = probed(after(Health(), "probe_answered", NOW, POLICY), NOW, POLICY)
    for _ in range(3):
        health = after(health, "failure", NOW + 1, POLICY)
    assert health.probe_at == NOW + 1 + FIRST_PAUSE_SECONDS
    for tick in range(10):  # those who were under way have no say in it
        assert after(health, "failure", NOW + 1 + tick / 10, POLICY).probe_at == health.probe_at


def test_one_that_begins_to_answer_is_probed_soon_again() -> None:
    health = replace(UNHEALTHY, pause=30.0, probe_at=NOW)
    health = probed(after(health, "probe_answered", NOW, POLICY), NOW, POLICY)
    assert (health.state, health.probe_at) == ("unhealthy", NOW + FIRST_PAUSE_SECONDS)


def test_one_whose_probes_answer_but_no_request_comes_back_ever_more_rarely() -> None:
    health, now, found = Health(), NOW, []
    policy = replace(POLICY, healthy_after=1)
    for _ in range(7):
        for _ in range(3):
            health = after(health, "failure", now, policy)
        found.append(health.probe_at - now)
        now = health.probe_at
        health = probed(after(health, "probe_answered", now, policy), now, policy)
        assert rank(health, now) == 0
    assert found == [1, 2, 4, 8, 16, 30, 30]
    health = after(health, "request_answered", now, policy)
    for _ in range(3):
        health = after(health, "failure", now, policy)
    assert health.probe_at - now == FIRST_PAUSE_SECONDS


def test_only_silence_is_sleep() -> None:
    health = after(Health(), "unreachable", NOW, POLICY)
    assert health.asleep
    others: list[Evidence] = [
        "failure",
        "probe_answered",
        "request_answered",
        "busy",
        "warming",
        "probe_refused",
    ]
    assert not any(after(health, evidence, NOW, POLICY).asleep for evidence in others)


def test_a_probed_endpoint_waits_for_its_probe() -> None:
    health = Health()
    for tick in range(3):
        health = after(health, "failure", NOW + tick, POLICY)
    assert rank(health, NOW + 1e9) is None
    assert asked(health, NOW + 5) == health  # as a last resort
    health = after(health, "probe_answered", NOW + 5, POLICY)
    assert (health.state, health.failures) == ("unhealthy", 0)
    assert after(health, "probe_answered", NOW + 6, POLICY).state == "healthy"


def test_being_asked_changes_nothing_else() -> None:
    for health in (HEALTHY, BUSY, WARMING, UNHEALTHY):
        assert asked(health, NOW) == health


def test_times_are_noted() -> None:
    assert after(Health(), "probe_answered", NOW, POLICY).last_check == NOW
    for evidence in ("failure", "warming", "misconfigured"):
        health = after(Health(), evidence, NOW, POLICY)
        assert (health.last_check, health.last_failure) == (NOW, NOW)
    assert after(Health(), "busy", NOW, POLICY).last_failure is None


# Any evidence, at any time

# Failures more often: what counts takes several in a row.
EVIDENCE: st.SearchStrategy[Evidence] = st.sampled_from([*get_args(Evidence), "failure", "failure"])
STEPS = st.lists(st.tuples(EVIDENCE, st.floats(0, 100), st.floats(0, 30)), max_size=40)
POLICIES = st.builds(Policy, st.integers(1, 4), st.integers(1, 3), st.floats(0.1, 100), st.booleans())
FAILURES = {"failure", "unreachable"}


@given(STEPS, POLICIES)
def test_what_holds_after_any_evidence(steps: list[tuple[Evidence, float, float]], policy: Policy) -> None:
    health, now = Health(), 0.0
    failures = successes = 0  # in a row, as the docstring counts them
    for evidence, pause, busy_for in steps:
        now += pause
        if rank(health, now) is not None:
            health = asked(health, now)
        before = health
        health = after(before, evidence, now, policy, busy_for=busy_for)
        in_spite = evidence == "probe_refused" and before.answers
        succeeded = evidence in {"request_answered", "probe_answered"} or in_spite
        failures = 0 if succeeded else failures + (evidence in FAILURES)
        successes = 0 if evidence in FAILURES else successes + (evidence == "probe_answered")

        assert health.failures == failures
        assert health.last_check == now
        if health.state == "unhealthy" != before.state:
            assert evidence in FAILURES
            assert failures >= policy.unhealthy_after
        if before.state == "unhealthy" and evidence == "probe_answered":
            assert health.state == "unhealthy" or health.failures == 0
        if failures >= policy.unhealthy_after and evidence in FAILURES:
            assert health.state == "unhealthy"
        if evidence == "request_answered":
            assert (health.state, rank(health, now)) == ("healthy", 0)
        if before.state == "misconfigured" and evidence == "probe_answered":
            assert health.state == "misconfigured"
        if evidence in FAILURES:
            ranks = [3 if of is None else of for of in (rank(before, now), rank(health, now))]
            assert ranks[1] >= ranks[0]
        # Nothing is lost for ever: probed, it comes back with probes; else, or misconfigured, with a trial.
        later = now + TRIAL_SECONDS
        if health.state == "unhealthy" and policy.probed:
            back = health
            for _ in range(policy.healthy_after):
                back = after(back, "probe_answered", later, policy)
            assert rank(back, later) == 0
        else:
            assert rank(health, later) is not None


@given(STEPS, POLICIES, st.floats(1 - JITTER, 1 + JITTER))
def test_a_probe_is_always_due_and_never_at_once(
    steps: list[tuple[Evidence, float, float]], policy: Policy, jitter: float
) -> None:
    """However it went, a dead server costs a probe an interval, and no endpoint is forgotten."""
    policy, health, now = replace(policy, probed=True), Health(), 0.0
    least, most = min(FIRST_PAUSE_SECONDS, policy.interval) * (1 - JITTER), policy.interval * (1 + JITTER)
    for evidence, pause, busy_for in steps:
        now = max(now + pause, health.probe_at)
        health = after(health, evidence, now, policy, busy_for=busy_for, jitter=jitter)
        health = probed(health, now, policy, jitter=jitter)
        assert least - 1e-6 <= health.probe_at - now <= most + 1e-6


@given(STEPS, POLICIES)
def test_healthy_after_is_about_probes_in_a_row(
    steps: list[tuple[Evidence, float, float]], policy: Policy
) -> None:
    health, now, in_row = Health("unhealthy", failures=9, until=inf), 0.0, 0
    for evidence, pause, _ in steps:
        if evidence not in {"failure", "probe_answered"}:
            continue
        now += pause
        health = after(health, evidence, now, policy)
        in_row = in_row + 1 if evidence == "probe_answered" else 0
        if in_row >= policy.healthy_after:
            assert health.state == "healthy"
            return
        assert health.state == "unhealthy"

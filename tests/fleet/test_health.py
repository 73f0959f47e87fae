"""The state table of health.py, row by row, and what holds after any evidence whatever."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from octoroute.fleet.health import TRIAL_SECONDS, Evidence, Health, Policy, State, after, asked, rank

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
    ("misconfigured", [(h, "misconfigured") for h in (HEALTHY, BUSY, WARMING, MISCONFIGURED, UNHEALTHY)]),
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


def test_an_unprobed_endpoint_gets_a_trial() -> None:
    health = Health()
    for tick in range(3):
        assert rank(health, NOW + tick) == 0
        health = after(health, "failure", NOW + tick, UNPROBED)
    due = NOW + 2 + TRIAL_SECONDS
    assert [rank(health, due - 0.1), rank(health, due)] == [None, 0]
    health = after(asked(health, due), "failure", due + 1, UNPROBED)
    assert [rank(health, due + TRIAL_SECONDS), rank(health, due + 1 + TRIAL_SECONDS)] == [None, 0]


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

EVIDENCE: st.SearchStrategy[Evidence] = st.sampled_from(
    [
        "request_answered",
        "probe_answered",
        "failure",
        "failure",
        "failure",
        "warming",
        "busy",
        "misconfigured",
    ]
)
STEPS = st.lists(st.tuples(EVIDENCE, st.floats(0, 100), st.floats(0, 30)), max_size=40)
POLICIES = st.builds(Policy, st.integers(1, 4), st.integers(1, 3), st.booleans())


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
        succeeded = evidence in {"request_answered", "probe_answered"}
        failures = 0 if succeeded else failures + (evidence == "failure")
        successes = 0 if evidence == "failure" else successes + (evidence == "probe_answered")

        assert health.failures == failures
        assert health.last_check == now
        if health.state == "unhealthy" != before.state:
            assert evidence == "failure"
            assert failures >= policy.unhealthy_after
        if before.state == "unhealthy" and evidence == "probe_answered":
            assert health.state == "unhealthy" or health.failures == 0
        if failures >= policy.unhealthy_after and evidence == "failure":
            assert health.state == "unhealthy"
        if evidence == "request_answered":
            assert (health.state, rank(health, now)) == ("healthy", 0)
        if before.state == "misconfigured" and evidence == "probe_answered":
            assert health.state == "misconfigured"
        if evidence == "failure":
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

"""The metrics against cases counted by hand, and what holds for every data set."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octoroute.evaluation import metrics
from octoroute.evaluation.metrics import (
    BALANCED,
    BASELINES,
    DEEP,
    FAST,
    METRICS,
    Figures,
    Measure,
    Sample,
    confusion,
)


def measured(*samples: Sample) -> dict[str, Figures]:
    return Measure(samples).everything()


def two_tier(fast: float, deep: float, *, chosen: int = DEEP, length: int = 1) -> Sample:
    return Sample(chosen, chosen, length, (fast, fast, deep))


# By hand

FOUR = (
    two_tier(0, 1, length=4),
    two_tier(1, 1, length=1),
    two_tier(0, 1, length=3, chosen=FAST),
    two_tier(0, 0, length=2, chosen=FAST),
)
"""Deep helps in the first and the third: PGR is 0, ½, ½, 1, 1 after each step of a quarter; by length 0, ½, 1, 1, 1."""


def test_four_rows_by_hand() -> None:
    found = measured(*FOUR)
    own = found["strategy"]
    assert list(own.shares) == [0.5, 0, 0.5]
    assert own.quality == 0.5  # 1 + 1 + 0 + 0
    assert own.quality_kept == pytest.approx(0.5 / 0.75)
    assert own.deep_calls_saved == 0.5
    assert own.pgr == pytest.approx((0.5 - 0.25) / (0.75 - 0.25))
    assert own.apgr == pytest.approx((0.25 + 0.5 + 0.75 + 1) / 4)  # trapezoids
    assert own.cpt50 == pytest.approx(0.25)
    assert own.cpt80 == pytest.approx(0.5 + 0.25 * 0.6)


def test_what_deep_adds_by_hand() -> None:
    # Of the quality of always deep, 0.75: where deep was named, it helps in one of two, and so where fast was.
    assert measured(*FOUR)["strategy"].gains == pytest.approx({"fast": 2 / 3, "deep": 2 / 3})
    resampled = Measure(FOUR).on(b"\x01\x00\x00\x01")
    assert resampled["strategy"].gains == pytest.approx({"fast": 0, "deep": 2})
    assert measured(two_tier(1, 0))["strategy"].gains == {}  # of nothing


def test_the_baselines_by_hand() -> None:
    found = measured(*FOUR)
    assert found["random"].quality == pytest.approx(0.5 * 0.25 + 0.5 * 0.75)
    assert (found["random"].apgr, found["random"].cpt50, found["random"].cpt80) == (0.5, 0.5, 0.8)
    # The two longest go to deep: the first and the third. Fast can do the second; nobody can do the last.
    assert found["length"].quality == pytest.approx((1 + 1 + 1 + 0) / 4)
    assert found["length"].apgr == pytest.approx((0.25 + 0.75 + 1 + 1) / 4)
    assert (found["always fast"].quality, found["always fast"].pgr) == (0.25, 0)
    assert (found["always deep"].quality, found["always deep"].pgr) == (0.75, 1)
    oracle = found["oracle"]
    assert (oracle.shares, oracle.quality) == ((0.5, 0, 0.5), 0.75)
    assert oracle.apgr == pytest.approx(0.5 * 0.5 + 0.5 * 1)
    assert oracle.cpt50 == pytest.approx(0.25)


def test_equal_lengths_in_one_tier_are_in_no_order() -> None:
    rows = [two_tier(0, 1, length=5), two_tier(1, 0, length=5), two_tier(0, 1, length=5)]
    found = measured(*rows)["strategy"]
    assert [found.apgr, found.cpt50, found.cpt80] == [pytest.approx(each) for each in (0.5, 0.5, 0.8)]


def test_a_part_of_equal_lengths_goes_to_deep_as_if_drawn() -> None:
    rows = [
        two_tier(0, 1, length=7, chosen=DEEP),
        two_tier(0, 0, length=7, chosen=FAST),
        two_tier(1, 1, length=7, chosen=FAST),
        two_tier(0, 0, length=1, chosen=FAST),
    ]
    # One of four goes to deep, one of the three long ones: its gain of 1 comes with a chance of a third.
    assert measured(*rows)["length"].quality == pytest.approx((1 + 1 / 3) / 4)


def test_three_tiers() -> None:
    rows = [
        Sample(BALANCED, BALANCED, 10, (0, 1, 1)),
        Sample(FAST, FAST, 30, (1, 0, 1)),
        Sample(DEEP, DEEP, 20, (0, 0, 1)),
        Sample(BALANCED, BALANCED, 40, (0, 1, 0)),
    ]
    found = measured(*rows)
    assert found["strategy"].shares == (0.25, 0.5, 0.25)
    assert found["strategy"].quality == 1
    assert found["strategy"].quality_kept == pytest.approx(4 / 3)
    assert found["oracle"].shares == (0.25, 0.5, 0.25)
    # Longest first: 40 to deep (0), 30 and 20 to balanced (0, 0), 10 to fast (0).
    assert found["length"].quality == 0
    assert found["random"].quality == pytest.approx(0.25 * 0.25 + 0.5 * 0.5 + 0.25 * 0.75)


def test_the_order_is_the_tier_and_within_a_tier_the_longest_first() -> None:
    rows = [
        two_tier(0, 0, chosen=DEEP, length=1),
        two_tier(0, 1, chosen=DEEP, length=2),
        two_tier(0, 0, chosen=FAST, length=9),
        two_tier(0, 0, chosen=FAST, length=8),
    ]
    found = measured(*rows)
    assert found["strategy"].apgr == pytest.approx(0.25 * 0.5 + 0.75)
    assert found["tiers"].apgr == pytest.approx(0.5 * 0.5 + 0.5)
    assert found["tiers"].quality == found["strategy"].quality
    assert [point.quality for point in Measure(rows).curves()["strategy"]] == [0, 0.25, 0.25, 0.25, 0.25]


def test_the_order_is_what_was_asked_for_not_what_stands_in_for_it() -> None:
    rows = [Sample(DEEP, BALANCED, 9, (0, 0, 0)), Sample(DEEP, DEEP, 1, (0, 0, 1))]
    found = measured(*rows)
    assert list(found["strategy"].shares) == [0, 0, 1]
    assert found["strategy"].apgr == pytest.approx(0.5 * 0.5 + 0.5)
    assert found["tiers"].apgr == pytest.approx(0.5 * 0.5 + 0.5)


def test_where_deep_is_no_better_nothing_is_recovered() -> None:
    found = measured(two_tier(1, 0), two_tier(0, 0))
    for name in ("strategy", "random", "length", "oracle"):
        assert (found[name].pgr, found[name].apgr, found[name].cpt50) == (None, None, None)
    assert found["strategy"].quality_kept is None


def test_confusion() -> None:
    table = confusion([("fast", "fast"), ("fast", "deep"), ("deep", "deep"), ("deep", "deep")])
    assert table["fast"] == {"fast": 1, "balanced": 0, "deep": 1}
    assert table["deep"]["deep"] == 2
    assert sum(table["balanced"].values()) == 0


# For every data set

qualities = st.sampled_from([0.0, 0.25, 1.0])
samples = st.lists(
    st.builds(
        Sample,
        st.sampled_from([FAST, BALANCED, DEEP]),
        st.sampled_from([FAST, BALANCED, DEEP]),
        st.integers(0, 5),
        st.tuples(qualities, qualities, qualities),
    ),
    min_size=1,
    max_size=12,
)


@given(samples)
def test_nothing_is_better_than_the_oracle(rows: list[Sample]) -> None:
    found = measured(*rows)
    for name in ("strategy", *BASELINES):
        assert found[name].quality <= found["oracle"].quality + 1e-9
        value, best = found[name].apgr, found["oracle"].apgr
        assert value is None or (best is not None and value <= best + 1e-9)
        assert sum(found[name].shares) == pytest.approx(1)
        assert 0 <= found[name].deep_calls_saved <= 1
    for name in ("strategy", "length", "oracle"):
        half, most = found[name].cpt50, found[name].cpt80
        assert half is None or most is None or 0 <= half <= most <= 1


@given(samples)
def test_always_deep_keeps_everything_and_saves_nothing(rows: list[Sample]) -> None:
    found = measured(*rows)["always deep"]
    assert found.quality_kept in {1, None}
    assert found.deep_calls_saved == 0
    assert found.pgr in {1, None}


@given(samples)
def test_only_the_order_of_lengths_counts(rows: list[Sample]) -> None:
    assert measured(*(row._replace(length=row.length**3 * 10 + 1) for row in rows)) == measured(*rows)


@given(samples)
def test_the_order_of_rows_does_not_count(rows: list[Sample]) -> None:
    for metric in METRICS:
        forwards, backwards = (getattr(measured(*each)["strategy"], metric) for each in (rows, rows[::-1]))
        assert forwards == (None if forwards is None else pytest.approx(backwards))


@given(samples, st.integers(0, 3))
def test_a_row_that_weighs_twice_is_two_rows(rows: list[Sample], place: int) -> None:
    at = place % len(rows)
    weights = bytes(2 if row == at else 1 for row in range(len(rows)))
    weighed, doubled = Measure(rows).on(weights), measured(*rows, rows[at])
    for name, figures in weighed.items():
        for metric in METRICS:
            value = getattr(figures, metric)
            assert getattr(doubled[name], metric) == (None if value is None else pytest.approx(value))


def made_up(size: int, *, skill: float, of_length: float = 0, seed: int = 1) -> list[Sample]:
    """Rows in which deep helps where a hidden difficulty is high.

    The tier knows of it as far as `skill` says, the length as far as `of_length` does, both from 0 to 1.
    """
    random = Random(seed)
    rows = []
    for _ in range(size):
        hard = random.random()
        seems, long = (known * hard + (1 - known) * random.random() for known in (skill, of_length))
        fast, deep = float(random.random() > hard), float(random.random() > hard / 3)
        rows.append(two_tier(fast, deep, chosen=int(3 * seems), length=int(10**6 * long)))
    return rows


def test_many_lengths_taken_together_change_little(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = made_up(5000, skill=0.3, of_length=0.7)
    coarse = measured(*rows)
    assert len(Measure(rows).curves()["strategy"]) == metrics.MOST_STEPS + 1
    monkeypatch.setattr(metrics, "MOST_STEPS", len(rows))
    fine = measured(*rows)
    for name in ("strategy", "length"):
        assert coarse[name].apgr == pytest.approx(fine[name].apgr, abs=0.001)

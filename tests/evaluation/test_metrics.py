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


def two_tier(score: float, fast: float, deep: float, *, chosen: int = DEEP, length: int = 1) -> Sample:
    return Sample(chosen, score, length, (fast, fast, deep), chosen)


# By hand

FOUR = (
    two_tier(4, 0, 1, length=1),
    two_tier(3, 1, 1, length=2),
    two_tier(2, 0, 1, length=3, chosen=FAST),
    two_tier(1, 0, 0, length=4, chosen=FAST),
)
"""Deep helps in the first and the third: PGR is 0, ½, ½, 1, 1 after each step of a quarter."""


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


def test_the_baselines_by_hand() -> None:
    found = measured(*FOUR)
    assert found["random"].quality == pytest.approx(0.5 * 0.25 + 0.5 * 0.75)
    assert (found["random"].apgr, found["random"].cpt50, found["random"].cpt80) == (0.5, 0.5, 0.8)
    # The two longest go to deep: the last, which nobody can do, and the third; the second is fast's.
    assert found["length"].quality == pytest.approx((0 + 1 + 1 + 0) / 4)
    assert found["length"].apgr == pytest.approx((0 + 0.25 + 0.5 + 0.75) / 4)
    assert (found["always fast"].quality, found["always fast"].pgr) == (0.25, 0)
    assert (found["always deep"].quality, found["always deep"].pgr) == (0.75, 1)
    oracle = found["oracle"]
    assert (oracle.shares, oracle.quality) == ((0.5, 0, 0.5), 0.75)
    assert oracle.apgr == pytest.approx(0.5 * 0.5 + 0.5 * 1)
    assert oracle.cpt50 == pytest.approx(0.25)


def test_equal_scores_are_in_no_order() -> None:
    rows = [two_tier(0, 0, 1, length=5), two_tier(0, 1, 0, length=5), two_tier(0, 0, 1, length=5)]
    found = measured(*rows)["strategy"]
    assert [found.apgr, found.cpt50, found.cpt80] == [pytest.approx(each) for each in (0.5, 0.5, 0.8)]


def test_a_part_of_equal_lengths_goes_to_deep_as_if_drawn() -> None:
    rows = [
        two_tier(0, 0, 1, length=7, chosen=DEEP),
        two_tier(0, 0, 0, length=7, chosen=FAST),
        two_tier(0, 1, 1, length=7, chosen=FAST),
        two_tier(0, 0, 0, length=1, chosen=FAST),
    ]
    # One of four goes to deep, one of the three long ones: its gain of 1 comes with a chance of a third.
    assert measured(*rows)["length"].quality == pytest.approx((1 + 1 / 3) / 4)


def test_three_tiers() -> None:
    rows = [
        Sample(BALANCED, 1.5, 10, (0, 1, 1), BALANCED),
        Sample(FAST, 0.5, 30, (1, 0, 1), FAST),
        Sample(DEEP, 2.5, 20, (0, 0, 1), DEEP),
        Sample(BALANCED, 1.2, 40, (0, 1, 0), BALANCED),
    ]
    found = measured(*rows)
    assert found["strategy"].shares == (0.25, 0.5, 0.25)
    assert found["strategy"].quality == 1
    assert found["strategy"].quality_kept == pytest.approx(4 / 3)
    assert found["oracle"].shares == (0.25, 0.5, 0.25)
    # Longest first: 40 to deep (0), 30 and 20 to balanced (0, 0), 10 to fast (0).
    assert found["length"].quality == 0
    assert found["random"].quality == pytest.approx(0.25 * 0.25 + 0.5 * 0.5 + 0.25 * 0.75)


def test_the_tiers_alone_are_an_order_in_three_steps() -> None:
    rows = [
        two_tier(2.1, 0, 0, chosen=DEEP),
        two_tier(2.9, 0, 1, chosen=DEEP),
        two_tier(0.5, 0, 0, chosen=FAST),
        two_tier(0.1, 0, 0, chosen=FAST),
    ]
    found = measured(*rows)
    assert found["strategy"].apgr == pytest.approx(0.25 * 0.5 + 0.75)
    assert found["tiers"].apgr == pytest.approx(0.5 * 0.5 + 0.5)
    assert found["tiers"].quality == found["strategy"].quality


def test_where_deep_is_no_better_nothing_is_recovered() -> None:
    found = measured(two_tier(1, 1, 0), two_tier(0, 0, 0))
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
        st.floats(0, 3, width=16),
        st.integers(0, 5),
        st.tuples(qualities, qualities, qualities),
        st.sampled_from([FAST, BALANCED, DEEP]),
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
def test_only_the_order_of_scores_counts(rows: list[Sample]) -> None:
    stretched = [row._replace(score=row.score**3 * 10 + 1) for row in rows]
    if len({row.score for row in rows}) == len({row.score for row in stretched}):
        assert measured(*stretched) == measured(*rows)


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


def made_up(size: int, *, skill: float, seed: int = 1) -> list[Sample]:
    """Rows in which deep helps where a hidden difficulty is high; the score knows of it as far as `skill` says."""
    random = Random(seed)
    rows = []
    for _ in range(size):
        hard = random.random()
        score = skill * hard + (1 - skill) * random.random()
        rows.append(
            two_tier(
                score,
                float(random.random() > hard),
                float(random.random() > hard / 3),
                length=random.randrange(10**6),
            )
        )
    return rows


def test_many_scores_taken_together_change_little(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = made_up(5000, skill=0.7)
    coarse = measured(*rows)["strategy"].apgr
    monkeypatch.setattr(metrics, "MOST_STEPS", len(rows))
    assert coarse == pytest.approx(measured(*rows)["strategy"].apgr, abs=0.001)

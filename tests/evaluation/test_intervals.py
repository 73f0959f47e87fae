"""The bootstrap: its intervals hold what they should, are as wide as they should be, and are the same every time."""

from __future__ import annotations

from random import Random
from statistics import fmean, pvariance

import pytest

from octoroute.evaluation import intervals
from octoroute.evaluation.intervals import Estimate, estimates, poisson_weights, quantile
from octoroute.evaluation.metrics import DEEP
from tests.evaluation.test_metrics import FOUR, made_up, two_tier


def test_a_random_order_has_an_apgr_of_about_a_half() -> None:
    standings, differences, _ = estimates(made_up(2000, skill=0), resamples=200)
    apgr = standings["strategy"].metrics["apgr"]
    assert apgr.low is not None
    assert apgr.high is not None
    assert apgr.low < 0.5 < apgr.high
    assert 0.02 < apgr.high - apgr.low < 0.2
    difference = differences["random"]["apgr"]
    assert difference.low is not None
    assert difference.high is not None
    assert difference.low < 0 < difference.high


def test_skill_shows() -> None:
    standings, differences, _ = estimates(made_up(2000, skill=0.8), resamples=200)
    assert (standings["strategy"].metrics["apgr"].low or 0) > 0.55
    assert (differences["length"]["apgr"].low or 0) > 0


def test_the_interval_is_about_as_wide_as_that_of_drawn_resamples() -> None:
    rows = made_up(400, skill=0.5)
    interval = estimates(rows, resamples=400)[0]["always deep"].metrics["quality"]
    assert interval.low is not None
    assert interval.high is not None
    values = [row.quality[DEEP] for row in rows]
    normal = 2 * 1.96 * (pvariance(values) / len(values)) ** 0.5
    assert interval.high - interval.low == pytest.approx(normal, rel=0.2)


def test_the_same_rows_give_the_same_intervals() -> None:
    rows = made_up(50, skill=0.5)
    assert estimates(rows, resamples=20) == estimates(rows, resamples=20)


def test_without_resamples_there_are_no_intervals() -> None:
    standings, _, _ = estimates(FOUR, resamples=0)
    assert standings["strategy"].metrics["quality"] == Estimate(0.5)


def test_one_row() -> None:
    standings, _, _ = estimates([two_tier(0, 1)], resamples=50)
    assert standings["strategy"].metrics["quality"] == Estimate(1, 1, 1)


def test_poisson_weights() -> None:
    weights = poisson_weights(100_000, Random(3))
    assert fmean(weights) == pytest.approx(1, abs=0.02)
    assert pvariance(weights) == pytest.approx(1, abs=0.03)
    assert len(intervals._POISSON) == 256
    assert sum(intervals._POISSON) == 256


def test_quantile() -> None:
    assert quantile([1, 2, 3, 4, 5], 0.5) == 3
    assert quantile([1, 2], 0.95) == pytest.approx(1.95)
    assert quantile([7], 0.025) == 7

"""What routing is worth: quality kept, calls saved, APGR and CPT, beside what costs no thought. Pure.

The definitions are those of RouteLLM (Ong et al., "RouteLLM: Learning to Route LLMs with Preference Data", 2024,
arXiv:2406.18665), which knows two models, a weak and a strong one. Here these are the fast and the deep tier:

* *PGR*, performance gap recovered: of the gap in quality between always fast and always deep, how much is closed,
  (quality - fast) / (deep - fast).
* *APGR*, average PGR: the area below the curve of PGR over the share of calls that go to deep, when that share
  grows from none to all in the order of a strategy, the rest going to fast. 0.5 is chance. The paper averages over ten
  shares, here it is the whole area.
* *CPT(x)*, call-performance threshold: the smallest share of deep calls with which PGR reaches x.

Three tiers: a strategy's *decisions* may use all three, and quality kept, PGR and the share of deep calls saved are about
those. APGR and CPT are about its *order* of the requests, and only the fast and the deep score of a row count there: how
well does the strategy know where a step up is worth its price. So a set with three tiers and one with two compare.

A strategy's order is the tier that it chose, from deep to fast, and within a tier length, the longest first: a tier says
nothing of the requests in it, and length costs no thought. What is equal in both is in no order: the curve between is
a straight line, as if they came shuffled.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import accumulate
from operator import itemgetter, mul, sub
from typing import NamedTuple, TypeVar

from msgspec import Struct

from octoroute.config.model import TIERS, Tier

FAST, BALANCED, DEEP = range(len(TIERS))
MOST_STEPS = 256
"""More distinct places than this are taken together, neighbours as equal ones; it changes an APGR by less than 0.001."""

BASELINES = ("random", "length", "always fast", "always deep", "oracle")
"""*random* and *length* send as many requests to each tier as the strategy does: by chance, or the longest to deep.
*oracle* knows the qualities: the smallest of the best tiers. Beside these, *tiers* is the strategy's order without length:
its APGR is what the decisions themselves know."""

METRICS = ("quality", "quality_kept", "deep_calls_saved", "pgr", "apgr", "cpt50", "cpt80")

_Key = TypeVar("_Key", float, tuple[int, int])


class Sample(NamedTuple):
    """One row as it is measured. Tiers are their places in `TIERS`."""

    chosen: int
    """The tier that answers."""
    asked: int
    """The tier that the strategy named; another than `chosen` where that stands in for one that does not exist."""
    length: int
    quality: tuple[float, float, float]
    """Of each tier's answer."""


class Figures(NamedTuple):
    """What one strategy is worth. None: not defined, as APGR is where deep is no better than fast.

    `shares` are the parts of the requests that go to each tier; the others are as `METRICS` and the module explain.
    """

    shares: tuple[float, float, float]
    quality: float
    quality_kept: float | None
    """Of the quality of always deep."""
    deep_calls_saved: float
    """Against always deep."""
    pgr: float | None
    apgr: float | None = None
    cpt50: float | None = None
    cpt80: float | None = None
    gains: dict[Tier, float] | None = None
    """What deep adds to fast on the requests for which each tier was named, of the quality of always deep: a strategy
    that knows where deep makes a difference names it where this is largest. Of the strategy alone, without the tiers
    that it never named."""


class Point(Struct, frozen=True):
    """A point of the cost-quality curve: the share of deep calls, and the mean quality."""

    deep: float
    quality: float


class _Order:
    """Rows sorted into steps, and what some columns of them add up to in each step of a resample.

    A thousand resamples go through every row a thousand times, so that the loops over rows are all the library's.
    """

    def __init__(self, steps: Sequence[int], *columns: Sequence[float]) -> None:
        order = sorted(range(len(steps)), key=steps.__getitem__)
        starts = [at for at, row in enumerate(order) if at == 0 or steps[row] != steps[order[at - 1]]]
        spans = list(zip(starts, [*starts[1:], len(order)], strict=True))
        self.steps = [steps[order[start]] for start in starts]
        self._parts = [slice(*span) for span in spans]
        self._columns = [[[column[row] for row in order[part]] for part in self._parts] for column in columns]
        # With one index, itemgetter gives the bare item.
        self._sorted: Callable[[bytes], Sequence[int]] = itemgetter(*order) if len(order) > 1 else bytes

    def sums(self, weights: bytes) -> tuple[list[int], list[list[float]]]:
        """For each step how many rows there are, and for each column its sums."""
        ordered = self._sorted(weights)
        parts = [ordered[part] for part in self._parts]
        columns = [
            [sum(map(mul, part, values)) for part, values in zip(parts, column, strict=True)]
            for column in self._columns
        ]
        return [sum(part) for part in parts], columns


class _Curve:
    """In an order, at the end of each step: how many requests go to deep, and what deep adds to fast on them."""

    def __init__(self, counts: Sequence[float], gains: Sequence[float]) -> None:
        self.counts, self.gains = _running(counts), _running(gains)

    def apgr(self) -> float | None:
        gains, counts = self.gains, self.counts
        if gains[-1] <= 0:
            return None
        area = sum(
            (counts[at] - counts[at - 1]) * (gains[at] + gains[at - 1]) / 2 for at in range(1, len(counts))
        )
        return area / (counts[-1] * gains[-1])

    def cpt(self, share: float) -> float | None:
        gains, counts = self.gains, self.counts
        if gains[-1] <= 0:
            return None
        target = share * gains[-1]
        at = next(at for at, gain in enumerate(gains) if gain >= target)
        part = (target - gains[at - 1]) / (gains[at] - gains[at - 1])
        return (counts[at - 1] + part * (counts[at] - counts[at - 1])) / counts[-1]


class Measure:
    """Measures a strategy and the baselines on samples: on all of them, or on a resample."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        fast, balanced, deep = (
            list(column) for column in zip(*(row.quality for row in samples), strict=True)
        )
        gains = list(map(sub, deep, fast))
        best = [_smallest_best(sample.quality) for sample in samples]
        chosen = [sample.chosen for sample in samples]
        self._size = len(samples)
        self._strategy = _Order(_steps([(sample.asked, sample.length) for sample in samples]), gains)
        self._tiers = _Order([-sample.asked for sample in samples], gains)
        self._length = _Order(_steps([sample.length for sample in samples]), fast, balanced, deep)
        self._oracle = _Order(_steps(gains), gains)
        self._decided = _Order(chosen, [row.quality[tier] for row, tier in zip(samples, chosen, strict=True)])
        self._best = _Order(best, [row.quality[tier] for row, tier in zip(samples, best, strict=True)])

    def everything(self) -> dict[str, Figures]:
        """On every sample once."""
        return self.on(b"\x01" * self._size)

    def on(self, weights: bytes) -> dict[str, Figures]:
        """On a resample in which each sample counts as often as its byte in `weights` says; not all may be 0."""
        counts, by_tier = self._length.sums(weights)
        size = sum(counts)
        fast, balanced, deep = (sum(column) / size for column in by_tier)
        known = fast < deep

        def figures(shares: tuple[float, float, float], quality: float, curve: _Curve | None) -> Figures:
            return Figures(
                shares,
                quality,
                quality / deep if deep else None,
                1 - shares[DEEP],
                (quality - fast) / (deep - fast) if known else None,
                *((curve.apgr(), curve.cpt(0.5), curve.cpt(0.8)) if curve else ()),
            )

        shares, quality = _decided(self._decided, weights)
        by_chance = shares[FAST] * fast + shares[BALANCED] * balanced + shares[DEEP] * deep
        by_length = _Curve(counts, list(map(sub, by_tier[DEEP], by_tier[FAST])))
        named, (gains,) = self._tiers.sums(weights)
        added = {
            TIERS[-step]: gain / count / deep
            for step, count, gain in reversed(list(zip(self._tiers.steps, named, gains, strict=True)))
            if count and deep
        }
        return {
            "strategy": figures(shares, quality, _curve(self._strategy, weights))._replace(gains=added),
            "tiers": figures(shares, quality, _Curve(named, gains)),
            "random": figures(shares, by_chance, None)._replace(
                apgr=0.5 if known else None, cpt50=0.5 if known else None, cpt80=0.8 if known else None
            ),
            "length": figures(shares, _longest_first(counts, by_tier, shares), by_length),
            "always fast": figures((1, 0, 0), fast, None),
            "always deep": figures((0, 0, 1), deep, None),
            "oracle": figures(*_decided(self._best, weights), _curve(self._oracle, weights)),
        }

    def curves(self) -> dict[str, list[Point]]:
        """The cost-quality curves: deep for the first in an order, fast for the rest."""
        weights = b"\x01" * self._size
        counts, by_tier = self._length.sums(weights)
        fast = sum(by_tier[FAST])
        drawn = {
            "strategy": _curve(self._strategy, weights),
            "length": _Curve(counts, list(map(sub, by_tier[DEEP], by_tier[FAST]))),
            "oracle": _curve(self._oracle, weights),
        }
        return {
            name: [
                Point(count / self._size, (fast + gain) / self._size)
                for count, gain in zip(curve.counts, curve.gains, strict=True)
            ]
            for name, curve in drawn.items()
        }


def _steps(keys: Sequence[_Key]) -> list[int]:
    """For each key its place from the highest down; equal ones share it, and neighbours where there are too many."""
    places: dict[_Key, int] = {}
    for rank, key in enumerate(sorted(keys, reverse=True)):
        places.setdefault(key, rank)
    if len(places) > MOST_STEPS:
        places = {key: rank * MOST_STEPS // len(keys) for key, rank in places.items()}
    return [places[key] for key in keys]


def _running(values: Sequence[float]) -> list[float]:
    return [0.0, *accumulate(values)]


def _curve(order: _Order, weights: bytes) -> _Curve:
    counts, (gains,) = order.sums(weights)
    return _Curve(counts, gains)


def _decided(order: _Order, weights: bytes) -> tuple[tuple[float, float, float], float]:
    """The share of each tier, and the mean quality, where the steps are tiers."""
    counts, (quality,) = order.sums(weights)
    by_tier = dict(zip(order.steps, counts, strict=True))
    size = sum(counts)
    fast, balanced, deep = (by_tier.get(tier, 0) / size for tier in (FAST, BALANCED, DEEP))
    return (fast, balanced, deep), sum(quality) / size


def _smallest_best(quality: tuple[float, float, float]) -> int:
    return quality.index(max(quality))


def _longest_first(
    counts: Sequence[int], by_tier: Sequence[Sequence[float]], shares: tuple[float, float, float]
) -> float:
    """The mean quality where the first go to deep, the next to balanced and the rest to fast, in these shares."""
    ends = _running(counts)
    running = [_running(column) for column in by_tier]
    size = ends[-1]

    def upto(count: float, tier: int) -> float:
        """The quality of `tier` over the first `count` requests; of a step that is cut, the part."""
        step = max(1, bisect_left(ends, count))
        before, after = ends[step - 1], ends[step]
        share = (count - before) / (after - before) if after > before else 1.0
        return running[tier][step - 1] + share * (running[tier][step] - running[tier][step - 1])

    first = min(size, shares[DEEP] * size)
    second = min(size, first + shares[BALANCED] * size)
    return (
        upto(first, DEEP)
        + (upto(second, BALANCED) - upto(first, BALANCED))
        + (upto(size, FAST) - upto(second, FAST))
    ) / size


def confusion(pairs: Sequence[tuple[Tier, Tier]]) -> dict[Tier, dict[Tier, int]]:
    """How often each tier was chosen (inner) where each was expected (outer)."""
    table: dict[Tier, dict[Tier, int]] = {expected: dict.fromkeys(TIERS, 0) for expected in TIERS}
    for expected, chosen in pairs:
        table[expected][chosen] += 1
    return table

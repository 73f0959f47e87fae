"""What routing is worth: quality kept, calls saved, APGR and CPT, beside what costs no thought. Pure.

The definitions are those of RouteLLM (Ong et al., "RouteLLM: Learning to Route LLMs with Preference Data", 2024,
arXiv:2406.18665), which knows two models, a weak and a strong one. Here these are the fast and the deep tier:

* *PGR*, performance gap recovered: of the gap in quality between always fast and always deep, how much is closed,
  (quality - fast) / (deep - fast).
* *APGR*, average PGR: the area below the curve of PGR over the share of calls that go to deep, when that share
  grows from none to all in the order of a strategy's score, the rest going to fast. 0.5 is chance. The paper averages over ten
  shares, here it is the whole area.
* *CPT(x)*, call-performance threshold: the smallest share of deep calls with which PGR reaches x.

Three tiers: a strategy's *decisions* may use all three, and quality kept, PGR and the share of deep calls saved are about
those. APGR and CPT are about its *order* of the requests, and only the fast and the deep score of a row count there: how
well does the strategy know where a step up is worth its price. So a set with three tiers and one with two compare.

Equal scores are in no order: the curve between them is a straight line, as if they came shuffled.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import accumulate
from operator import itemgetter
from typing import Any, NamedTuple

from msgspec import Struct

from octoroute.config.model import TIERS, Tier

FAST, BALANCED, DEEP = range(len(TIERS))
MOST_STEPS = 256
"""More distinct scores than this are taken together, neighbours as equal ones; it changes an APGR by less than 0.001."""

BASELINES = ("random", "length", "always fast", "always deep", "oracle")
"""*random* and *length* send as many requests to each tier as the strategy does: by chance, or the longest to deep.
*oracle* knows the scores: the smallest of the best tiers. Beside these, *tiers* is the strategy without what orders the
requests within a tier: its APGR is what the decisions themselves know."""

METRICS = ("quality", "quality_kept", "deep_calls_saved", "pgr", "apgr", "cpt50", "cpt80")


class Sample(NamedTuple):
    """One row as it is measured. Tiers are their places in `TIERS`."""

    chosen: int
    score: float
    """The strategy's: the higher, the rather deep."""
    length: int
    quality: tuple[float, float, float]
    """Of each tier's answer."""
    asked: int
    """The tier that the strategy named; another than `chosen` where that stands in for one that does not exist."""


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


class Point(Struct, frozen=True):
    """A point of the cost-quality curve: the share of deep calls, and the mean quality."""

    deep: float
    quality: float


class _Cells:
    """Rows that no metric tells apart, counted together: that is what makes a thousand resamples quick."""

    def __init__(self, keys: Sequence[Any]) -> None:
        order = sorted(range(len(keys)), key=keys.__getitem__)
        starts = [at for at, row in enumerate(order) if at == 0 or keys[row] != keys[order[at - 1]]]
        self.keys = [keys[order[at]] for at in starts]
        self._spans = list(zip(starts, [*starts[1:], len(order)], strict=True))
        # With one index, itemgetter gives the bare item.
        self._in_order: Callable[[bytes], Sequence[int]] = itemgetter(*order) if len(order) > 1 else bytes

    def totals(self, weights: bytes) -> list[int]:
        ordered = self._in_order(weights)
        return [sum(ordered[start:end]) for start, end in self._spans]


class _Curve(NamedTuple):
    """Sums over the requests from the highest score down, at the end of each step: how many, and each tier's quality."""

    counts: list[float]
    quality: tuple[list[float], list[float], list[float]]

    @property
    def size(self) -> float:
        return self.counts[-1]

    def at(self, count: float, tier: int) -> float:
        """The quality of `tier` over the first `count` requests."""
        step = max(1, bisect_left(self.counts, count))
        before, after = self.counts[step - 1], self.counts[step]
        share = (count - before) / (after - before) if after > before else 1.0
        sums = self.quality[tier]
        return sums[step - 1] + share * (sums[step] - sums[step - 1])

    def gains(self) -> list[float]:
        """What deep adds to fast over the requests so far."""
        return [deep - fast for deep, fast in zip(self.quality[DEEP], self.quality[FAST], strict=True)]

    def apgr(self) -> float | None:
        gains, count = self.gains(), self.counts
        if gains[-1] <= 0:
            return None
        area = sum(
            (count[at] - count[at - 1]) * (gains[at] + gains[at - 1]) / 2 for at in range(1, len(count))
        )
        return area / (count[-1] * gains[-1])

    def cpt(self, share: float) -> float | None:
        gains, count = self.gains(), self.counts
        if gains[-1] <= 0:
            return None
        target = share * gains[-1]
        at = next(at for at, gain in enumerate(gains) if gain >= target)
        part = (target - gains[at - 1]) / (gains[at] - gains[at - 1])
        return (count[at - 1] + part * (count[at] - count[at - 1])) / count[-1]


class Measure:
    """Measures a strategy and the baselines on samples: on all of them, or on a resample."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        steps = _steps([sample.score for sample in samples])
        longest = _steps([float(sample.length) for sample in samples])
        self._size = len(samples)
        self._strategy = _Cells(
            [(step, *sample.quality, sample.chosen) for step, sample in zip(steps, samples, strict=True)]
        )
        self._length = _Cells(
            [(step, *sample.quality) for step, sample in zip(longest, samples, strict=True)]
        )
        gains = _steps([sample.quality[DEEP] - sample.quality[FAST] for sample in samples])
        self._oracle = _Cells([(step, *sample.quality) for step, sample in zip(gains, samples, strict=True)])
        self._tiers = _Cells([(-sample.asked, *sample.quality) for sample in samples])

    def everything(self) -> dict[str, Figures]:
        """On every sample once."""
        return self.on(b"\x01" * self._size)

    def on(self, weights: bytes) -> dict[str, Figures]:
        """On a resample in which each sample counts as often as its byte in `weights` says; not all may be 0."""
        own, length, best = (cells.totals(weights) for cells in (self._strategy, self._length, self._oracle))
        by_length, by_own = _curve(self._length.keys, length), _curve(self._strategy.keys, own)
        size = by_own.size
        fast, balanced, deep = (sums[-1] / size for sums in by_own.quality)

        def figures(shares: tuple[float, float, float], quality: float, curve: _Curve | None) -> Figures:
            return Figures(
                shares,
                quality,
                quality / deep if deep else None,
                1 - shares[DEEP],
                (quality - fast) / (deep - fast) if deep > fast else None,
                *((curve.apgr(), curve.cpt(0.5), curve.cpt(0.8)) if curve else ()),
            )

        tiers = _curve(self._tiers.keys, self._tiers.totals(weights))
        shares, quality = _decided([(key[4], key[1 + key[4]]) for key in self._strategy.keys], own)
        perfect = [_smallest_best(key[1:]) for key in self._oracle.keys]
        known = fast < deep
        random = figures(shares, sum(map(_product, zip(shares, (fast, balanced, deep), strict=True))), None)
        return {
            "strategy": figures(shares, quality, by_own),
            "tiers": figures(shares, quality, tiers),
            "random": random._replace(
                apgr=0.5 if known else None, cpt50=0.5 if known else None, cpt80=0.8 if known else None
            ),
            "length": figures(shares, _by_order(by_length, shares), by_length),
            "always fast": figures((1, 0, 0), fast, None),
            "always deep": figures((0, 0, 1), deep, None),
            "oracle": figures(*_decided(perfect, best), _curve(self._oracle.keys, best)),
        }

    def curves(self) -> dict[str, list[Point]]:
        """The cost-quality curves: deep for the highest scores, fast for the rest."""
        weights = b"\x01" * self._size
        every = {"strategy": self._strategy, "length": self._length, "oracle": self._oracle}
        found = {}
        for name, cells in every.items():
            curve = _curve(cells.keys, cells.totals(weights))
            size, fast = curve.size, curve.quality[FAST][-1]
            found[name] = [
                Point(count / size, (fast + gain) / size)
                for count, gain in zip(curve.counts, curve.gains(), strict=True)
            ]
        return found


def _product(pair: tuple[float, float]) -> float:
    return pair[0] * pair[1]


def _steps(scores: Sequence[float]) -> list[int]:
    """For each score its place from the highest down; equal ones share it, and neighbours where there are too many."""
    places: dict[float, int] = {}
    for rank, score in enumerate(sorted(scores, reverse=True)):
        places.setdefault(score, rank)
    if len(places) > MOST_STEPS:
        places = {score: rank * MOST_STEPS // len(scores) for score, rank in places.items()}
    return [places[score] for score in scores]


def _curve(keys: Sequence[tuple[Any, ...]], totals: Sequence[int]) -> _Curve:
    """Of cells with keys `(step, fast, balanced, deep, …)`, in the order of the steps."""
    last = [at for at, key in enumerate(keys) if at + 1 == len(keys) or keys[at + 1][0] != key[0]]

    def sums(values: Sequence[float]) -> list[float]:
        running = list(accumulate(values))
        return [0.0, *(running[at] for at in last)]

    fast, balanced, deep = (
        sums([key[place] * total for key, total in zip(keys, totals, strict=True)]) for place in (1, 2, 3)
    )
    return _Curve(sums(totals), (fast, balanced, deep))


def _decided(
    choices: Sequence[tuple[int, float]], totals: Sequence[int]
) -> tuple[tuple[float, float, float], float]:
    """The share of each tier, and the mean quality, where each cell goes to one tier and has one quality there."""
    counts = [0.0] * len(TIERS)
    quality = 0.0
    for (tier, worth), total in zip(choices, totals, strict=True):
        counts[tier] += total
        quality += worth * total
    size = sum(counts)
    fast, balanced, deep = (count / size for count in counts)
    return (fast, balanced, deep), quality / size


def _smallest_best(quality: Sequence[float]) -> tuple[int, float]:
    best = max(quality)
    return list(quality).index(best), best


def _by_order(curve: _Curve, shares: tuple[float, float, float]) -> float:
    """The mean quality where the first go to deep, the next to balanced and the rest to fast, in these shares."""
    size = curve.size
    first = min(size, shares[DEEP] * size)
    second = min(size, first + shares[BALANCED] * size)
    return (
        curve.at(first, DEEP)
        + (curve.at(second, BALANCED) - curve.at(first, BALANCED))
        + (curve.at(size, FAST) - curve.at(second, FAST))
    ) / size


def confusion(pairs: Sequence[tuple[Tier, Tier]]) -> dict[Tier, dict[Tier, int]]:
    """How often each tier was chosen (inner) where each was expected (outer)."""
    table: dict[Tier, dict[Tier, int]] = {expected: dict.fromkeys(TIERS, 0) for expected in TIERS}
    for expected, chosen in pairs:
        table[expected][chosen] += 1
    return table

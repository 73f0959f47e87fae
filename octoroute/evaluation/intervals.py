"""How sure the metrics are: 95 % intervals of a bootstrap over rows. Pure.

The bootstrap is in its Poisson form: each row weighs Poisson(1) instead of being drawn (Hanley and
MacGibbon, "Creating non-parametric bootstrap samples using Poisson frequencies", 2006), which is the same for more than a
few dozen rows and much quicker. All strategies are measured on the same resamples, so that differences have intervals too.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from msgspec import Struct

from octoroute.config.model import TIERS, Tier
from octoroute.evaluation.metrics import BASELINES, METRICS, Measure, Sample


class Estimate(Struct, frozen=True):
    """A figure, and its 95 % interval where it has one."""

    value: float | None
    low: float | None = None
    high: float | None = None


class Standing(Struct, frozen=True):
    """A strategy's figures with their intervals; shares by tier."""

    name: str
    shares: dict[Tier, float]
    metrics: dict[str, Estimate]


_POISSON = bytes(count for count, times in enumerate((95, 93, 47, 16, 4, 1)) for _ in range(times))
"""Poisson(1) in 256 equal parts: a mean of exactly 1, a variance of 1.008."""


def poisson_weights(size: int, random: Random) -> bytes:
    """How often each of `size` rows counts in one resample."""
    return random.randbytes(size).translate(_POISSON)


def estimates(
    samples: Sequence[Sample], *, resamples: int, seed: int = 0
) -> tuple[dict[str, Standing], dict[str, dict[str, Estimate]], dict[Tier, Estimate]]:
    """The figures of the strategy ("strategy") and of each baseline, how the strategy differs from each baseline, and
    what deep adds to fast where the strategy names each tier.

    From chance ("random") its order differs without the length within a tier ("tiers"), so that it is not praised for
    what length knows.

    Args:
        samples: at least one.
        resamples: of the bootstrap; 0 for no intervals.
        seed: of the bootstrap, so that the same rows give the same intervals.
    """
    measure = Measure(samples)
    plain = measure.everything()
    random = Random(seed)  # noqa: S311  # statistics
    drawn = [
        measure.on(weights)
        for weights in (poisson_weights(len(samples), random) for _ in range(resamples))
        if any(weights)
    ]
    standings = {
        name: Standing(
            name,
            dict(zip(TIERS, figures.shares, strict=True)),
            {
                metric: _estimate(getattr(figures, metric), [getattr(each[name], metric) for each in drawn])
                for metric in METRICS
            },
        )
        for name, figures in plain.items()
    }
    compared = {name: "tiers" if name == "random" else "strategy" for name in BASELINES}
    differences = {
        name: {
            metric: _estimate(
                _minus(getattr(plain[own], metric), getattr(plain[name], metric)),
                [_minus(getattr(each[own], metric), getattr(each[name], metric)) for each in drawn],
            )
            for metric in METRICS
        }
        for name, own in compared.items()
    }
    gains = [each["strategy"].gains or {} for each in drawn]
    added = {
        tier: _estimate(gain, [each.get(tier) for each in gains])
        for tier, gain in (plain["strategy"].gains or {}).items()
    }
    return standings, differences, added


def _minus(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def _estimate(value: float | None, drawn: Sequence[float | None]) -> Estimate:
    """With the middle 95 % of the resamples; without an interval where more than a twentieth of them has no value."""
    defined = sorted(each for each in drawn if each is not None)
    if value is None or not defined or len(defined) < 0.95 * len(drawn):
        return Estimate(value)
    return Estimate(value, quantile(defined, 0.025), quantile(defined, 0.975))


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value below which `share` of the sorted, non-empty `ordered` lies, interpolated."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])

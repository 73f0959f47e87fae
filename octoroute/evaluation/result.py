"""What an evaluation found, of the rows that were decided: the one object that every form of the report is made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Struct

from octoroute.config.model import TIERS, Tier, TierFallback, fallback_tiers
from octoroute.evaluation.dataset import Row
from octoroute.evaluation.intervals import Estimate, Standing, estimates, quantile
from octoroute.evaluation.metrics import Measure, Point, Sample, confusion
from octoroute.routing.facts import Facts
from octoroute.routing.route import Route


class Decided(NamedTuple):
    """A row, and where it goes."""

    row: Row
    route: Route
    facts: Facts
    seconds: float


class Judged(Struct, frozen=True):
    """What a strategy and the baselines are worth. `differences` are strategy minus baseline, as `estimates` gives them,
    `gains` what deep adds to fast where the strategy names each tier.
    """

    rows: int
    standings: dict[str, Standing]
    differences: dict[str, dict[str, Estimate]]
    gains: dict[Tier, Estimate]


class Labels(Struct, frozen=True):
    """How the strategy does on rows that name the right tier; there `quality` is the share of right ones."""

    judged: Judged
    confusion: dict[Tier, dict[Tier, int]]
    """Expected, then chosen, then how often."""


class Latency(Struct, frozen=True):
    """Of one decision, in milliseconds."""

    p50: float
    p95: float


class Result(Struct, frozen=True):
    """Everything. `scores` and `labels` are None where no row has them."""

    file: str
    strategy: str
    rows: int
    decided: int
    stopped: bool
    resamples: int
    scores: Judged | None
    curves: dict[str, list[Point]]
    balanced_by: Tier | None
    """Which tier answers what is sent to balanced, where rows have no score for it (`routing.tier_fallback`)."""
    labels: Labels | None
    reasons: dict[str, int]
    no_evidence: int
    by_model: int
    """How many decisions a model made, now or when it was asked the same before."""
    router_unavailable: int
    latency_ms: Latency


def result(
    file: str,
    strategy: str,
    rows: int,
    decided: Sequence[Decided],
    *,
    stopped: bool,
    tier_fallback: TierFallback,
    resamples: int,
) -> Result:
    """What `decided`, at least one, amounts to.

    Where not every scored row has a balanced score, they stand for a fleet without that tier: what is sent there is
    answered by the tier that `tier_fallback` names first, deep where it names none.
    """
    scored = [each for each in decided if each.row.scores is not None]
    stands_in: Tier | None = None
    if any("balanced" not in (each.row.scores or ()) for each in scored):
        stands_in = next(iter(fallback_tiers("balanced", tier_fallback)), TIERS[-1])
    samples = [_by_scores(each, stands_in) for each in scored]
    labelled = [each for each in decided if each.row.expected is not None]
    reasons = Counter(each.route.reason for each in decided)
    seconds = sorted(each.seconds for each in decided)
    return Result(
        file=file,
        strategy=strategy,
        rows=rows,
        decided=len(decided),
        stopped=stopped,
        resamples=resamples,
        scores=_judged(samples, resamples) if samples else None,
        curves=Measure(samples).curves() if samples else {},
        balanced_by=stands_in,
        labels=_labels(labelled, resamples) if labelled else None,
        reasons=dict(reasons.most_common()),
        no_evidence=sum(each.facts.task_type is None for each in decided),
        by_model=sum(each.route.strategy == "llm" for each in decided),
        router_unavailable=reasons["router_unavailable"],
        latency_ms=Latency(quantile(seconds, 0.5) * 1000, quantile(seconds, 0.95) * 1000),
    )


def _judged(samples: Sequence[Sample], resamples: int) -> Judged:
    return Judged(len(samples), *estimates(samples, resamples=resamples))


def _labels(labelled: Sequence[Decided], resamples: int) -> Labels:
    pairs = [(each.row.expected, each.route.tier) for each in labelled if each.row.expected is not None]
    return Labels(_judged([_by_label(each) for each in labelled], resamples), confusion(pairs))


def _by_scores(decided: Decided, stands_in: Tier | None) -> Sample:
    scores, tier = decided.row.scores, decided.route.tier
    assert scores is not None
    fast, deep = scores["fast"], scores["deep"]
    if stands_in is None:
        quality = (fast, scores["balanced"], deep)
    else:
        # Nothing goes to balanced; a quality no better than that of fast lets no oracle go there either.
        quality = (fast, fast, deep)
        tier = stands_in if tier == "balanced" else tier
    asked = TIERS.index(decided.route.tier)
    return Sample(TIERS.index(tier), asked, _length(decided), quality)


def _by_label(decided: Decided) -> Sample:
    fast, balanced, deep = (float(tier == decided.row.expected) for tier in TIERS)
    chosen = TIERS.index(decided.route.tier)
    return Sample(chosen, chosen, _length(decided), (fast, balanced, deep))


def _length(decided: Decided) -> int:
    return sum(len(message.text()) for message in decided.row.request.messages)

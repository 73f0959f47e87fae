"""The report of an evaluation as a table for people, and as JSON for machines. Pure; `page` makes the HTML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from octoroute.config.model import TIERS, Tier
from octoroute.evaluation.intervals import Estimate
from octoroute.evaluation.result import Judged, Result

NAMES = {
    "strategy": "",
    "tiers": "its tiers alone",
    "random": "random, same mix",
    "length": "by length, same mix",
    "always fast": "always fast",
    "always deep": "always deep",
    "oracle": "oracle",
}
"""How each standing is called; the strategy by its own name."""

COLUMNS = {
    "quality_kept": "quality kept",
    "deep_calls_saved": "deep saved",
    "apgr": "APGR",
    "cpt50": "CPT(50 %)",
    "cpt80": "CPT(80 %)",
}
_PLAIN = {"apgr"}
"""Shown as numbers; the others in percent."""
_NOISE = 0.0005
"""A smaller difference is shown as zero: it is none."""
_NOTHING = "\N{EN DASH}"


def to_json(result: Result) -> str:
    """Everything, as one indented object."""
    return msgspec.json.format(msgspec.json.encode(result), indent=2).decode()


def to_text(result: Result) -> str:
    """The table, and what it means in a few lines."""
    lines = [heading(result), ""]
    if result.scores is not None:
        lines += [*_aligned(table(result, result.scores, COLUMNS)), "", *findings(result, result.scores)]
        lines += [gains(result, result.scores), ""]
    if result.labels is not None:
        right = {"quality": "right tier"}
        lines += [*_aligned(table(result, result.labels.judged, right)), ""]
        lines += [*_aligned(confusion(result.labels.confusion)), ""]
    return "\n".join([*lines, *facts(result)])


def heading(result: Result) -> str:
    """What was measured, and how much of it."""
    part = f"{result.decided:,} of {result.rows:,}" if result.decided < result.rows else f"{result.rows:,}"
    text = f"{result.file}: {part} rows, strategy {result.strategy}"
    if result.stopped:
        text += "; stopped early"
    if result.resamples:
        text += f"; in brackets 95 % intervals of {result.resamples:,} bootstrap resamples"
    return text


def table(result: Result, judged: Judged, columns: dict[str, str]) -> list[list[str]]:
    """A heading and a row for each strategy."""
    rows = [["", *TIERS, *columns.values()]]
    for key, name in NAMES.items():
        if key == "tiers" and "apgr" not in columns:
            continue  # it differs in the order alone
        standing = judged.standings[key]
        shares = [percent(standing.shares[tier]) for tier in TIERS]
        metrics = [estimate(standing.metrics[metric], plain=metric in _PLAIN) for metric in columns]
        rows.append([name or result.strategy, *shares, *metrics])
    return rows


def confusion(counts: dict[Tier, dict[Tier, int]]) -> list[list[str]]:
    """A row for each expected tier, a column for each chosen one."""
    rows = [["expected \\ chosen", *TIERS]]
    return rows + [[tier, *(str(counts[tier][chosen]) for chosen in TIERS)] for tier in TIERS]


def findings(result: Result, judged: Judged) -> list[str]:
    """Whether the strategy is measurably better than chance and than length, in words."""
    compared = (
        ("decisions, quality kept", "quality_kept", "random"),
        ("decisions, quality kept", "quality_kept", "length"),
        ("order by tier, APGR", "apgr", "random"),
        ("order by tier, then length, APGR", "apgr", "length"),
    )
    lines = []
    for what, metric, baseline in compared:
        difference = judged.differences[baseline][metric]
        if difference.value is None:
            continue
        shown = estimate(difference, plain=metric in _PLAIN, signed=True)
        lines.append(f"{what}: {result.strategy} minus {NAMES[baseline]}: {shown}: {_verdict(difference)}")
    return lines


def gains(result: Result, judged: Judged) -> str:
    """Where deep would make a difference, in a line."""
    shown = ", ".join(
        f"{tier} {estimate(gain, plain=False, signed=True)}" for tier, gain in judged.gains.items()
    )
    return f"what deep adds to fast, quality kept, where {result.strategy} says: {shown or _NOTHING}"


def _verdict(difference: Estimate) -> str:
    if difference.low is None or difference.high is None:
        return "no interval"
    if difference.low > _NOISE:
        return "better"
    return "worse" if difference.high < -_NOISE else "no measurable difference"


def facts(result: Result) -> list[str]:
    """What else is to be known of the decisions."""
    latency = result.latency_ms
    lines = [
        f"decision latency: p50 {_ms(latency.p50)}, p95 {_ms(latency.p95)}",
        f"no evidence of the task in {_of(result.no_evidence, result.decided)}",
        "reasons: " + ", ".join(f"{reason} {count:,}" for reason, count in result.reasons.items()),
    ]
    if result.strategy != "rule":
        lines.append(f"decided by a model: {_of(result.by_model, result.decided)}")
    if result.router_unavailable:
        lines.append(
            f"the router model could not decide {_of(result.router_unavailable, result.decided)}: those went to the "
            "default tier"
        )
    if result.balanced_by is not None:
        lines.append(
            f"rows without a balanced score: what is sent to balanced counts as {result.balanced_by} "
            "([routing] tier_fallback)"
        )
    return lines


def _ms(milliseconds: float) -> str:
    return f"{milliseconds:,.0f} ms" if milliseconds >= 10 else f"{milliseconds:.2f} ms"


def _of(count: int, total: int) -> str:
    return f"{count:,} rows ({percent(count / total)})"


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def estimate(value: Estimate, *, plain: bool, signed: bool = False) -> str:
    """`0.586 (0.568 … 0.605)`, or in percent, or a dash; a difference of percentages is in points."""
    if value.value is None:
        return _NOTHING
    sign = "+" if signed else ""
    scale, digits = (1, 3) if plain else (100, 1)

    def number(part: float) -> str:
        return f"{round(part * scale, digits) + 0.0:{sign}.{digits}f}"  # + 0.0: no minus before a zero

    unit = "" if plain else " points" if signed else " %"
    if value.low is None or value.high is None or number(value.low) == number(value.high):
        return f"{number(value.value)}{unit}"
    return f"{number(value.value)}{unit} ({number(value.low)} … {number(value.high)})"


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        first, *others = (
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join([first, *others]).rstrip()

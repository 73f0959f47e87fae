"""The table and the verdicts: medians over the rounds, with their spread, out of what the runs found."""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from benchmarks import payloads
from benchmarks.load import Figures, Quantiles

Round = Mapping[str, Figures]
"""What one round found for one target, by scenario: see `SCENARIOS`."""

SCENARIOS = ("one", "many", "stream_one", "stream_many", "paced")


class Outcome(msgspec.Struct, kw_only=True):
    """All that is known of one target. `note` says why it was left out, or where it went wrong."""

    note: str = ""
    version: str = ""
    startup_seconds: list[float] = msgspec.field(default_factory=list)
    memory_mib: dict[str, float | None] = msgspec.field(default_factory=dict)
    rounds: list[dict[str, Figures]] = msgspec.field(default_factory=list)


class Verdict(NamedTuple):
    text: str
    passed: bool | None  # None: not measured


class _Row(NamedTuple):
    """One line. `value` gets a target's round and the same round of "direct"; None where there is none."""

    label: str
    value: Callable[[Round, Round], float | None]
    digits: int = 2


def _quantile(scenario: str, field: str, part: str, *, added: bool) -> Callable[[Round, Round], float | None]:
    def read(round_: Round) -> float | None:
        quantiles: Quantiles | None = getattr(round_[scenario], field) if scenario in round_ else None
        return None if quantiles is None else float(getattr(quantiles, part))

    def value(mine: Round, direct: Round) -> float | None:
        own, base = read(mine), read(direct) if added else 0.0
        # Of "direct" itself nothing is added.
        return None if own is None or base is None or (added and mine is direct) else own - base

    return value


def _per_answer_ms(scenario: str) -> Callable[[Round, Round], float | None]:
    return lambda mine, _: (
        mine[scenario].server_cpu / mine[scenario].answers * 1e3
        if scenario in mine and mine[scenario].answers
        else None
    )


def _rate(scenario: str, factor: float = 1.0) -> Callable[[Round, Round], float | None]:
    return lambda mine, _: (
        mine[scenario].answers / mine[scenario].window * factor
        if scenario in mine and mine[scenario].window
        else None
    )


def _core_percent(scenario: str) -> Callable[[Round, Round], float | None]:
    return lambda mine, _: (
        mine[scenario].server_cpu / mine[scenario].window * 100
        if scenario in mine and mine[scenario].window
        else None
    )


def _sections(connections: int, streams: int) -> list[tuple[str, list[_Row]]]:
    return [
        (
            "small buffered request, one at a time",
            [
                _Row("latency p50, ms", _quantile("one", "latency", "p50", added=False)),
                _Row("latency p99, ms", _quantile("one", "latency", "p99", added=False)),
                _Row("added p50, ms", _quantile("one", "latency", "p50", added=True)),
                _Row("added p99, ms", _quantile("one", "latency", "p99", added=True)),
                _Row("CPU ms per request", _per_answer_ms("one"), 3),
            ],
        ),
        (
            f"small buffered request, {connections} at a time",
            [
                _Row("requests/s", _rate("many"), 0),
                _Row("CPU ms per request", _per_answer_ms("many"), 3),
            ],
        ),
        (
            f"stream of {payloads.CHUNKS} chunks flat out, one at a time",
            [
                _Row(
                    "time to first token p50, ms", _quantile("stream_one", "first_token", "p50", added=False)
                ),
                _Row("added to it p50, ms", _quantile("stream_one", "first_token", "p50", added=True)),
                _Row("whole stream p50, ms", _quantile("stream_one", "latency", "p50", added=False)),
                _Row("CPU ms per stream", _per_answer_ms("stream_one"), 3),
            ],
        ),
        (
            f"stream of {payloads.CHUNKS} chunks flat out, {connections} at a time",
            [
                _Row("chunks/s", _rate("stream_many", payloads.CHUNKS), 0),
                _Row("CPU ms per stream", _per_answer_ms("stream_many"), 3),
            ],
        ),
        (
            f"{streams} streams at {payloads.PACED_RATE} tokens/s each",
            [
                _Row(f"tokens/s (due: {streams * payloads.PACED_RATE})", _rate("paced"), 0),
                _Row("% of one core", _core_percent("paced"), 1),
                _Row("token's way p50, ms", _quantile("paced", "latency", "p50", added=False)),
                _Row("token's way p99, ms", _quantile("paced", "latency", "p99", added=False)),
                _Row("added lateness p50, ms", _quantile("paced", "latency", "p50", added=True)),
                _Row("added lateness p99, ms", _quantile("paced", "latency", "p99", added=True)),
            ],
        ),
    ]


_LABEL_WIDTH = 34
_CELL_WIDTH = 18


def _cell(values: Sequence[float], digits: int) -> str:
    """The median, and half of the way from the lowest round to the highest."""
    if not values:
        return "-"
    text = f"{statistics.median(values):,.{digits}f}"
    return text if len(values) == 1 else f"{text} ±{(max(values) - min(values)) / 2:,.{digits}f}"


def _line(label: str, cells: Iterable[str]) -> str:
    return f"{label:<{_LABEL_WIDTH}}" + "".join(f"{cell:>{_CELL_WIDTH}}" for cell in cells)


def _values(row: _Row, mine: Outcome, direct: Outcome) -> list[float]:
    pairs = zip(mine.rounds, direct.rounds, strict=False)
    return [value for round_, base in pairs if (value := row.value(round_, base)) is not None]


def table(outcomes: Mapping[str, Outcome], *, connections: int, streams: int) -> str:
    """One table, a column per target; "direct" must be among them, and measured."""
    direct = outcomes["direct"]
    shown = {name: outcome for name, outcome in outcomes.items() if outcome.startup_seconds}
    lines = [_line("", shown)]
    for title, rows in _sections(connections, streams):
        lines.append(title)
        for row in rows:
            cells = [_cell(_values(row, outcome, direct), row.digits) for outcome in shown.values()]
            lines.append(_line(f"  {row.label}", cells))
    lines.append("the process")
    lines.append(_line("  spawn to first answer, s", [_cell(o.startup_seconds, 2) for o in shown.values()]))
    for when in ("idle", "loaded"):
        for kind in ("rss", "pss"):
            known = [outcome.memory_mib.get(f"{kind}_{when}") for outcome in shown.values()]
            cells = [_cell([] if value is None else [value], 1) for value in known]
            lines.append(_line(f"  {kind.upper()} {when}, MiB", cells))
    lines += [f"{name}: {outcome.note}" for name, outcome in outcomes.items() if outcome.note]
    return "\n".join(lines)


def verdicts(outcomes: Mapping[str, Outcome], *, streams: int) -> list[Verdict]:
    """Octoroute against its targets, each with the figures it follows from."""
    # Under load, where a core is fully used: one at a time adds a sleep and a wake-up to everybody's.
    buffered_cpu, stream_cpu = _per_answer_ms("many"), _per_answer_ms("stream_many")
    return [
        _ratio(outcomes, "CPU of a buffered request", buffered_cpu, "floor", "ms", at_most=2.5),
        _ratio(
            outcomes, f"CPU of a stream of {payloads.CHUNKS} chunks", stream_cpu, "floor", "ms", at_most=3.5
        ),
        _ratio(outcomes, "throughput", _rate("many"), "litellm", "requests/s", at_least=10.0),
        _paced(outcomes, streams, at_most=75.0),
    ]


def _median(
    outcomes: Mapping[str, Outcome], name: str, value: Callable[[Round, Round], float | None]
) -> float | None:
    values = _values(_Row("", value), outcomes[name], outcomes["direct"]) if name in outcomes else []
    return statistics.median(values) if values else None


def _ratio(
    outcomes: Mapping[str, Outcome],
    what: str,
    value: Callable[[Round, Round], float | None],
    other: str,
    unit: str,
    *,
    at_most: float | None = None,
    at_least: float | None = None,
) -> Verdict:
    limit = f"<= {at_most:g}" if at_most is not None else f">= {at_least:g}"
    wanted = f"{what} {limit} x {other}'s"
    mine, theirs = _median(outcomes, "octoroute", value), _median(outcomes, other, value)
    if mine is None or not theirs:
        return Verdict(f"{wanted}: not measured", None)
    ratio = mine / theirs
    passed = (at_most is None or ratio <= at_most) and (at_least is None or ratio >= at_least)
    return Verdict(f"{wanted}: {ratio:.2f} x ({mine:,.2f} to {theirs:,.2f} {unit})", passed)


def _paced(outcomes: Mapping[str, Outcome], streams: int, *, at_most: float) -> Verdict:
    wanted = f"{streams} streams at {payloads.PACED_RATE} tokens/s <= {at_most:g} % of one core"
    percent, rate = (_median(outcomes, "octoroute", read("paced")) for read in (_core_percent, _rate))
    if percent is None or rate is None:
        return Verdict(f"{wanted}: not measured", None)
    delivered = rate / (streams * payloads.PACED_RATE) * 100
    text = f"{wanted}: {percent:.1f} %, {delivered:.1f} % of the tokens delivered in time"
    return Verdict(text, percent <= at_most and delivered >= 99)

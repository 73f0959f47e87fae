"""The report of an evaluation as one HTML page that needs nothing else: tables, and the cost-quality curve as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from octoroute.evaluation import report
from octoroute.evaluation.metrics import Point
from octoroute.evaluation.result import Judged, Result

_WIDTH, _HEIGHT, _MARGIN = 720, 420, 56
_TICKS = 5
_MOST_POINTS = 200

_EXPLANATION = (
    "A curve sends the requests that its order puts first to deep and the others to fast. The strategy's order is the "
    "tier that it chose, and within a tier length, so that it is length's where nearly all is one tier. The hollow marks "
    "are what it really decides, with all three tiers (blue), and chance with the same mix of tiers (grey)."
)

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #6b7686; --line: #d8dde4; --paper: #fff;
  --strategy: #0b66c3; --length: #c2571a; --oracle: #2c8a4b; --random: #6b7686 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #9aa5b4; --line: #39424e; --paper: #14181d;
  --strategy: #5aa9f5; --length: #f0935a; --oracle: #63c585; --random: #9aa5b4 } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 84rem;
  margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; display: block; overflow-x: auto }
th, td { padding: .3rem .7rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap }
th:first-child, td:first-child { text-align: left }
svg { max-width: 100%; height: auto } svg text { fill: var(--soft); font-size: 12px }
p, li { color: var(--ink) } .note { color: var(--soft) }
"""


def to_html(result: Result) -> str:
    """The whole page."""
    body = [
        f"<h1>Routing quality: {escape(result.strategy)}</h1>",
        f"<p>{escape(report.heading(result))}</p>",
    ]
    if result.scores is not None:
        body += [
            _table(report.table(result, result.scores, report.COLUMNS)),
            _list([*report.findings(result, result.scores), report.gains(result, result.scores)]),
            "<h2>Cost and quality</h2>",
            _chart(result, result.scores),
            f'<p class="note">{_EXPLANATION}</p>',
        ]
    if result.labels is not None:
        body += [
            "<h2>Expected tiers</h2>",
            _table(report.table(result, result.labels.judged, {"quality": "right tier"})),
            _table(report.confusion(result.labels.confusion)),
        ]
    body += ["<h2>Decisions</h2>", _list(report.facts(result))]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Routing quality of {escape(result.file)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def _table(rows: Sequence[Sequence[str]]) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    body = "\n".join(row(cells, "td") for cells in rows[1:])
    return f"<table>\n<thead>{row(rows[0], 'th')}</thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def _list(lines: Sequence[str]) -> str:
    return "<ul>\n" + "\n".join(f"<li>{escape(line)}</li>" for line in lines) + "\n</ul>"


class _Scale:
    """From shares and qualities to places on the drawing."""

    def __init__(self, qualities: Sequence[float]) -> None:
        low, high = min(qualities), max(qualities)
        room = (high - low) * 0.08 or 0.01
        self.low, self.high = low - room, high + room

    def x(self, share: float) -> float:
        return round(_MARGIN + share * (_WIDTH - 1.5 * _MARGIN), 1)

    def y(self, quality: float) -> float:
        part = (quality - self.low) / (self.high - self.low)
        return round(_HEIGHT - _MARGIN - part * (_HEIGHT - 1.5 * _MARGIN), 1)


def _chart(result: Result, judged: Judged) -> str:
    named = {"oracle": "oracle", "length": "by length", "strategy": f"{result.strategy}, then length"}
    curves = {name: _thinned(result.curves[name]) for name in named}
    fast, deep = curves["strategy"][0], curves["strategy"][-1]
    marks = {
        name: Point(
            judged.standings[name].shares["deep"], judged.standings[name].metrics["quality"].value or 0
        )
        for name in ("random", "strategy")
    }
    scale = _Scale([point.quality for points in (*curves.values(), marks.values()) for point in points])
    drawn = [*_axes(scale), _line([fast, deep], "random", scale, dashed=True)]
    drawn += [_line(points, name, scale) for name, points in curves.items()]
    drawn += [
        f'<circle cx="{scale.x(point.deep)}" cy="{scale.y(point.quality)}" r="{7 if name == "random" else 5}" '
        f'fill="none" stroke="var(--{name})" stroke-width="2"><title>{escape(title)}</title></circle>'
        for (name, point), title in zip(
            marks.items(), ("chance with the same mix", f"{result.strategy} decides"), strict=True
        )
    ]
    drawn += _legend({**named, "random": "chance"})
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" role="img" '
        'aria-label="Mean quality over the share of calls to the deep tier">\n'
        + "\n".join(drawn)
        + "\n</svg>"
    )


def _thinned(points: Sequence[Point]) -> list[Point]:
    every = -(-len(points) // _MOST_POINTS)
    return [*points[:-1:every], points[-1]]


def _line(points: Sequence[Point], name: str, scale: _Scale, *, dashed: bool = False) -> str:
    places = " ".join(f"{scale.x(point.deep)},{scale.y(point.quality)}" for point in points)
    dashes = ' stroke-dasharray="5 4"' if dashed else ""
    return f'<polyline points="{places}" fill="none" stroke="var(--{name})" stroke-width="2"{dashes}/>'


def _axes(scale: _Scale) -> list[str]:
    left, right = scale.x(0), scale.x(1)
    bottom, top = _HEIGHT - _MARGIN, _MARGIN / 2
    drawn = []
    for tick in range(_TICKS + 1):
        share = tick / _TICKS
        quality = scale.low + share * (scale.high - scale.low)
        x, y = scale.x(share), scale.y(quality)
        drawn += [
            f'<line x1="{left}" x2="{right}" y1="{y}" y2="{y}" stroke="var(--line)"/>',
            f'<text x="{left - 8}" y="{y + 4}" text-anchor="end">{quality:.2f}</text>',
            f'<line x1="{x}" x2="{x}" y1="{top}" y2="{bottom}" stroke="var(--line)"/>',
            f'<text x="{x}" y="{bottom + 18}" text-anchor="middle">{share:.0%}</text>',
        ]
    middle = (left + right) / 2
    return [
        *drawn,
        f'<text x="{middle}" y="{_HEIGHT - 12}" text-anchor="middle">share of calls to deep</text>',
        f'<text x="{left}" y="14">mean quality</text>',
    ]


def _legend(names: dict[str, str]) -> list[str]:
    drawn = []
    for row, (name, label) in enumerate(names.items()):
        x, y = _WIDTH - 3.2 * _MARGIN, _HEIGHT - 1.5 * _MARGIN - 18 * (len(names) - 1 - row)
        drawn.append(
            f'<line x1="{x:g}" x2="{x + 22:g}" y1="{y - 4:g}" y2="{y - 4:g}" stroke="var(--{name})" stroke-width="2"/>'
            f'<text x="{x + 28:g}" y="{y:g}">{escape(label)}</text>'
        )
    return drawn

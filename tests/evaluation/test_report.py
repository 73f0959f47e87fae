"""The three forms of the report: they say the same, and the page needs nothing but itself."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import msgspec
import pytest
from msgspec.structs import replace

from octoroute.config.model import Tier
from octoroute.evaluation.dataset import Row
from octoroute.evaluation.intervals import Estimate
from octoroute.evaluation.page import to_html
from octoroute.evaluation.report import COLUMNS, estimate, findings, to_json, to_text
from octoroute.evaluation.result import Decided, Result, result
from octoroute.openai.request import Metadata, parse
from octoroute.routing.facts import gather
from octoroute.routing.router import by_rules

NAME = 'data "<script>&.jsonl'


def decided(prompt: str, scores: dict[Tier, float] | None, expected: Tier | None) -> Decided:
    request = parse(msgspec.json.encode({"messages": [{"role": "user", "content": prompt}]}))
    facts = gather(
        request.messages, importance=None, task_type=None, default_importance="normal", has_tools=False
    )
    row = Row(request, Metadata(), scores, expected)
    return Decided(row, by_rules(facts, "balanced"), facts, 0.001)


ROWS = [
    decided("Hello!", {"fast": 1, "balanced": 1, "deep": 1}, "fast"),
    decided("Prove that there are infinitely many primes.", {"fast": 0, "balanced": 0, "deep": 1}, "deep"),
    decided("Which city is the capital of France?", {"fast": 1, "balanced": 1, "deep": 1}, None),
    decided("xyzzy", None, "deep"),
] * 10


@pytest.fixture(scope="module")
def found() -> Result:
    return result(NAME, "rule", 50, ROWS, stopped=True, tier_fallback="up-down", resamples=100)


def test_the_table(found: Result) -> None:
    text = to_text(found)
    assert text.startswith(f"{NAME}: 40 of 50 rows, strategy rule; stopped early")
    lines = text.splitlines()
    heading = next(line for line in lines if "quality kept" in line)
    for column in ("fast", "balanced", "deep", *COLUMNS.values()):
        assert column in heading
    for name in ("rule", "random, same mix", "by length, same mix", "always fast", "always deep", "oracle"):
        assert any(line.startswith(f"{name} ") for line in lines)
    assert re.search(r"^rule +33\.3 % +33\.3 % +33\.3 % +100\.0 %", text, re.MULTILINE)
    assert re.search(r"^deep +0 +10 +10$", text, re.MULTILINE)  # of 20 that are deep's, half went to balanced
    assert "no evidence of the task in 10 rows (25.0 %)" in text
    assert "p50 1.00 ms, p95 1.00 ms" in text


def test_the_findings_are_measured(found: Result) -> None:
    assert found.scores is not None
    said = findings(found, found.scores)
    assert len(said) == 4
    assert all(re.search(r": (better|worse|no measurable difference)$", line) for line in said)
    own, beside_length = said[2:]
    assert own.startswith("order by tier, APGR: rule minus random, same mix: +")
    assert beside_length.startswith("order by tier, then length, APGR: rule minus by length, same mix: +")


def test_it_tells_where_deep_would_make_a_difference(found: Result) -> None:
    line = "what deep adds to fast, quality kept, where rule says: fast +0.0 points, balanced +0.0 points, deep +100.0"
    assert line in to_text(found)
    assert line in to_html(found)
    assert json.loads(to_json(found))["scores"]["gains"]["deep"]["value"] == 1


def test_the_strategy_is_not_praised_for_what_length_knows() -> None:
    rows = [
        decided(f"xyzzy{' xyzzy' * (number % 50)}", {"fast": 0, "deep": number % 50 > 25}, None)
        for number in range(200)
    ]
    found = result("x", "rule", 200, rows, stopped=False, tier_fallback="up-down", resamples=100)
    assert found.scores is not None
    assert (found.scores.standings["strategy"].metrics["apgr"].value or 0) > 0.7
    assert findings(found, found.scores)[2:] == [
        "order by tier, APGR: rule minus random, same mix: +0.000: no measurable difference",
        "order by tier, then length, APGR: rule minus by length, same mix: +0.000: no measurable difference",
    ]


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.001, 0.002, "better"),
        (-0.002, -0.001, "worse"),
        (-0.001, 0.002, "no measurable difference"),
        (-0.0004, -0.0001, "no measurable difference"),  # all of it is shown as 0.000
        (None, None, "no interval"),
    ],
)
def test_the_verdict_is_of_what_is_shown(
    found: Result, low: float | None, high: float | None, verdict: str
) -> None:
    assert found.scores is not None
    by_length = {**found.scores.differences["length"], "apgr": Estimate(0, low, high)}
    scores = replace(found.scores, differences={**found.scores.differences, "length": by_length})
    assert findings(found, scores)[-1].endswith(f": {verdict}")


def test_json_has_all_of_it(found: Result) -> None:
    answer = json.loads(to_json(found))
    assert (answer["file"], answer["rows"], answer["decided"], answer["stopped"]) == (NAME, 50, 40, True)
    own = answer["scores"]["standings"]["strategy"]
    assert own["metrics"].keys() >= COLUMNS.keys()
    assert own["metrics"]["apgr"].keys() == {"value", "low", "high"}
    assert own["shares"].keys() == {"fast", "balanced", "deep"}
    assert answer["labels"]["confusion"]["fast"]["fast"] == 10
    assert answer["reasons"]["casual_chat"] == 10
    assert answer["latency_ms"] == {"p50": 1.0, "p95": 1.0}
    assert "Hello" not in to_json(found)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.links += [value or "" for name, value in attrs if name in {"src", "href", "xlink:href"}]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_one_well_formed_file_without_anything_from_elsewhere(found: Result) -> None:
    html = to_html(found)
    page = _Page()
    page.feed(html)
    page.close()
    assert page.open == []
    assert page.links == []
    assert "script" not in page.seen
    assert not re.search(r"https?://|url\(|@import", html)
    assert page.seen.count("table") == 3
    assert page.seen.count("svg") == 1
    assert "data &quot;&lt;script&gt;&amp;.jsonl" in html
    drawing = ET.fromstring(html[html.index("<svg") : html.index("</svg>") + 6])
    assert len(drawing.findall("polyline")) == 4
    width, height = (float(drawing.attrib[name]) for name in ("width", "height"))
    for line in drawing.findall("polyline"):
        for point in line.attrib["points"].split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= width
            assert 0 <= y <= height


def test_labels_alone_and_scores_alone() -> None:
    for rows, table, svgs in (([ROWS[3]], "right tier", 0), ([ROWS[2]], "quality kept", 1)):
        found = result("x", "rule", 1, rows, stopped=False, tier_fallback="up-down", resamples=10)
        assert table in to_text(found)
        assert ("right tier" in to_text(found)) is (table == "right tier")
        assert to_html(found).count("<svg") == svgs


@pytest.mark.parametrize(
    ("value", "plain", "signed", "shown"),
    [
        (Estimate(None), True, False, "\N{EN DASH}"),
        (Estimate(0.5), True, False, "0.500"),
        (Estimate(0.5, 0.5, 0.5), False, False, "50.0 %"),
        (Estimate(0.5, 0.25, 0.75), False, False, "50.0 % (25.0 … 75.0)"),
        (Estimate(0.01, -0.02, 0.04), True, True, "+0.010 (-0.020 … +0.040)"),
        (Estimate(0.01, -0.02, 0.04), False, True, "+1.0 points (-2.0 … +4.0)"),
    ],
)
def test_an_estimate(value: Estimate, plain: bool, signed: bool, shown: str) -> None:
    assert estimate(value, plain=plain, signed=signed) == shown

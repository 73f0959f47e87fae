"""Rows are decided by the rules, or by a scripted router model through the router itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import trio

from octoroute.config.model import Config, Endpoint, Retry, Routing, Tier, TierFallback
from octoroute.evaluation.dataset import Row
from octoroute.evaluation.result import Decided, Result, result
from octoroute.evaluation.run import Run
from octoroute.openai.request import Metadata, parse
from tests.fakes.model_server import Exchange, FakeModelServer, Ok, Status

SECONDS = 20


def row(
    prompt: str, expected: Tier | None = None, scores: dict[Tier, float] | None = None, **metadata: Any
) -> Row:
    body = msgspec.json.encode({"messages": [{"role": "user", "content": prompt}]})
    return Row(parse(body), Metadata(**metadata), scores, expected)


def config(fake: FakeModelServer | None = None, **routing: Any) -> Config:
    models: dict[Tier, tuple[Endpoint, ...]] = {}
    if fake is not None:
        models = {"balanced": (Endpoint(name="router", base_url=fake.base_url),)}
    return Config(models=models, routing=Routing(**routing), retry=Retry(backoff_ms=0))


async def decided(rows: Sequence[Row], settings: Config, concurrency: int = 4) -> list[Decided]:
    run = Run(rows, settings, concurrency=concurrency)
    steps: list[None] = []
    with trio.fail_after(SECONDS):
        await run.run(lambda: steps.append(None))
    assert len(steps) == len(run.decided) == len(rows)
    assert not run.stopped
    return run.decided


def summed(found: Sequence[Decided], strategy: str = "rule") -> Result:
    return result(
        "data.jsonl", strategy, len(found), found, stopped=False, tier_fallback="up-down", resamples=20
    )


async def test_the_rules_decide_offline() -> None:
    rows = [
        row("Hello!", "fast"),
        row("xyzzy", "deep"),
        row("xyzzy", "deep", importance="high"),
        row("Hello!", "balanced", task_type="code"),
    ]
    found = await decided(rows, config(strategy="rule", default_tier="deep"))
    assert [each.route.tier for each in found] == ["fast", "deep", "deep", "balanced"]
    summary = summed(found)
    assert summary.labels is not None
    assert summary.labels.judged.standings["strategy"].metrics["quality"].value == 1
    assert summary.labels.confusion["deep"] == {"fast": 0, "balanced": 0, "deep": 2}
    assert summary.no_evidence == 2
    assert summary.scores is None


async def test_a_router_model_decides() -> None:
    most = now = 0

    async def answer(exchange: Exchange) -> None:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await trio.sleep(0.02)
        word = "DEEP" if "prove" in str(exchange.asked["messages"]) else "FAST"
        await Ok([word])(exchange)
        now -= 1

    async with FakeModelServer("router") as fake:
        fake.behaviour = answer
        rows = [row(f"xyzzy {number}", scores={"fast": 1, "deep": 1}) for number in range(10)]
        rows += [row(f"prove xyzzy {number}", scores={"fast": 0, "deep": 1}) for number in range(10)]
        found = await decided(rows, config(fake, strategy="llm"), concurrency=3)
    assert 1 < most <= 3
    summary = summed(found, "llm")
    assert summary.by_model == 20
    assert summary.reasons.keys() <= {"llm", "cached_decision", "llm_unsure"}
    assert summary.scores is not None
    own = summary.scores.standings["strategy"]
    assert own.metrics["quality_kept"].value == 1
    assert own.metrics["deep_calls_saved"].value == 0.5
    assert own.metrics["apgr"].value == 0.75  # of all orders of two kinds, the best
    assert summary.latency_ms.p50 > 10


async def test_what_is_decided_late_keeps_its_place() -> None:
    async def answer(exchange: Exchange) -> None:
        await trio.sleep(0.3 if "first" in str(exchange.asked["messages"]) else 0)
        await Ok(["FAST"])(exchange)

    async with FakeModelServer("router") as fake:
        fake.behaviour = answer
        rows = [row(f"xyzzy {name}", "fast") for name in ("first", "second", "third")]
        found = await decided(rows, config(fake, strategy="llm"), concurrency=3)
    assert [each.row for each in found] == rows


async def test_hybrid_asks_only_where_the_rules_are_silent() -> None:
    async with FakeModelServer("router") as fake:
        fake.behaviour = Ok(["DEEP"])
        found = await decided([row("Hello!"), row("xyzzy")], config(fake, strategy="hybrid"))
        asked = len(fake.chats)
    assert asked == 1
    assert {each.route.strategy: each.route.tier for each in found} == {"rule": "fast", "llm": "deep"}


async def test_a_router_model_that_is_broken_costs_no_row() -> None:
    async with FakeModelServer("router") as fake:
        fake.behaviour = Status(500, {"error": {"message": "broken"}})
        found = await decided(
            [row(f"xyzzy {number}", "fast") for number in range(6)], config(fake, strategy="llm")
        )
    assert {each.route.tier for each in found} == {"balanced"}
    assert summed(found, "llm").router_unavailable == 6


async def test_balanced_without_a_score_is_answered_by_its_neighbour() -> None:
    rows = [
        row("xyzzy", scores={"fast": 0, "deep": 1}),
        row("Hello!", scores={"fast": 1, "balanced": 0, "deep": 1}),
    ]
    found = await decided(rows, config(strategy="rule"))
    cases: list[tuple[TierFallback, list[float], float]] = [
        ("up-down", [0.5, 0, 0.5], 1.0),
        ("down", [1, 0, 0], 0.5),
        ("none", [0.5, 0, 0.5], 1.0),
    ]
    for fallback, shares, kept in cases:
        summary = result("x", "rule", 2, found, stopped=False, tier_fallback=fallback, resamples=0)
        assert summary.scores is not None
        own = summary.scores.standings["strategy"]
        assert list(own.shares.values()) == shares
        assert own.metrics["quality_kept"].value == kept
        assert summary.scores.standings["oracle"].shares["balanced"] == 0

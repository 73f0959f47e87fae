"""Which tier: what the client asked for, else what the rules say; and what the request needs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octoroute.config.model import TIERS, Config, Endpoint, Importance, Routing
from octoroute.errors import ModelNotFound
from octoroute.fleet.fleet import Fleet, Needs
from octoroute.openai.request import ChatRequest, Metadata, TaskType, parse
from octoroute.routing.facts import Facts
from octoroute.routing.route import Route
from octoroute.routing.router import Decision, Router, by_rules, router_for


def asking(text: Any = "hi", model: str | None = None, **more: Any) -> ChatRequest:
    body = {"messages": [{"role": "user", "content": text}], **more}
    return parse(json.dumps(body if model is None else {"model": model, **body}).encode())


def router(**settings: Any) -> Router:
    endpoint = Endpoint(name="Qwen-8B", base_url="http://x.invalid/v1", aliases=("gpt-4o-mini",))
    config = Config(models={"fast": (endpoint,)}, routing=Routing(**{"strategy": "rule", **settings}))
    return router_for(config.routing, Fleet(config, publish=lambda _: None), lambda _: None)


async def decided(request: ChatRequest, metadata: Metadata | None = None, **settings: Any) -> Decision:
    return await router(**settings).decide(request, metadata or request.metadata)


@pytest.mark.parametrize("model", ["fast", "Fast", "balanced", "DEEP"])
async def test_a_tier_that_is_asked_for_is_not_argued_with(model: str) -> None:
    decision = await decided(asking(model=model), Metadata("high", "deep_analysis"))
    assert decision.route == Route(model.lower(), "direct", "tier_requested")  # type: ignore[arg-type]
    assert decision.facts is None


@pytest.mark.parametrize("model", ["Qwen-8B", "qwen-8b", "GPT-4o-mini"])
async def test_an_endpoint_that_is_asked_for_is_the_only_one(model: str) -> None:
    decision = await decided(asking(model=model))
    assert decision.route == Route("fast", "direct", "endpoint_requested", name="Qwen-8B")
    assert decision.facts is None


async def test_an_unknown_model_is_not_routed() -> None:
    with pytest.raises(ModelNotFound):
        await decided(asking(model="gpt-5"))


SAID: list[tuple[Importance | None, TaskType | None, str, tuple[str, str, int]]] = [
    ("normal", "casual_chat", "hi", ("fast", "casual_chat", 1)),
    ("low", "casual_chat", "hi", ("fast", "casual_chat", 1)),
    ("high", "question_answer", "hi", ("deep", "important", 2)),
    ("normal", "deep_analysis", "hi", ("deep", "deep_analysis", 2)),
    ("low", "creative_writing", "hi", ("deep", "creative_writing", 2)),
    ("normal", "code", "hi", ("balanced", "code", 3)),
    ("normal", "code", "x" * 4 * 1025, ("deep", "long_code", 3)),
    ("normal", "question_answer", "x" * 800, ("balanced", "question", 4)),
    ("normal", "document_summary", "x" * 800, ("balanced", "document", 4)),
    ("normal", "question_answer", "hi", ("deep", "no_rule", 5)),
    ("high", "casual_chat", "hi", ("deep", "no_rule", 5)),
    ("normal", "casual_chat", "x" * 1024, ("deep", "no_rule", 5)),
]


@pytest.mark.parametrize(("importance", "task_type", "text", "expected"), SAID)
@pytest.mark.parametrize("model", [None, "", "auto", "AUTO"])
async def test_the_first_rule_that_matches_decides(
    model: str | None,
    importance: Importance | None,
    task_type: TaskType | None,
    text: str,
    expected: tuple[str, str, int],
) -> None:
    decision = await decided(asking(text, model), Metadata(importance, task_type), default_tier="deep")
    route = decision.route
    assert (route.tier, route.reason, route.rule) == expected
    assert (route.strategy, route.name, route.warning) == ("rule", None, None)
    assert decision.facts is not None
    assert (decision.facts.importance, decision.facts.task_type) == (importance, task_type)
    assert decision.seconds >= 0


@pytest.mark.parametrize("default_tier", TIERS)
async def test_no_evidence_goes_to_the_default_tier(default_tier: Any) -> None:
    decision = await decided(asking("xyzzy"), default_tier=default_tier)
    assert decision.route == Route(default_tier, "rule", "no_evidence", 5)


async def test_what_the_body_says_of_itself_counts() -> None:
    request = asking("xyzzy", metadata={"importance": "High", "task_type": "question_answer"})
    assert (await decided(request)).route.reason == "important"


async def test_the_default_importance_is_the_configurations() -> None:
    decision = await decided(asking("xyzzy"), Metadata(None, "question_answer"), default_importance="high")
    assert decision.route.reason == "important"


FACTS = st.builds(
    Facts,
    tokens=st.integers(0, 4000),
    turns=st.just(1),
    importance=st.sampled_from(["low", "normal", "high"]),
    importance_given=st.booleans(),
    task_type=st.none()
    | st.sampled_from(
        ["casual_chat", "code", "creative_writing", "deep_analysis", "document_summary", "question_answer"]
    ),
    task_type_given=st.booleans(),
)


@given(FACTS, st.sampled_from(TIERS))
def test_rules_are_the_contracts(facts: Facts, default_tier: Any) -> None:
    """The contract's list again, written down from it and from nothing else."""
    task, tokens, high = facts.task_type, facts.tokens, facts.importance == "high"
    if task == "casual_chat" and tokens < 256 and not high:
        expected = ("fast", 1)
    elif (high and task != "casual_chat") or task in {"deep_analysis", "creative_writing"}:
        expected = ("deep", 2)
    elif task == "code":
        expected = ("deep" if tokens > 1024 else "balanced", 3)
    elif task in {"question_answer", "document_summary"} and 200 <= tokens <= 2047:
        expected = ("balanced", 4)
    else:
        expected = (default_tier, 5)
    route = by_rules(facts, default_tier)
    assert (route.tier, route.rule) == expected
    assert (route.rule == 5) is (route.reason in {"no_rule", "no_evidence"})


@pytest.mark.parametrize("model", ["auto", "fast", "Qwen-8B"])
@pytest.mark.parametrize(
    ("content", "more", "expected"),
    [
        ("x" * 400, {}, Needs(100)),
        ("äöü€" * 2, {}, Needs(2)),  # characters, not bytes
        (None, {}, Needs(0)),
        ([{"type": "text", "text": "x" * 40}, {"type": "image_url"}], {}, Needs(10, vision=True)),
        ([{"type": "image"}], {}, Needs(0, vision=True)),
        ([{"type": "input_image"}], {}, Needs(0, vision=True)),
        ([{"type": "input_audio"}], {}, Needs(0)),
        ("", {"tools": [{"type": "function"}]}, Needs(0, tools=True)),
        ("", {"tools": []}, Needs(0)),
    ],
)
async def test_needs_are_the_same_whoever_decides_the_tier(
    model: str, content: Any, more: dict[str, Any], expected: Needs
) -> None:
    assert (await decided(asking(content, model, **more))).needs == expected

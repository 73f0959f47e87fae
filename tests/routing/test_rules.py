"""The rules of the contract, in its order."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from octoroute.config.model import Importance
from octoroute.openai.request import Message, TaskType
from octoroute.routing.facts import Facts, gather
from octoroute.routing.rules import RULES, Match, match, silence


def facts(task_type: TaskType | None, tokens: int = 10, importance: Importance = "normal") -> Facts:
    return Facts(
        tokens=tokens,
        turns=1,
        importance=importance,
        importance_given=False,
        task_type=task_type,
        task_type_given=False,
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        # 1
        (facts("casual_chat", 0), Match(1, "fast", "casual_chat")),
        (facts("casual_chat", 255, "low"), Match(1, "fast", "casual_chat")),
        (facts("casual_chat", 256), None),
        (facts("casual_chat", 10, "high"), None),
        # 2
        (facts("code", 10, "high"), Match(2, "deep", "important")),
        (facts("question_answer", 500, "high"), Match(2, "deep", "important")),
        (facts("deep_analysis", 10, "high"), Match(2, "deep", "important")),
        (facts(None, 10, "high"), Match(2, "deep", "important")),
        (facts("deep_analysis", 10, "low"), Match(2, "deep", "deep_analysis")),
        (facts("creative_writing", 10), Match(2, "deep", "creative_writing")),
        # 3
        (facts("code", 1024), Match(3, "balanced", "code")),
        (facts("code", 1025), Match(3, "deep", "long_code")),
        # 4
        (facts("question_answer", 199), None),
        (facts("question_answer", 200), Match(4, "balanced", "question")),
        (facts("question_answer", 2047), Match(4, "balanced", "question")),
        (facts("question_answer", 2048), None),
        (facts("document_summary", 199), None),
        (facts("document_summary", 200, "low"), Match(4, "balanced", "document")),
        (facts("document_summary", 2048), None),
        # 5
        (facts(None, 10), None),
        (facts(None, 500, "low"), None),
    ],
)
def test_the_first_rule_that_matches(given: Facts, expected: Match | None) -> None:
    assert match(given) == expected


def test_silence_tells_the_unknown_from_the_unruled() -> None:
    assert silence(facts(None)) == "no_evidence"
    assert silence(facts("question_answer")) == "no_rule"


def test_every_rule_is_explained() -> None:
    numbers = (
        get_args(Match.__annotations__["rule"])
        if not isinstance(Match.__annotations__["rule"], str)
        else (1, 2, 3, 4)
    )
    assert list(RULES) == [*numbers, 5]


@pytest.mark.parametrize(
    ("prompt", "given", "expected"),
    [
        ("What's the weather like?", {}, Match(1, "fast", "casual_chat")),
        ("Hello!", {}, Match(1, "fast", "casual_chat")),
        ("Design a distributed consensus algorithm", {"importance": "high"}, Match(2, "deep", "important")),
        ("Review for security issues", {"importance": "high"}, Match(2, "deep", "important")),
        ("Write a poem", {}, Match(2, "deep", "creative_writing")),
        (
            "Explain quantum computing in simple terms",
            {"importance": "normal", "task_type": "question_answer"},
            None,
        ),
        ("Explain this function", {}, Match(3, "balanced", "code")),
    ],
)
def test_the_seeds_examples(prompt: str, given: dict[str, Any], expected: Match | None) -> None:
    arguments = {"importance": None, "task_type": None, **given}
    got = gather([Message("user", prompt)], default_importance="normal", has_tools=False, **arguments)
    assert match(got) == expected

"""The rules: which tier the facts ask for. Pure, numbered, and in an order that matters.

1. `casual_chat`, under 256 tokens, importance not high                  -> fast
2. importance high (and not `casual_chat`), or `deep_analysis`, or `creative_writing` -> deep
3. `code`                                                                -> deep over 1024 tokens, else balanced
4. `question_answer` or `document_summary` of 200 to 2047 tokens         -> balanced
5. otherwise no rule matches: `rule` takes the default tier, `hybrid` asks a model

No evidence is not evidence of small talk: a task type of None meets rule 1 never, and rule 2 only by importance.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from octoroute.config.model import Tier
from octoroute.routing.facts import Facts
from octoroute.routing.route import RuleReason, Silence

CASUAL_TOKENS = 256
"""Rule 1: small talk is shorter than this."""
CODE_TOKENS = 1024
"""Rule 3: code that is longer than this is for the deep tier."""
QUESTION_TOKENS = range(200, 2048)
"""Rule 4: how long questions and documents are that the balanced tier answers without being asked about."""

RULES: dict[int, str] = {
    1: f"small talk under {CASUAL_TOKENS} tokens, unless it is important -> fast",
    2: "important (and not small talk), or deep analysis, or creative writing -> deep",
    3: f"code -> deep over {CODE_TOKENS} tokens, else balanced",
    4: f"a question or a document of {QUESTION_TOKENS.start} to {QUESTION_TOKENS.stop - 1} tokens -> balanced",
    5: "otherwise no rule matches: the default tier under strategy rule, a model decides under hybrid",
}
"""Each rule in words."""


class Match(msgspec.Struct, frozen=True):
    """The first rule that matches: its number, the tier it asks for, and why."""

    rule: Literal[1, 2, 3, 4]
    tier: Tier
    reason: RuleReason


def match(facts: Facts) -> Match | None:
    """The first rule that `facts` meet; None where none does (rule 5)."""
    task, tokens = facts.task_type, facts.tokens
    important = facts.importance == "high"
    if task == "casual_chat" and tokens < CASUAL_TOKENS and not important:
        return Match(1, "fast", "casual_chat")
    if important and task != "casual_chat":
        return Match(2, "deep", "important")
    if task == "deep_analysis":
        return Match(2, "deep", "deep_analysis")
    if task == "creative_writing":
        return Match(2, "deep", "creative_writing")
    if task == "code":
        return Match(3, "deep", "long_code") if tokens > CODE_TOKENS else Match(3, "balanced", "code")
    if task == "question_answer" and tokens in QUESTION_TOKENS:
        return Match(4, "balanced", "question")
    if task == "document_summary" and tokens in QUESTION_TOKENS:
        return Match(4, "balanced", "document")
    return None


def silence(facts: Facts) -> Silence:
    """Why no rule matched (rule 5): the task is known and no rule is about it, or nothing tells the task."""
    return "no_evidence" if facts.task_type is None else "no_rule"

"""The decision about one request: which tier, and why."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from octoroute.config.model import Tier

Strategy = Literal["rule", "llm", "direct"]
"""Who decided: a rule (or its default), a model, or the client itself."""

RuleReason = Literal[
    "casual_chat",
    "important",
    "deep_analysis",
    "creative_writing",
    "code",
    "long_code",
    "question",
    "document",
]
"""The rule that matched, in a word."""

Silence = Literal["no_rule", "no_evidence"]
"""Why none did."""

Reason = Literal[
    RuleReason,
    Silence,
    "llm",
    "llm_unsure",
    "cached_decision",
    "sticky",
    "router_unavailable",
    "tier_requested",
    "endpoint_requested",
    "needs_context",
    "needs_vision",
    "needs_tools",
    "fallback_up",
    "fallback_down",
]
"""Why the tier that answered did: a closed set."""


class Route(Struct, frozen=True):
    """Where a request goes. `name` limits it to the endpoints of that name; `rule` is 1 to 5 where rules were asked.

    `confidence` is a model's in its answer, out of 1, where it told.
    """

    tier: Tier
    strategy: Strategy
    reason: Reason
    rule: int | None = None
    name: str | None = None
    warning: str | None = None
    confidence: float | None = None

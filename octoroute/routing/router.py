"""Which tier a request goes to: what the client asked for, else what the rules say."""

from __future__ import annotations

import trio
from msgspec import Struct

from octoroute.config import model as config
from octoroute.fleet.fleet import Fleet, Needs
from octoroute.openai.request import ChatRequest, Metadata
from octoroute.routing import rules
from octoroute.routing.facts import IMAGE_PARTS, Facts, gather
from octoroute.routing.route import Route

NO_RULE = 5
"""The number of "no rule matches" in the contract's list."""


class Decision(Struct, frozen=True):
    """A route, what it was decided from, and how long that took. `facts` is None where nothing was to decide."""

    route: Route
    needs: Needs
    facts: Facts | None
    seconds: float


class Router:
    """Decides with one configuration."""

    def __init__(self, settings: config.Routing, fleet: Fleet) -> None:
        self._settings = settings
        self._fleet = fleet

    async def decide(self, request: ChatRequest, metadata: Metadata) -> Decision:
        """The decision for `request`; `metadata` is what its headers and body say of it.

        Raises:
            ModelNotFound: `model` names nothing.
        """
        start = trio.current_time()
        target = self._fleet.resolve(request.model)
        facts = None
        if target.name is not None and target.tier is not None:
            route = Route(target.tier, "direct", "endpoint_requested", name=target.name)
        elif target.tier is not None:
            route = Route(target.tier, "direct", "tier_requested")
        else:
            facts = gather(
                request.messages,
                importance=metadata.importance,
                task_type=metadata.task_type,
                default_importance=self._settings.default_importance,
                has_tools=request.has_tools,
            )
            route = by_rules(facts, self._settings.default_tier)
        return Decision(route, needs_of(request, facts), facts, trio.current_time() - start)


def by_rules(facts: Facts, default_tier: config.Tier) -> Route:
    """The first rule that matches; where none does, the default tier, saying that it is one."""
    match = rules.match(facts)
    if match is None:
        return Route(default_tier, "rule", rules.silence(facts), NO_RULE)
    return Route(match.tier, "rule", match.reason, match.rule)


def needs_of(request: ChatRequest, facts: Facts | None) -> Needs:
    """What a request asks of an endpoint, whoever decides its tier."""
    if facts is not None:
        return Needs(tokens=facts.tokens, vision=facts.has_images, tools=facts.has_tools)
    return Needs(
        tokens=sum(len(message.text()) for message in request.messages) // 4,
        vision=not IMAGE_PARTS.isdisjoint(
            kind for message in request.messages for kind in message.part_types()
        ),
        tools=request.has_tools,
    )

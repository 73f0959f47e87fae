"""Which tier a request goes to: what the client asked for, else what the rules say, else what a model says."""

from __future__ import annotations

import trio
from msgspec import Struct
from msgspec.structs import replace

from octoroute.config import model as config
from octoroute.fleet.fleet import Fleet, Needs
from octoroute.openai.request import ChatRequest, Metadata
from octoroute.routing import rules
from octoroute.routing.classifier import Classifier, Judgement
from octoroute.routing.decisions import Decisions
from octoroute.routing.facts import IMAGE_PARTS, Facts, gather
from octoroute.routing.question import question_of
from octoroute.routing.route import Route
from octoroute.routing.stickiness import Stickiness, conversation_of, higher
from octoroute.telemetry.events import Publish

NO_RULE = 5
"""The number of "no rule matches" in the contract's list."""


class Decision(Struct, frozen=True):
    """A route, what it was decided from, and how long that took. `facts` is None where nothing was to decide.

    `waited` are those of the `seconds` in which a router model was waited for.
    """

    route: Route
    needs: Needs
    facts: Facts | None
    seconds: float
    waited: float = 0.0


class Router:
    """Decides with one configuration. What it remembers is in the three objects that it is given."""

    def __init__(
        self,
        settings: config.Routing,
        fleet: Fleet,
        classifier: Classifier,
        decisions: Decisions,
        stickiness: Stickiness,
    ) -> None:
        self._settings = settings
        self._fleet = fleet
        self._classifier = classifier
        self._decisions = decisions
        self.stickiness = stickiness

    async def decide(
        self, request: ChatRequest, metadata: Metadata, *, client: str = "", session: str | None = None
    ) -> Decision:
        """The decision for `request`; `metadata` is what its headers and body say of it.

        `client` and, where it names one, its `session` tell whose conversation it is.

        Raises:
            ModelNotFound: `model` names nothing.
        """
        start = trio.current_time()
        target = self._fleet.resolve(request.model)
        if target.name is not None and target.tier is not None:
            route = Route(target.tier, "direct", "endpoint_requested", name=target.name)
        elif target.tier is not None:
            route = Route(target.tier, "direct", "tier_requested")
        else:
            return await self._decide(request, metadata, start, client, session)
        return Decision(route, needs_of(request, None), None, trio.current_time() - start)

    async def _decide(
        self, request: ChatRequest, metadata: Metadata, start: float, client: str, session: str | None
    ) -> Decision:
        """1. The facts. 2. The conversation's tier, if any. 3. The rules. 4. A model. 5. The higher of 2 and 3 or 4."""
        facts = gather(
            request.messages,
            importance=metadata.importance,
            task_type=metadata.task_type,
            default_importance=self._settings.default_importance,
            has_tools=request.has_tools,
        )
        held = conversation = None
        if self.stickiness.on and not facts.background:
            conversation = conversation_of(client, session, request.messages)
            held = self.stickiness.held(conversation, start)
        waited = 0.0
        if not needs_model(self._settings.strategy, facts):
            route = by_rules(facts, self._settings.default_tier)
        elif held == config.TIERS[-1]:
            route = Route(held, "rule", "sticky")  # whatever a model said, it could not go higher
        else:
            asked = trio.current_time()
            route = await self._by_model(request, facts)
            waited = trio.current_time() - asked
        if conversation is not None:
            tier = higher(route.tier, held)
            if tier != route.tier:
                route = replace(route, tier=tier, reason="sticky", rule=None)
            self.stickiness.keep(conversation, tier, trio.current_time())
        return Decision(route, needs_of(request, facts), facts, trio.current_time() - start, waited)

    async def _by_model(self, request: ChatRequest, facts: Facts) -> Route:
        """What a router model says, now or a while ago to the same question; the default tier where none does."""
        question = question_of(facts, request.messages)
        key = question.key()
        known = self._decisions.known(key)
        if known is not None and known.tier is not None:
            return Route(known.tier, "llm", "cached_decision", confidence=known.confidence)
        deadline = self._classifier.deadline()

        async def ask() -> Judgement:
            return await self._classifier.ask(question, deadline)

        judgement = await self._decisions.judgement(key, ask, deadline)
        if judgement.tier is None:
            default = self._settings.default_tier
            warning = f"the router model {judgement.failed}; tier {default} by default"
            return Route(default, "rule", "router_unavailable", warning=warning)
        return Route(
            judgement.tier,
            "llm",
            "llm_unsure" if judgement.unsure else "llm",
            confidence=judgement.confidence,
        )


def router_for(
    settings: config.Routing, fleet: Fleet, publish: Publish, *, previous: Router | None = None
) -> Router:
    """A router with all that it remembers.

    After a `previous` one (a reload) conversations stay at their tiers; what models decide may have changed.
    """
    return Router(
        settings,
        fleet,
        Classifier(settings, fleet, publish),
        Decisions(settings.decision_ttl_seconds),
        Stickiness(settings.sticky_seconds, previous=previous.stickiness if previous else None),
    )


def needs_model(strategy: config.Strategy, facts: Facts) -> bool:
    """Whether a model is asked. Under `hybrid` not about a front end's own small jobs: they are to cost little."""
    match strategy:
        case "rule":
            return False
        case "llm":
            return True
        case "hybrid":
            return rules.match(facts) is None and not facts.background


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

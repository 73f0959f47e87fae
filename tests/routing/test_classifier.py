"""Asking router models: two tries on two endpoints, bounded; what is refused, ignored, late or broken. Virtual time."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec
import pytest
import trio
from trio.testing import MockClock

from octoroute.config.model import RouterTimeouts
from octoroute.fleet.fleet import Fleet
from octoroute.routing.classifier import MAX_BODY, Breaker, Classifier, Judgement
from octoroute.telemetry.events import Event, RouterAsked
from tests.routing.router_model import Body, Reply, RouterModel, fleet_of, question, refuses, says

TIMEOUT = 10


class Asking:
    """A classifier before these router models."""

    def __init__(self, *models: RouterModel, endpoint: Any = None, **routing: Any) -> None:
        self.events: list[Event] = []
        self.models = models
        self.fleet: Fleet
        self.fleet, config = fleet_of(models, self.events, endpoint=endpoint, **routing)
        self.classifier = Classifier(config.routing, self.fleet, self.events.append)

    def prefer_the_first(self) -> None:
        first = self.fleet.tiers["balanced"][0]
        first.settings = msgspec.structs.replace(first.settings, priority=9)

    async def ask(self, text: str = "xyzzy") -> Judgement:
        start = trio.current_time()
        judgement = await self.classifier.ask(question(text), self.classifier.deadline())
        assert trio.current_time() - start <= 2 * TIMEOUT + 0.001
        assert all(endpoint.in_flight == 0 for endpoint in self.fleet)
        return judgement

    @property
    def tries(self) -> list[RouterAsked]:
        return [event for event in self.events if isinstance(event, RouterAsked)]

    @property
    def failures(self) -> list[int]:
        return [endpoint.health.failures for endpoint in self.fleet.tiers["balanced"]]


async def test_a_word_is_a_decision(autojump_clock: MockClock) -> None:
    asking = Asking(RouterModel(says("DEEP")))
    assert await asking.ask() == Judgement("deep")
    (tried,) = asking.tries
    assert (tried.endpoint, tried.cause, tried.tokens_in, tried.tokens_out) == ("router-1", None, 100, 3)


async def test_it_asks_for_the_model_by_the_name_that_its_server_knows(autojump_clock: MockClock) -> None:
    model = RouterModel(says("FAST"))
    await Asking(model, endpoint={"model": "qwen2.5:7b"}).ask()
    assert model.asked[0]["model"] == "qwen2.5:7b"


@pytest.mark.parametrize(
    ("min_confidence", "expected"),
    [(0.5, ("fast", False)), (0.9, ("deep", True)), (0.0, ("fast", False))],
)
async def test_confidence_is_compared(
    autojump_clock: MockClock, min_confidence: float, expected: tuple[str, bool]
) -> None:
    top = [
        {"token": "F", "logprob": -0.5108},
        {"token": "D", "logprob": -1.2040},
        {"token": "B", "logprob": -2.3},
    ]
    logprobs = {
        "content": [{"token": "F", "logprob": -0.5108, "top_logprobs": top}, {"token": "AST", "logprob": 0}]
    }
    asking = Asking(RouterModel(says("FAST", logprobs=logprobs)), min_confidence=min_confidence)
    judgement = await asking.ask()
    assert (judgement.tier, judgement.unsure) == expected
    assert judgement.confidence == pytest.approx(0.6, abs=0.01)


BAD: dict[str, tuple[Reply, str, int]] = {
    "garbage": (Reply(b'{"choices": [{"mess'), "broken_answer", 0),
    "html": (Reply(b"<html>login</html>"), "broken_answer", 0),
    "nothing": (Reply(b""), "broken_answer", 0),
    "an empty word": (says(""), "no_word", 0),
    "no content": (says(None), "no_word", 0),
    "an apology": (says("I'm sorry, I can't help with that."), "no_word", 0),
    "two words": (says("FAST DEEP"), "no_word", 0),
    "a novel": (says("word " * 10_000), "no_word", 0),
    "megabytes": (says("DEEP", padding=" " * MAX_BODY), "broken_answer", 0),
    "endless thoughts": (says("", reasoning_content="hm"), "no_word", 0),
    "400 to all": (refuses("no"), "refused", 0),
    "418": (refuses("no", 418), "refused", 0),
    "501": (refuses("no", 501), "refused", 0),
    "500": (refuses("no", 500), "server_error", 1),
    "502": (Reply(b"<html>", 502), "server_error", 1),
    "503": (refuses("no", 503), "server_error", 1),
    "loading": (refuses("Loading model", 503), "loading", 0),
    "429": (refuses("no", 429), "busy", 0),
    "401": (refuses("no", 401), "misconfigured", 0),
    "404": (refuses("no", 404), "misconfigured", 0),
    "a redirect": (Reply(b"", 307), "server_error", 1),
    "silence": (says("FAST", after=1000), "timeout", 0),
    "refused": (Reply(error=httpx.ConnectError("refused")), "connect", 1),
    "reset": (Reply(error=httpx.ReadError("reset")), "reset", 1),
    "no HTTP": (Reply(error=httpx.RemoteProtocolError("x")), "broken_answer", 1),
}


@pytest.mark.parametrize("name", BAD)
async def test_what_is_no_decision_is_tried_once_more_elsewhere(autojump_clock: MockClock, name: str) -> None:
    reply, cause, failures = BAD[name]
    asking = Asking(RouterModel(reply), RouterModel(reply))
    judgement = await asking.ask()
    assert judgement.tier is None
    assert judgement.failed.startswith("could not decide: endpoint router-")
    assert [tried.cause for tried in asking.tries] == [cause, cause]
    assert {tried.endpoint for tried in asking.tries} == {"router-1", "router-2"}
    assert asking.failures == [failures, failures]
    assert "xyzzy" not in repr(asking.events)


@pytest.mark.parametrize("name", BAD)
async def test_the_second_endpoint_decides_where_the_first_does_not(
    autojump_clock: MockClock, name: str
) -> None:
    bad, good = RouterModel(BAD[name][0]), RouterModel(says("BALANCED"))
    asking = Asking(bad, good)
    asking.prefer_the_first()
    assert (await asking.ask()).tier == "balanced"
    assert bad.asked
    assert [tried.cause is None for tried in asking.tries] == [False, True]


async def test_three_endpoints_are_still_two_tries(autojump_clock: MockClock) -> None:
    models = [RouterModel(refuses("no", 418)) for _ in range(3)]
    asking = Asking(*models)
    assert (await asking.ask()).tier is None
    assert sum(len(model.asked) for model in models) == 2


async def test_slow_models_take_twice_the_timeout_and_no_more(autojump_clock: MockClock) -> None:
    models = [RouterModel(says("FAST", after=1000)) for _ in range(3)]
    asking = Asking(*models)
    assert (await asking.ask()).failed == "could not decide: " + asking.tries[-1].detail
    assert trio.current_time() == pytest.approx(2 * TIMEOUT, abs=0.01)
    assert sum(model.cancelled for model in models) == 2


async def test_a_timeout_is_the_router_tiers(autojump_clock: MockClock) -> None:
    asking = Asking(RouterModel(says("FAST", after=3)), router_timeouts=RouterTimeouts(balanced=2))
    assert (await asking.ask()).tier is None
    assert trio.current_time() == pytest.approx(2, abs=0.01)


async def test_a_success_clears_an_endpoints_failures(autojump_clock: MockClock) -> None:
    asking = Asking(RouterModel(refuses("no", 500), says("FAST")))
    await asking.ask()
    assert asking.failures == [1]
    await asking.ask()
    assert asking.failures == [0]


async def test_nobody_to_ask(autojump_clock: MockClock) -> None:
    assert (await Asking().ask()).failed == "has no healthy endpoint (tier balanced)"


async def test_an_endpoint_that_is_down_is_not_asked(autojump_clock: MockClock) -> None:
    model = RouterModel(Reply(error=httpx.ConnectError("refused")))
    asking = Asking(model)
    for _ in range(3):
        await asking.ask()
    assert asking.fleet.tiers["balanced"][0].health.state == "unhealthy"
    asking.classifier.breaker = Breaker()
    assert "no healthy endpoint" in (await asking.ask()).failed
    assert len(model.asked) == 3


# What a server does not take


async def test_a_refused_constraint_is_left_out_at_once_and_from_then_on(autojump_clock: MockClock) -> None:
    def picky(body: Body) -> Reply:
        for field in ("grammar", "reasoning_effort"):
            if field in body:
                return refuses(f"Unrecognized request argument supplied: {field}")
        return says('{"tier": "DEEP"}')

    model = RouterModel(picky)
    asking = Asking(model)
    assert (await asking.ask()).tier == "deep"
    assert len(asking.tries) == 1
    assert len(model.asked) == 3
    assert "response_format" in model.asked[-1]
    assert "chat_template_kwargs" in model.asked[-1]
    assert (await asking.ask("another")).tier == "deep"
    assert len(model.asked) == 4


async def test_what_one_endpoint_refuses_another_is_asked(autojump_clock: MockClock) -> None:
    first = RouterModel(lambda body: refuses("grammar") if "grammar" in body else says("I'm sorry"))
    second = RouterModel(says("DEEP"))
    asking = Asking(first, second)
    asking.prefer_the_first()
    assert (await asking.ask()).tier == "deep"
    assert "grammar" in second.asked[0]


async def test_a_refusal_that_was_not_about_the_constraints_is_not_learned(autojump_clock: MockClock) -> None:
    model = RouterModel(refuses("the prompt is too long"))
    asking = Asking(model)
    await asking.ask()
    assert asking.classifier.learned == {}


async def test_a_grammar_that_is_silently_ignored_gives_way_to_a_schema(autojump_clock: MockClock) -> None:
    model = RouterModel(
        lambda body: (
            says('{"tier": "FAST"}') if "response_format" in body else says("Sure! I would say it is")
        )
    )
    asking = Asking(model)
    assert (await asking.ask()).tier == "fast"
    assert [("grammar" in body, "response_format" in body) for body in model.asked] == [
        (True, False),
        (False, True),
    ]
    assert (await asking.ask("another")).tier == "fast"
    assert len(model.asked) == 3


async def test_a_bad_moment_does_not_cost_the_constraint(autojump_clock: MockClock) -> None:
    model = RouterModel(says("hm"), says("hm"), says("hm"), says("DEEP"))
    asking = Asking(model)
    assert (await asking.ask()).tier is None
    assert len(model.asked) == 3
    assert (await asking.ask()).tier == "deep"
    assert "grammar" in model.asked[-1]


async def test_a_model_that_says_one_word_unconstrained_is_left_as_it_is(autojump_clock: MockClock) -> None:
    asking = Asking(RouterModel(says("Fast.")))
    assert (await asking.ask()).tier == "fast"
    assert asking.classifier.learned["router-1"].refused == frozenset()


@pytest.mark.parametrize(
    "thought", [{"content": "<think>\nOkay, the"}, {"content": "", "reasoning_content": "Okay"}]
)
async def test_a_model_that_thinks_all_the_same_gets_room_for_it(
    autojump_clock: MockClock, thought: dict[str, Any]
) -> None:
    def thinker(body: Body) -> Reply:
        return says("<think>hm</think>DEEP") if body["max_tokens"] > 1000 else says(**thought)

    model = RouterModel(thinker)
    asking = Asking(model)
    assert (await asking.ask()).tier == "deep"
    assert asking.tries[0].tokens_out == 6  # the thoughts in vain count, too
    await asking.ask("another")
    assert len(model.asked) == 3


# Places


async def test_it_waits_for_a_place_within_its_time(autojump_clock: MockClock) -> None:
    asking = Asking(RouterModel(says("FAST")), endpoint={"max_concurrent": 1})
    (endpoint,) = asking.fleet.tiers["balanced"]
    place = asking.fleet.admission["balanced"].take(lambda: endpoint)
    assert place is not None
    async with trio.open_nursery() as nursery:

        async def give_back() -> None:
            await trio.sleep(4)
            place.release()

        nursery.start_soon(give_back)
        assert (await asking.ask()).tier == "fast"
    assert trio.current_time() == pytest.approx(4, abs=0.01)


async def test_no_place_in_time_is_no_decision_and_nobodys_fault(autojump_clock: MockClock) -> None:
    asking = Asking(RouterModel(says("FAST")), endpoint={"max_concurrent": 1})
    (endpoint,) = asking.fleet.tiers["balanced"]
    place = asking.fleet.admission["balanced"].take(lambda: endpoint)
    assert place is not None
    judgement = await asking.classifier.ask(question(), asking.classifier.deadline())
    assert judgement.failed == "could not decide: every place in tier balanced is taken"
    assert trio.current_time() == pytest.approx(TIMEOUT, abs=0.01)
    assert asking.failures == [0]
    place.release()
    assert endpoint.in_flight == 0


async def test_who_is_cancelled_gives_its_place_back(autojump_clock: MockClock) -> None:
    model = RouterModel(says("FAST", after=5))
    asking = Asking(model, endpoint={"max_concurrent": 1})
    with trio.move_on_after(1):
        await asking.classifier.ask(question(), asking.classifier.deadline())
    assert model.cancelled == 1
    assert (await asking.ask()).tier == "fast"


async def test_a_closed_queue_is_no_place(autojump_clock: MockClock) -> None:
    asking = Asking(RouterModel(says("FAST")), endpoint={"max_concurrent": 1})
    (endpoint,) = asking.fleet.tiers["balanced"]
    place = asking.fleet.admission["balanced"].take(lambda: endpoint)
    asking.fleet.admission["balanced"].close()
    judgement = await asking.classifier.ask(question(), asking.classifier.deadline())
    assert judgement.tier is None
    assert place is not None
    place.release()


# The breaker


async def test_after_three_failures_in_a_row_it_is_left_alone_for_a_while(autojump_clock: MockClock) -> None:
    model = RouterModel(refuses("no", 418))
    asking = Asking(model)
    for _ in range(3):
        await asking.ask()
    assert len(model.asked) == 3
    start = trio.current_time()
    judgement = await asking.ask()
    assert "left alone" in judgement.failed
    assert (len(model.asked), trio.current_time()) == (3, start)
    await trio.sleep(30)
    await asking.ask()
    assert len(model.asked) == 4
    await asking.ask()
    assert len(model.asked) == 4  # its trial failed: another while


async def test_a_trial_that_succeeds_closes_it(autojump_clock: MockClock) -> None:
    model = RouterModel(*3 * [refuses("no", 418)], says("FAST"))
    asking = Asking(model)
    for _ in range(3):
        await asking.ask()
    await trio.sleep(30)
    for _ in range(3):
        assert (await asking.ask()).tier == "fast"


async def test_successes_between_failures_keep_it_closed(autojump_clock: MockClock) -> None:
    bad, good = refuses("no", 418), says("FAST")
    model = RouterModel(bad, bad, good, bad, bad, good)
    asking = Asking(model)
    tiers = [(await asking.ask()).tier for _ in range(6)]
    assert tiers == [None, None, "fast", None, None, "fast"]


def test_only_one_decision_is_the_trial_and_one_that_is_abandoned_makes_way() -> None:
    breaker = Breaker()
    for _ in range(3):
        assert breaker.admits(0)
        breaker.failed(0)
    assert not breaker.admits(29.9)
    assert breaker.admits(30)
    assert not breaker.admits(31)
    breaker.abandoned()
    assert breaker.admits(31)
    breaker.succeeded()
    assert breaker.admits(31)
    assert breaker.admits(31)


async def test_an_abandoned_trial_is_no_failure(autojump_clock: MockClock) -> None:
    model = RouterModel(*3 * [refuses("no", 418)], says("FAST", after=5))
    asking = Asking(model)
    for _ in range(3):
        await asking.ask()
    await trio.sleep(30)
    with trio.move_on_after(1):
        await asking.classifier.ask(question(), asking.classifier.deadline())
    assert (await asking.ask()).tier == "fast"

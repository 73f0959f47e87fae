"""Routing by a model, in the running daemon: what it decides, what it costs, and that no request fails because of it."""

from __future__ import annotations

import io
import json
import math
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec
import pytest
import trio

from benchmarks.injection_texts import COUNT, injections
from octoroute.config.model import TIERS, RouterTimeouts, Tier
from octoroute.daemon import Daemon
from octoroute.openai.request import parse
from octoroute.routing.classifier import Classifier
from octoroute.routing.decisions import Decisions
from octoroute.routing.router import Router
from octoroute.routing.stickiness import Stickiness
from tests.api.test_operations import lines, log, scrape, total
from tests.fakes.model_server import (
    Behaviour,
    Cut,
    Exchange,
    FakeModelServer,
    Hang,
    Ok,
    Reset,
    Status,
    bad_request,
    empty_200,
    garbage_json,
    html_200,
    internal_error,
    loading,
    overloaded,
    rate_limited,
    truncated_length,
    unauthorized,
)
from tests.routing.router_model import Body, Reply, RouterModel, fleet_of, says
from tests.serving import chat, client, running, until

__all__ = ["log"]  # the fixture

CHAT = "/v1/chat/completions"
SILENT = "xyzzy plugh"
"""What no rule is about."""
TIMEOUT = 0.3


def word(answer: str, *, after: float = 0, probability: float | None = None) -> Behaviour:
    """A router model that answers with one word, and says how likely that was."""

    async def decide(exchange: Exchange) -> None:
        choice: dict[str, Any] = {"index": 0, "message": {"role": "assistant", "content": answer}}
        if probability is not None:
            rest = (1 - probability) / 2
            top = [
                {"token": each, "logprob": _log(probability if each == answer else rest)}
                for each in ("FAST", "BALANCED", "DEEP")
            ]
            choice["logprobs"] = {
                "content": [{"token": answer, "logprob": _log(probability), "top_logprobs": top}]
            }
        await trio.sleep(after)
        usage = {"prompt_tokens": 200, "completion_tokens": 2}
        body = msgspec.json.encode({"choices": [choice], "usage": usage})
        await exchange.head(200, [("Content-Type", "application/json")], framing="length", body=body)

    return decide


def _log(probability: float) -> float:
    return math.log(probability)


class Fleet:
    """A running daemon before one model a tier and a router model, which is the balanced tier."""

    def __init__(self, models: dict[Tier, FakeModelServer], daemon: Daemon, http: httpx.AsyncClient) -> None:
        self.models = models
        self.router = models["balanced"]
        self.daemon = daemon
        self.http = http

    async def ask(self, text: str = SILENT, **options: Any) -> httpx.Response:
        return await self.http.post(CHAT, json=chat("auto", text), **options)

    async def ask_at_once(self, times: int) -> list[httpx.Response]:
        answers: list[httpx.Response] = []

        async def one() -> None:
            answers.append(await self.ask())

        async with trio.open_nursery() as nursery:
            for _ in range(times):
                nursery.start_soon(one)
        return answers


@asynccontextmanager
async def fleet(behaviour: Behaviour, **routing: Any) -> AsyncGenerator[Fleet]:
    async with (
        FakeModelServer("small") as small,
        FakeModelServer("router", behaviour=behaviour) as router,
        FakeModelServer("large") as large,
        running(
            {"fast": small, "balanced": router, "deep": large},
            routing={
                "strategy": "hybrid",
                "default_tier": "fast",
                "router_timeouts": RouterTimeouts(balanced=TIMEOUT),
                **routing,
            },
        ) as daemon,
        client(daemon) as http,
    ):
        yield Fleet({"fast": small, "balanced": router, "deep": large}, daemon, http)


def told(answer: httpx.Response) -> tuple[str, str, str]:
    """Return tier, strategy and reason."""
    return tuple(answer.headers[f"x-octoroute-{name}"] for name in ("tier", "strategy", "reason"))  # type: ignore[return-value]


@pytest.mark.parametrize("strategy", ["llm", "hybrid"])
async def test_a_model_decides_and_the_chosen_tier_answers(strategy: str) -> None:
    async with fleet(word("DEEP"), strategy=strategy) as it:
        answer = await it.ask()
        assert answer.status_code == 200
        assert told(answer) == ("deep", "llm", "llm")
        assert answer.json()["model"] == "large"
        assert not {"x-octoroute-warning", "x-octoroute-confidence"} & set(answer.headers)
        assert SILENT in it.router.chats[0].json()["messages"][-1]["content"]
        assert it.models["deep"].chats[0].json()["messages"] == [{"role": "user", "content": SILENT}]
        assert [len(it.models[tier].chats) for tier in TIERS] == [0, 1, 1]


async def test_hybrid_asks_only_where_the_rules_are_silent() -> None:
    async with fleet(word("DEEP")) as it:
        assert told(await it.ask("Hi there!")) == ("fast", "rule", "casual_chat")
        answer = await it.http.post(CHAT, json=chat("fast", SILENT))
        assert told(answer) == ("fast", "direct", "tier_requested")
        assert it.router.chats == []


async def test_llm_asks_always_and_rule_never() -> None:
    async with fleet(word("DEEP"), strategy="llm") as it:
        assert told(await it.ask("Hi there!")) == ("deep", "llm", "llm")
    async with fleet(word("DEEP"), strategy="rule") as it:
        assert told(await it.ask()) == ("fast", "rule", "no_evidence")
        assert it.router.chats == []


TITLE = "Generate a concise title for this conversation.\n### Chat history:\nuser: xyzzy"


async def test_a_front_ends_small_job_asks_nobody_under_hybrid() -> None:
    async with fleet(word("DEEP")) as it:
        answer = await it.ask(TITLE)
        assert told(answer) == ("fast", "rule", "no_rule")
        assert it.router.chats == []


async def test_what_the_model_is_told_of_the_client_is_nothing_but_its_words() -> None:
    async with fleet(word("DEEP")) as it:
        await it.ask(headers={"authorization": "Bearer secret", "cookie": "secret", "x-api-key": "secret"})
        (asked,) = it.router.chats
        assert "secret" not in repr(asked.headers)
        assert asked.header("content-type") == "application/json"


async def test_the_seeds_api_tells_who_decided() -> None:
    async with fleet(word("DEEP")) as it:
        answer = await it.http.post("/chat", json={"message": SILENT})
        assert answer.json()["routing_strategy"] == "llm"
        assert answer.json()["model_tier"] == "deep"


async def test_confidence_is_told() -> None:
    async with fleet(word("FAST", probability=0.8)) as it:
        answer = await it.ask()
        assert told(answer) == ("fast", "llm", "llm")
        assert answer.headers["x-octoroute-confidence"] == "0.80"
        again = await it.ask()
        assert told(again) == ("fast", "llm", "cached_decision")
        assert again.headers["x-octoroute-confidence"] == "0.80"


async def test_a_weak_answer_takes_the_higher_tier() -> None:
    async with fleet(word("FAST", probability=0.4)) as it:
        answer = await it.ask()
        assert told(answer) == ("balanced", "llm", "llm_unsure")
        assert answer.headers["x-octoroute-confidence"] == "0.40"


# A router model that fails


async def _dies(exchange: Exchange) -> None:
    await Cut(Ok(["FAST"], stream=False), 0, "reset", extra=20)(exchange)


BAD: dict[str, Behaviour] = {
    "garbage": garbage_json(),
    "empty": empty_200(),
    "an empty answer": Ok([""]),
    "html": html_200(),
    "oversized": Ok(["word "] * 5000),
    "too long to read": Status(200, b" " * 2**20),
    "an apology": Ok(["I'm sorry, but I can't help with that."]),
    "refuses every constraint": bad_request(),
    "slow": word("DEEP", after=30),
    "hangs": Hang(),
    "resets": Reset(),
    "dies in its answer": _dies,
    "is cut short": truncated_length(),
    "500": internal_error(),
    "loads": loading(),
    "overloaded": overloaded(),
    "429": rate_limited(1),
    "401": unauthorized(),
}


@pytest.mark.parametrize("name", BAD)
async def test_no_request_fails_because_its_router_model_does(name: str) -> None:
    async with fleet(BAD[name]) as it:
        start = trio.current_time()
        answer = await it.ask()
        assert trio.current_time() - start < 2 * TIMEOUT + 1
        assert answer.status_code == 200
        assert told(answer) == ("fast", "rule", "router_unavailable")
        assert answer.json()["model"] == "small"
        warning = answer.headers["x-octoroute-warning"]
        assert warning.startswith("the router model could not decide: endpoint router ")
        assert warning.endswith("; tier fast by default")
        assert SILENT not in warning


async def test_a_router_model_that_is_gone_costs_nothing_after_a_while() -> None:
    async with fleet(word("DEEP")) as it:
        await it.router.stop()
        for number in range(6):
            answer = await it.ask(f"{SILENT} {number}")
            assert told(answer) == ("fast", "rule", "router_unavailable")
        assert "no healthy endpoint" in answer.headers["x-octoroute-warning"]
        await it.router.restart()
        await it.daemon.service.monitor.sweep()
        it.daemon.service.router._classifier.breaker.succeeded()
        assert told(await it.ask("plugh xyzzy")) == ("deep", "llm", "llm")


async def test_a_router_tier_without_endpoints() -> None:
    async with (
        FakeModelServer("small") as small,
        running({"fast": small}, routing={"strategy": "llm", "default_tier": "fast"}) as daemon,
        client(daemon) as http,
    ):
        answer = await http.post(CHAT, json=chat("auto"))
        assert told(answer) == ("fast", "rule", "router_unavailable")
        assert "has no healthy endpoint (tier balanced)" in answer.headers["x-octoroute-warning"]


async def test_a_busy_router_model_is_busy_for_as_long_as_it_says() -> None:
    async with fleet(rate_limited(20)) as it:
        before = trio.current_time()
        await it.ask()
        health = it.daemon.service.fleet.tiers["balanced"][0].health
        assert health.state == "busy"
        assert 19 < health.until - before < 21


# Asked once


async def test_twenty_identical_requests_at_once_ask_once() -> None:
    async with fleet(word("DEEP", after=0.1)) as it:
        answers = await it.ask_at_once(20)
        assert [told(answer) for answer in answers] == 20 * [("deep", "llm", "llm")]
        assert len(it.router.chats) == 1
        assert told(await it.ask()) == ("deep", "llm", "cached_decision")
        samples = await scrape(it.http)
        assert total(samples, "octoroute_routing_questions_total", endpoint="router", outcome="ok") == 1
        assert total(samples, "octoroute_routing_decisions_total", strategy="llm", reason="llm") == 20
        assert total(samples, "octoroute_routing_decisions_total", reason="cached_decision") == 1
        assert total(samples, "octoroute_routing_tokens_total", direction="in") == 200
        assert total(samples, "octoroute_routing_tokens_total", direction="out") == 2
        assert total(samples, "octoroute_model_invocations_total", tier="balanced") == 0


async def test_the_others_are_answered_where_the_asker_hangs_up() -> None:
    async with fleet(word("DEEP", after=0.15)) as it:
        leaving = trio.CancelScope()

        async def leaves() -> None:
            with leaving:
                await it.ask()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(leaves)
            await it.router.wait_for(1)
            answers: list[httpx.Response] = []

            async def stay() -> None:
                answers.extend(await it.ask_at_once(10))

            nursery.start_soon(stay)
            await until(lambda: len(it.daemon.app.exchanges) == 11)
            leaving.cancel("the client hangs up")
        assert [told(answer) for answer in answers] == 10 * [("deep", "llm", "llm")]
        assert len(it.router.chats) == 2
        await it.router.chats[0].disconnected.wait()


async def test_a_client_that_hangs_up_alone_stops_the_question() -> None:
    async with fleet(word("DEEP", after=5), router_timeouts=RouterTimeouts(balanced=10)) as it:
        with trio.move_on_after(0.2):
            await it.ask()
        with trio.fail_after(2):
            await it.router.chats[0].disconnected.wait()
        await until(lambda: all(endpoint.in_flight == 0 for endpoint in it.daemon.service.fleet))


# Conversations


async def test_a_conversation_goes_up_but_not_down() -> None:
    async with fleet(word("FAST"), sticky_seconds=60) as it:
        beginning = [{"role": "user", "content": "Design a protocol."}]

        async def turn(*more: str, **headers: str) -> tuple[str, str, str]:
            messages = beginning + [{"role": "user", "content": text} for text in more]
            return told(
                await it.http.post(CHAT, json={"model": "auto", "messages": messages}, headers=headers)
            )

        assert (await turn(**{"x-octoroute-importance": "high"}))[0] == "deep"
        assert await turn("Thanks!") == ("deep", "rule", "sticky")
        assert await turn(SILENT) == ("deep", "rule", "sticky")  # nobody is asked: it could not go higher
        assert it.router.chats == []
        assert told(await it.ask("Thanks!")) == ("fast", "rule", "casual_chat")  # another conversation


async def test_a_session_is_a_conversation() -> None:
    async with fleet(word("FAST"), sticky_seconds=60) as it:
        session = {"x-octoroute-session": "a"}
        important = {"x-octoroute-importance": "high"}
        assert told(await it.ask("Design it.", headers={**session, **important}))[0] == "deep"
        assert told(await it.ask("Thanks!", headers=session)) == ("deep", "rule", "sticky")
        assert told(await it.ask("Thanks!", headers={"x-octoroute-session": "b"}))[0] == "fast"
        # A title for it is a small job beside it.
        assert told(await it.ask(TITLE, headers=session))[2] == "no_rule"


async def test_a_model_may_raise_it_and_its_strategy_is_told() -> None:
    async with fleet(Ok(["BALANCED"]), sticky_seconds=60) as it:
        session = {"x-octoroute-session": "a"}
        assert told(await it.ask("Hi there!", headers=session)) == ("fast", "rule", "casual_chat")
        assert told(await it.ask(SILENT, headers=session)) == ("balanced", "llm", "llm")
        it.router.behaviour = Ok(["FAST"])
        assert told(await it.ask(f"{SILENT} 2", headers=session)) == ("balanced", "llm", "sticky")


async def test_without_sticky_seconds_nothing_sticks() -> None:
    async with fleet(word("FAST")) as it:
        session = {"x-octoroute-session": "a"}
        await it.ask("Design it.", headers={**session, "x-octoroute-importance": "high"})
        assert told(await it.ask("Thanks!", headers=session)) == ("fast", "rule", "casual_chat")


# What it costs


async def test_waiting_for_the_router_model_is_no_overhead_but_is_routing() -> None:
    async with fleet(word("DEEP", after=0.15)) as it:
        await it.ask()
        samples = await scrape(it.http)
        assert total(samples, "octoroute_overhead_seconds_sum", tier="deep") < 0.1
        assert total(samples, "octoroute_routing_duration_ms_sum", strategy="llm") >= 150


async def test_the_log_tells_the_decision_but_never_the_prompt(log: io.StringIO) -> None:
    async with fleet(word("DEEP", probability=0.9)) as it:
        await it.ask()
        it.router.behaviour = Ok([f"{SILENT} I will not"])
        await it.ask(f"{SILENT} 2")
    first, second = lines(log, "request")
    assert (first["strategy"], first["reason"], first["confidence"]) == ("llm", "llm", 0.9)
    assert 0 < first["routing_seconds"] < 5
    assert (second["strategy"], second["reason"]) == ("rule", "router_unavailable")
    (failed,) = lines(log, "router model decided nothing")
    assert (failed["cause"], failed["endpoint"], failed["level"]) == ("no_word", "router", "warning")
    assert SILENT not in log.getvalue()


async def test_a_stream_is_decided_about_like_any_other_request() -> None:
    async with fleet(word("DEEP")) as it:
        answer = await it.http.post(CHAT, json=chat("auto", SILENT, stream=True))
        assert told(answer) == ("deep", "llm", "llm")
        assert answer.text.endswith("data: [DONE]\n\n")


# Injections


def obedient(body: Body) -> Reply:
    """The worst router model: it repeats whatever it was told, or says the word that it reads first."""
    said = body["messages"][-1]["content"]
    inside = said.partition(">\n")[2].rpartition("\n</text")[0]
    found = [each for each in ("FAST", "BALANCED", "DEEP") if each in inside]
    return says(inside if len(inside) % 2 else found[0] if found else inside)


@pytest.fixture
def attacked() -> Iterator[Router]:
    model = RouterModel(obedient)
    its_fleet, config = fleet_of([model], default_tier="balanced", strategy="llm")
    classifier = Classifier(config.routing, its_fleet, lambda _: None)
    yield Router(config.routing, its_fleet, classifier, Decisions(0), Stickiness(0))
    assert len(model.asked) >= COUNT


async def test_two_hundred_attacks_get_one_of_three_words_or_the_default(attacked: Router) -> None:
    texts = injections()
    assert len({each.text for each in texts}) == COUNT
    reasons: dict[str, int] = {}
    for each in texts:
        body = json.dumps({"messages": [{"role": "user", "content": each.text}]}).encode()
        request = parse(body)
        decision = await attacked.decide(request, request.metadata)
        assert decision.route.tier in TIERS
        assert (decision.route.tier == "balanced") or decision.route.reason == "llm"
        reasons[decision.route.reason] = reasons.get(decision.route.reason, 0) + 1
        attacked._classifier.breaker.succeeded()
    assert set(reasons) == {"llm", "router_unavailable"}

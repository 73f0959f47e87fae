"""A real model decides: llama.cpp as the router model. What is tested is the mechanism; 135M parameters judge nothing."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from benchmarks.injection_texts import injections
from benchmarks.injections import measure, report
from demo.llama_server import LlamaServer
from octoroute.config.model import TIERS, Endpoint, RouterTimeouts
from tests.serving import running

Fleet = dict[str, LlamaServer]
CHAT = "/v1/chat/completions"
PROMPTS = ("xyzzy plugh", "Guten Morgen, alles klar?", "Prove that there are infinitely many primes.")


@asynccontextmanager
async def routed(fleet: Fleet, **routing: Any) -> AsyncGenerator[httpx.AsyncClient]:
    """Octoroute before the real fleet; the balanced tier's model decides."""
    models = {tier: Endpoint(name=fleet[tier].alias, base_url=fleet[tier].base_url) for tier in TIERS}
    timeouts = RouterTimeouts(balanced=20)
    async with (
        running(
            {tier: [endpoint] for tier, endpoint in models.items()},
            routing={"default_tier": "fast", "router_timeouts": timeouts, **routing},
        ) as daemon,
        httpx.AsyncClient(base_url=daemon.url, trust_env=False, timeout=60) as http,
    ):
        yield http


async def ask(http: httpx.AsyncClient, prompt: str) -> httpx.Response:
    body = {"model": "auto", "messages": [{"role": "user", "content": prompt}], "max_tokens": 5}
    answer = await http.post(CHAT, json=body)
    assert answer.status_code == 200, answer.text
    # Who is said to answer is who answers.
    assert answer.json()["model"] == f"smollm2-{answer.headers['x-octoroute-tier']}"
    return answer


async def test_a_real_model_decides_every_request(fleet: Fleet) -> None:
    async with routed(fleet, strategy="llm") as http:
        for prompt in PROMPTS:
            answer = await ask(http, prompt)
            assert answer.headers["x-octoroute-strategy"] == "llm"
            assert answer.headers["x-octoroute-reason"] in {"llm", "llm_unsure"}
            assert 0 < float(answer.headers["x-octoroute-confidence"]) <= 1
            assert "x-octoroute-warning" not in answer.headers
            again = await ask(http, prompt)
            assert again.headers["x-octoroute-reason"] == "cached_decision"
            assert again.headers["x-octoroute-tier"] == answer.headers["x-octoroute-tier"]
        metrics = (await http.get("/metrics")).text
        assert 'octoroute_routing_questions_total{endpoint="smollm2-balanced",outcome="ok"} 3.0' in metrics


async def test_under_hybrid_it_decides_what_the_rules_do_not(fleet: Fleet) -> None:
    async with routed(fleet, strategy="hybrid") as http:
        assert (await ask(http, "xyzzy plugh")).headers["x-octoroute-strategy"] == "llm"
        assert (await ask(http, "Hi there!")).headers["x-octoroute-strategy"] == "rule"


async def test_a_real_model_that_is_not_sure_enough_gives_way_to_a_higher_tier(fleet: Fleet) -> None:
    async with routed(fleet, strategy="llm", min_confidence=1.0) as http:
        answer = await ask(http, "xyzzy plugh")
        assert answer.headers["x-octoroute-reason"] == "llm_unsure"
        assert answer.headers["x-octoroute-tier"] != "fast"


@pytest.mark.parametrize("strategy", ["llm", "hybrid"])
async def test_with_the_router_model_killed_every_request_is_answered(fleet: Fleet, strategy: str) -> None:
    async with routed(fleet, strategy=strategy) as http:
        assert (await ask(http, "xyzzy plugh")).headers["x-octoroute-strategy"] == "llm"
        fleet["balanced"].kill()
        for number in range(6):
            answer = await ask(http, f"plugh xyzzy {number}")
            assert answer.headers["x-octoroute-tier"] == "fast"
            assert answer.headers["x-octoroute-reason"] == "router_unavailable"
            assert answer.headers["x-octoroute-warning"].startswith("the router model ")


async def test_attacks_get_no_answer_but_one_of_three_words(fleet: Fleet) -> None:
    """A sample; `just injections` asks all 200."""
    results = await measure(fleet["balanced"].base_url, fleet["balanced"].alias, injections()[::10])
    print(report(results))  # noqa: T201  # the figures
    assert all(result.attacked.tier in TIERS for result in results)
    assert all(result.base.tier in TIERS for result in results)

"""Recorded answers reach `octoroute eval` as a router model's would."""

from __future__ import annotations

import threading

import pytest
import trio

from benchmarks.recorded_router import Recorded, shown
from octoroute.config.model import Config, Endpoint, Routing
from octoroute.evaluation.run import Run
from tests.evaluation.test_run import row

PROMPTS = {
    "Which mark is this: <text mark>?": "FAST",  # what a question takes apart in a prompt
    "Find the answer. " + "Much is told here. " * 200: "BALANCED",  # longer than what is shown
    "xyzzy": "DEEP",
}


@pytest.mark.parametrize("strategy", ["llm", "hybrid"])
async def test_each_prompt_gets_its_recorded_answer(strategy: str) -> None:
    rows = [row(prompt, word.lower()) for prompt, word in PROMPTS.items()]  # type: ignore[arg-type]  # a tier
    with Recorded({shown(prompt): word for prompt, word in PROMPTS.items()}) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        endpoint = Endpoint(name="recorded", base_url=f"http://127.0.0.1:{server.server_port}/v1")
        routing = Routing(strategy=strategy)  # type: ignore[arg-type]  # a strategy
        run = Run(rows, Config(models={"balanced": (endpoint,)}, routing=routing), concurrency=2)
        with trio.fail_after(20):
            await run.run(lambda: None)
        server.shutdown()
    assert len(run.decided) == len(PROMPTS)
    assert all(each.route.tier == each.row.expected for each in run.decided)
    assert {each.route.strategy for each in run.decided if each.facts.task_type is None} == {"llm"}

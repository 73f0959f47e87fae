"""The real model servers do what the design counts on. Each test here stands for a fact about llama.cpp."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest

from demo.llama_server import LlamaServer

Fleet = dict[str, LlamaServer]

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Current weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def ask(server: LlamaServer, prompt: str = "Say hi.", **fields: Any) -> httpx.Response:
    body = {"messages": [{"role": "user", "content": prompt}], "max_tokens": 40, "temperature": 0, **fields}
    return httpx.post(f"{server.base_url}/chat/completions", json=body, timeout=60, trust_env=False)


def test_each_tier_is_a_server_of_its_own(fleet: Fleet) -> None:
    assert len({server.pid for server in fleet.values()}) == 3
    for tier, server in fleet.items():
        answer = ask(server, max_tokens=5).json()
        assert answer["model"] == f"smollm2-{tier}"
        assert answer["choices"][0]["message"]["content"]


def test_a_grammar_and_a_schema_constrain_the_answer(fleet: Fleet) -> None:
    grammar = 'root ::= "FAST" | "BALANCED" | "DEEP"'
    answer = ask(fleet["balanced"], grammar=grammar).json()
    assert answer["choices"][0]["message"]["content"] in {"FAST", "BALANCED", "DEEP"}
    schema = {
        "type": "object",
        "properties": {"tier": {"enum": ["FAST", "BALANCED", "DEEP"]}},
        "required": ["tier"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "tier", "strict": True, "schema": schema}}
    answer = ask(fleet["balanced"], response_format=form).json()
    assert json.loads(answer["choices"][0]["message"]["content"])["tier"] in {"FAST", "BALANCED", "DEEP"}


@pytest.mark.parametrize("choice", ["auto", "required"])
def test_a_tool_is_called(fleet: Fleet, choice: str) -> None:
    answer = ask(fleet["deep"], "What is the weather in Paris?", tools=[WEATHER], tool_choice=choice).json()
    assert answer["choices"][0]["finish_reason"] == "tool_calls"
    (call,) = answer["choices"][0]["message"]["tool_calls"]
    assert call["function"]["name"] == "get_weather"
    assert "city" in json.loads(call["function"]["arguments"])


def test_a_prompt_beyond_the_context_is_refused_in_so_many_words(fleet: Fleet) -> None:
    answer = ask(fleet["fast"], "word " * 1100)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["type"] == "exceed_context_size_error"
    assert error["n_ctx"] == fleet["fast"].ctx
    assert ask(fleet["balanced"], "word " * 1100, max_tokens=1).status_code == 200


def test_an_image_is_refused_with_a_500(fleet: Fleet) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    answer = ask(fleet["fast"], messages=[{"role": "user", "content": [image]}])
    assert answer.status_code == 500
    assert "image input is not supported" in answer.json()["error"]["message"]


def test_a_killed_server_comes_back_on_its_port(fleet: Fleet) -> None:
    server = fleet["fast"]
    port = server.port
    server.kill()
    with pytest.raises(httpx.ConnectError):
        ask(server)
    server.start()
    assert server.port == port
    assert ask(server, max_tokens=1).status_code == 200


def test_stopping_takes_no_time_even_in_the_middle_of_a_stream(fleet: Fleet) -> None:
    server = fleet["fast"]
    body = {"messages": [{"role": "user", "content": "Count."}], "max_tokens": 500, "stream": True}
    with httpx.stream(
        "POST", f"{server.base_url}/chat/completions", json=body, timeout=60, trust_env=False
    ) as answer:
        next(answer.iter_lines())
        started = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - started < 2

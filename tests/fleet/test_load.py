"""What model servers tell of their load: who is asked what, how it is read, and what it makes of the choice."""

from __future__ import annotations

import json
from math import inf
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from octoroute.config import model as config
from octoroute.fleet import load
from octoroute.fleet.endpoint import Endpoint
from octoroute.fleet.load import Load, Reading, load_from, rank, read, server_of
from octoroute.fleet.probe import probe, read_load
from octoroute.fleet.upstream import Upstream
from tests.fakes.model_server import (
    Behaviour,
    Cut,
    FakeModelServer,
    Hang,
    Reset,
    Status,
    internal_error,
    llama_slots,
    lmstudio_models,
    lmstudio_unknown_path,
    model_list,
    not_implemented,
    ollama_ps,
    unauthorized,
    vllm_metrics,
)

# What it means


@pytest.mark.parametrize(
    ("reading", "ours", "room"),
    [
        (Reading(running=0, slots=4), 0, 4),
        (Reading(running=3, slots=4), 3, 4),  # all of them ours
        (Reading(running=3, slots=4), 1, 2),  # two are somebody else's
        (Reading(running=4, waiting=2, slots=4), 0, -2),
        (Reading(running=1, slots=4), 3, 4),  # two of ours have not arrived there yet
        (Reading(running=9, waiting=0), 2, inf),
        (Reading(running=9, waiting=1), 2, 0),
        (Reading(loaded=True), 2, inf),
        (Reading(), 0, inf),
    ],
)
def test_how_many_of_ours_there_is_room_for(reading: Reading, ours: int, room: float) -> None:
    assert load_from(reading, ours, at=7.0) == Load(reading, 7.0, room)


def test_who_is_preferred_among_equals() -> None:
    assert rank(None, 100) == 0
    two = load_from(Reading(running=0, slots=2), 0, 0.0)
    assert [rank(two, in_flight) for in_flight in range(4)] == [0, 0, 1, 1]
    assert rank(load_from(Reading(running=2, slots=2), 0, 0.0), 0) == 1
    assert rank(load_from(Reading(loaded=True), 0, 0.0), 50) == 0
    assert rank(load_from(Reading(loaded=False), 0, 0.0), 0) == 2


@given(
    st.integers(0, 20),
    st.integers(0, 20),
    st.none() | st.integers(0, 20),
    st.integers(0, 20),
    st.integers(0, 20),
)
def test_more_of_ours_never_make_it_more_preferred(
    running: int, waiting: int, slots: int | None, ours: int, more: int
) -> None:
    known = load_from(Reading(running, waiting, slots), ours, 0.0)
    assert rank(known, ours) <= rank(known, ours + more)


# Who it is


@pytest.mark.parametrize(
    ("owners", "server"),
    [
        (["llamacpp"], "llama.cpp"),
        (["vllm", "vllm"], "vllm"),
        (["unsloth", "library"], "ollama"),
        (["organization_owner"], "lmstudio"),
        (["somebody"], None),
        ([None, 7, ["llamacpp"]], None),
        ([], None),
    ],
)
def test_whose_list_of_models_it_is(owners: list[Any], server: str | None) -> None:
    assert server_of([{"id": "m", "owned_by": owner} for owner in owners]) == server


# How it is read

QWEN = "qwen3:8b"
PROMETHEUS = b"""# HELP llamacpp:requests_processing Number of requests processing.
# TYPE llamacpp:requests_processing gauge
llamacpp:requests_processing 3
llamacpp:requests_deferred 1 1700000000000
"""
ENGINES = b"""vllm:num_requests_running{engine="0",model_name="m"} 2.0
vllm:num_requests_running{engine="1",model_name="m"} 3.0
vllm:num_requests_waiting{engine="0",model_name="m"} 0.0
vllm:num_requests_waiting_by_reason{engine="0",reason="capacity"} 9.0
vllm:num_requests_waiting{engine="1",model_name="m"} 1.0
"""
KNOWN = {"key": "qwen/qwen3-8b", "variants": ["qwen/qwen3-8b@q4_k_m"], "loaded_instances": [{"id": "mine"}]}


@pytest.mark.parametrize(
    ("server", "path", "body", "model", "reading"),
    [
        ("llama.cpp", "slots", llama_slots(1, 4).body, "m", Reading(running=1, slots=4, loaded=True)),
        ("llama.cpp", "slots", [], "m", Reading(running=0, slots=0, loaded=True)),
        ("llama.cpp", "metrics", PROMETHEUS, "m", Reading(running=3, waiting=1, loaded=True)),
        ("vllm", "metrics", ENGINES, "m", Reading(running=5, waiting=1, loaded=True)),
        ("vllm", "metrics", vllm_metrics(8, 2).body, "m", Reading(running=8, waiting=2, loaded=True)),
        ("ollama", "api/ps", ollama_ps(QWEN).body, QWEN, Reading(loaded=True)),
        ("ollama", "api/ps", ollama_ps("llama3:latest").body, "llama3", Reading(loaded=True)),
        ("ollama", "api/ps", ollama_ps("hf.co:80/x/y:latest").body, "hf.co:80/x/y", Reading(loaded=True)),
        ("ollama", "api/ps", ollama_ps("HF.co/x/Y:Q4").body, "hf.co/x/y:q4", Reading(loaded=True)),
        ("ollama", "api/ps", ollama_ps("qwen3:14b").body, QWEN, Reading(loaded=False)),
        ("ollama", "api/ps", {"models": None}, QWEN, Reading(loaded=False)),
        (
            "lmstudio",
            "api/v1/models",
            lmstudio_models("a", "b", loaded=("b",)).body,
            "b",
            Reading(loaded=True),
        ),
        (
            "lmstudio",
            "api/v1/models",
            lmstudio_models("a", "b", loaded=("b",)).body,
            "a",
            Reading(loaded=False),
        ),
        ("lmstudio", "api/v1/models", {"models": [KNOWN]}, "mine", Reading(loaded=True)),
        ("lmstudio", "api/v1/models", {"models": [KNOWN]}, "qwen/qwen3-8b@q4_k_m", Reading(loaded=True)),
        ("lmstudio", "api/v1/models", {"models": [KNOWN]}, "another", Reading()),
        ("lmstudio", "api/v0/models", {"data": [{"id": "a", "state": "loaded"}]}, "a", Reading(loaded=True)),
        (
            "lmstudio",
            "api/v0/models",
            {"data": [{"id": "a", "state": "not-loaded"}]},
            "a",
            Reading(loaded=False),
        ),
        ("lmstudio", "api/v0/models", {"data": [{"id": "a", "state": "loaded"}]}, "b", Reading()),
        # What is no answer to that question
        ("llama.cpp", "slots", {"error": {"code": 501}}, "m", None),
        ("llama.cpp", "slots", [{"id": 1}], "m", None),
        ("llama.cpp", "metrics", b"", "m", None),
        ("llama.cpp", "metrics", b"llamacpp:requests_processing\n", "m", None),
        ("vllm", "metrics", b"vllm:num_requests_running NaN\nvllm:num_requests_waiting 0\n", "m", None),
        ("ollama", "api/ps", b"<html>", QWEN, None),
        ("lmstudio", "api/v1/models", lmstudio_unknown_path().body, "m", None),
        ("lmstudio", "api/v0/models", b"[" * 100_000, "m", None),
    ],
)
def test_how_an_answer_is_read(
    server: Any, path: str, body: Any, model: str, reading: Reading | None
) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert read(server, path, raw, model) == reading


@given(st.sampled_from([(s, path) for s in ("llama.cpp", "vllm", "ollama", "lmstudio") for path in load.sources(s)]), st.binary(max_size=80) | st.sampled_from(list(load._COUNTED)).flatmap(lambda name: st.text(max_size=20).map(lambda rest: f"{name}{rest}".encode())))  # fmt: skip
def test_nothing_that_is_read_raises(source: tuple[Any, str], body: bytes) -> None:
    read(*source, body, "m")
    load.is_sleeping(body)


@pytest.mark.parametrize(("value", "loaded"), [("loaded", True), ("unloaded", False), ("sleeping", False)])
def test_llama_cpps_router_tells_in_its_list_who_is_loaded(value: str, loaded: bool) -> None:
    listed = [{"id": "a", "status": {"value": "loaded"}}, {"id": "b", "status": {"value": value}}]
    assert load.of_list(listed, "b") == Reading(loaded=loaded)
    assert load.of_list(listed, "c") is None
    assert load.of_list([{"id": "b", "status": "fine"}, {"id": "b"}], "b") is None


# Who is asked what


class Asked:
    """A server that is probed and asked for its load, as often as wanted."""

    def __init__(self, owner: str, paths: dict[str, Behaviour], **fields: object) -> None:
        self.server = FakeModelServer("m")
        self.server.models = model_list("m", owner=owner, **fields)
        self.server.paths |= paths

    async def readings(self, count: int = 1, *, quiet: bool = False, base: str = "") -> list[Reading | None]:
        """What it tells; `paths` are then what it was asked for."""
        found = []
        with trio.fail_after(20):
            async with self.server:
                url = self.server.base_url.removesuffix("/v1") + base + "/v1"
                settings = config.Endpoint(name="m", base_url=url)
                way = Upstream(settings, connect_timeout=5, ssl_context=None)
                endpoint = Endpoint("m", "fast", settings, way)
                for _ in range(count):
                    result = await probe(endpoint, 10)
                    found.append(await read_load(endpoint, result.listed, quiet=quiet))
                await way.aclose()
        self.paths = [
            request.path for request in self.server.requests if not request.path.endswith("v1/models")
        ]
        self.native = [request.path for request in self.server.requests if request.path == "/api/v1/models"]
        return found


async def test_llama_cpp_is_asked_for_its_slots() -> None:
    asked = Asked("llamacpp", {"/slots": llama_slots(1, 2), "/props": Status(200, {"is_sleeping": False})})
    assert await asked.readings() == [Reading(running=1, slots=2, loaded=True)]
    assert asked.paths == ["/props", "/slots"]


async def test_the_paths_are_beside_the_openai_api() -> None:
    asked = Asked("llamacpp", {"/llama/slots": llama_slots(1, 2)})
    assert await asked.readings(base="/llama") == [Reading(running=1, slots=2, loaded=True)]
    assert asked.paths == ["/llama/props", "/llama/slots"]


async def test_what_is_switched_off_is_asked_for_once() -> None:
    asked = Asked("llamacpp", {"/slots": not_implemented(), "/metrics": unauthorized()})
    assert await asked.readings(3) == [None, None, None]
    assert asked.paths == ["/props", "/slots", "/metrics", "/props", "/props"]


async def test_a_failed_reading_is_tried_again() -> None:
    for behaviour in (internal_error(), Reset(), Cut(llama_slots(0, 2), 0, extra=3)):
        asked = Asked("llamacpp", {"/slots": behaviour})
        assert await asked.readings(2) == [None, None]
        assert asked.paths.count("/slots") >= 2  # a kept connection that was reset is used once more


async def test_a_sleeping_llama_cpp_is_not_woken_by_being_asked() -> None:
    """/slots counts as use, so it would load its model again; /props tells without."""
    asked = Asked("llamacpp", {"/slots": llama_slots(0, 2), "/props": Status(200, {"is_sleeping": True})})
    assert await asked.readings() == [Reading(loaded=False)]
    assert asked.paths == ["/props"]


async def test_a_llama_cpp_that_nobody_uses_is_left_to_fall_asleep() -> None:
    asked = Asked("llamacpp", {"/slots": llama_slots(0, 2)})
    assert await asked.readings(quiet=True) == [None]
    assert asked.paths == ["/props"]


async def test_llama_cpps_router_is_asked_nothing_more() -> None:
    asked = Asked("llamacpp", {"/slots": Hang()}, status={"value": "unloaded"})
    assert await asked.readings() == [Reading(loaded=False)]
    assert asked.paths == []


async def test_vllm_is_asked_for_its_metrics() -> None:
    asked = Asked("vllm", {"/metrics": vllm_metrics(7, 2)})
    assert await asked.readings() == [Reading(running=7, waiting=2, loaded=True)]
    assert asked.paths == ["/metrics"]


async def test_ollama_is_asked_what_is_loaded() -> None:
    asked = Asked("library", {"/api/ps": ollama_ps("m:latest")})
    assert await asked.readings() == [Reading(loaded=True)]
    assert asked.paths == ["/api/ps"]


async def test_lm_studio_new_and_old() -> None:
    asked = Asked("organization_owner", {"/api/v1/models": lmstudio_models("m")})
    assert await asked.readings() == [Reading(loaded=False)]
    old = Status(200, {"data": [{"id": "m", "state": "loaded"}]})
    asked = Asked("organization_owner", {"/api/v1/models": lmstudio_unknown_path(), "/api/v0/models": old})
    assert await asked.readings(2) == [Reading(loaded=True), Reading(loaded=True)]
    assert asked.paths.count("/api/v0/models") == 2
    assert len(asked.native) == 1


async def test_a_server_that_nobody_knows_is_asked_nothing() -> None:
    asked = Asked("somebody", {})
    assert await asked.readings() == [None]
    assert asked.paths == []

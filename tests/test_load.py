"""Requests go where they need not wait: servers tell their load, and a model is loaded once."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from octoroute.daemon import Daemon
from octoroute.fleet.endpoint import Endpoint
from tests.fakes.model_server import (
    Behaviour,
    Cut,
    Exchange,
    FakeModelServer,
    Hang,
    Ok,
    Status,
    internal_error,
    llama_slots,
    lmstudio_models,
    model_list,
    ollama_ps,
    vllm_metrics,
)
from tests.serving import SECONDS, Place, chat, client, endpoint, running, until


def named(daemon: Daemon, endpoint_id: str) -> Endpoint:
    return next(endpoint for endpoint in daemon.service.fleet if endpoint.id == endpoint_id)


def tells(server: FakeModelServer, owner: str, path: str, behaviour: Behaviour) -> None:
    """Have the fake be a server that tells its load."""
    server.models = model_list(server.name, owner=owner)
    server.paths[path] = behaviour


@pytest.mark.parametrize(
    ("owner", "path", "worse", "better"),
    [
        ("llamacpp", "/slots", llama_slots(2, 2), llama_slots(1, 2)),
        ("vllm", "/metrics", vllm_metrics(8, 3), vllm_metrics(8, 0)),
        ("library", "/api/ps", ollama_ps(), ollama_ps("idle:latest")),
        (
            "organization_owner",
            "/api/v1/models",
            lmstudio_models("full"),
            lmstudio_models("idle", loaded=("idle",)),
        ),
    ],
)
async def test_the_less_loaded_of_two_equals_is_asked(
    owner: str, path: str, worse: Behaviour, better: Behaviour
) -> None:
    async with FakeModelServer("full") as full, FakeModelServer("idle") as idle:
        tells(full, owner, path, worse)
        tells(idle, owner, path, better)
        async with running([endpoint(full, weight=1000), idle]) as daemon, client(daemon) as http:
            for _ in range(20):
                assert (await http.post("/v1/chat/completions", json=chat())).status_code == 200
            assert (len(full.chats), len(idle.chats)) == (0, 20)
            # It is a preference, no more: the loaded one serves where the other is gone, or when it is asked for.
            assert (await http.post("/v1/chat/completions", json=chat("full"))).status_code == 200
            await idle.stop()
            assert (await http.post("/v1/chat/completions", json=chat())).status_code == 200
            assert len(full.chats) == 2


async def test_priority_comes_before_load() -> None:
    async with FakeModelServer("first") as first, FakeModelServer("second") as second:
        tells(first, "llamacpp", "/slots", llama_slots(2, 2))
        async with running([endpoint(first, priority=2), second]) as daemon, client(daemon) as http:
            assert (await http.post("/v1/chat/completions", json=chat())).status_code == 200
            assert (len(first.chats), len(second.chats)) == (1, 0)


async def test_requests_of_ours_fill_the_slots_of_each_before_any_waits() -> None:
    """Without `max_concurrent`: the server says how many it takes at a time, and we know how many are there."""
    async with FakeModelServer("one") as one, FakeModelServer("two") as two:
        for server in (one, two):
            tells(server, "llamacpp", "/slots", llama_slots(0, 3))
            server.behaviour = Hang()
        places: list[Place] = [endpoint(one, weight=1000), two]
        async with running(places) as daemon, client(daemon) as http, trio.open_nursery() as nursery:
            for before in range(6):
                nursery.start_soon(lambda: http.post("/v1/chat/completions", json=chat()))
                with trio.fail_after(SECONDS):
                    while len(one.chats) + len(two.chats) == before:  # noqa: ASYNC110  # as in `until`
                        await trio.sleep(0.005)
            assert (len(one.chats), len(two.chats)) == (3, 3)
            nursery.cancel_scope.cancel()


async def test_what_is_known_is_told() -> None:
    async with FakeModelServer("told") as told, FakeModelServer("silent") as silent:
        tells(told, "llamacpp", "/slots", llama_slots(1, 4))
        async with running([told, silent]) as daemon, client(daemon) as http:
            models = {model["id"]: model for model in (await http.get("/models")).json()["models"]}
            known = models["told"]["load"]
            assert known.pop("seconds_ago") < SECONDS
            assert known == {"running": 1, "waiting": None, "slots": 4, "loaded": True}
            assert models["silent"]["load"] is None


async def test_a_reading_that_fails_is_no_evidence_and_not_the_last_word() -> None:
    async with FakeModelServer("m") as server:
        tells(server, "llamacpp", "/slots", llama_slots(2, 2))
        async with running(server, health={"timeout_seconds": 0.5}) as daemon:
            known = named(daemon, "m")
            assert known.load is not None
            for behaviour in (internal_error(), Hang(), Status(200, b"nonsense")):
                server.paths["/slots"] = behaviour
                known.load = None  # it is not read more often than every other second
                await daemon.service.monitor.sweep()
                assert (known.load, known.health.state, known.health.failures) == (None, "healthy", 0)


async def test_who_is_down_tells_nothing() -> None:
    async with FakeModelServer("m") as server:
        tells(server, "llamacpp", "/slots", llama_slots(2, 2))
        async with running(server) as daemon:
            assert named(daemon, "m").load is not None
            await server.stop()
            await daemon.service.monitor.sweep()
            assert named(daemon, "m").load is None


# Cold starts


class LoadsOnDemand:
    """An LM Studio: its model is not loaded until a request comes, and each that comes before that loads one more."""

    def __init__(self, server: FakeModelServer, answer: Behaviour | None = None) -> None:
        self.server = server
        self.answer = answer or Ok(["Hello"])
        self.loads = 0
        self.loading = trio.Event()
        self.loaded = trio.Event()
        tells(server, "organization_owner", "/api/v1/models", lmstudio_models(server.name))
        server.behaviour = self

    async def __call__(self, exchange: Exchange) -> None:
        if not self.loaded.is_set():
            self.loads += 1
            self.loading.set()
            await self.loaded.wait()
        await self.answer(exchange)


@pytest.mark.parametrize("stream", [True, False])
async def test_requests_wait_for_the_one_that_has_the_model_loaded(stream: bool) -> None:
    async with FakeModelServer("big") as server:
        model = LoadsOnDemand(server)
        # Far more than the queue's own limit: what they wait for is the model.
        async with running(server, queue={"max_wait_seconds": 0.1}) as daemon, client(daemon) as http:
            statuses: list[int] = []

            async def ask() -> None:
                answer = await http.post("/v1/chat/completions", json=chat(stream=stream))
                statuses.append(answer.status_code)

            async with trio.open_nursery() as nursery:
                for _ in range(10):
                    nursery.start_soon(ask)
                await model.loading.wait()
                await until(lambda: daemon.service.fleet.admission["fast"].waiting == 9)
                await trio.sleep(0.3)
                assert (model.loads, len(server.chats)) == (1, 1)
                model.loaded.set()
            assert statuses == [200] * 10
            assert (model.loads, len(server.chats)) == (1, 10)


async def test_others_of_the_tier_serve_while_a_model_is_loaded() -> None:
    async with FakeModelServer("cold") as cold, FakeModelServer("warm") as warm:
        model = LoadsOnDemand(cold)
        places: list[Place] = [endpoint(cold, priority=2), warm]
        async with running(places) as daemon, client(daemon) as http, trio.open_nursery() as nursery:
            nursery.start_soon(lambda: http.post("/v1/chat/completions", json=chat()))
            await model.loading.wait()
            for _ in range(5):
                assert (await http.post("/v1/chat/completions", json=chat())).status_code == 200
            assert (len(cold.chats), len(warm.chats)) == (1, 5)
            model.loaded.set()


async def test_who_waits_goes_on_when_the_first_begins_to_be_answered() -> None:
    """Its answer may take minutes more; the model is loaded."""
    async with FakeModelServer("big") as server:
        model = LoadsOnDemand(server, answer=Cut(Ok(["Hello", " you"]), 2, "stall"))
        async with running(server) as daemon, client(daemon) as http, trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(lambda: http.post("/v1/chat/completions", json=chat(stream=True)))
            await until(lambda: daemon.service.fleet.admission["fast"].waiting == 2)
            model.loaded.set()
            await until(lambda: len(server.chats) == 3)
            nursery.cancel_scope.cancel()


async def test_those_who_wait_go_on_one_by_one_when_the_first_fails() -> None:
    async with FakeModelServer("big") as server:
        model = LoadsOnDemand(server, answer=Ok(["Hello"]))
        server.queue(internal_error())
        settings: dict[str, Any] = {"retry": {"max_attempts": 1}, "queue": {"max_wait_seconds": 0.1}}
        async with running(server, **settings) as daemon, client(daemon) as http:
            statuses: list[int] = []

            async def ask() -> None:
                answer = await http.post("/v1/chat/completions", json=chat())
                statuses.append(answer.status_code)

            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    nursery.start_soon(ask)
                await model.loading.wait()
                assert model.loads == 1
                model.loaded.set()
            assert sorted(statuses) == [200, 200, 502]


@pytest.mark.parametrize("owner", ["library", "somebody"])
async def test_a_server_that_queues_by_itself_gets_them_all(owner: str) -> None:
    async with FakeModelServer("big") as server:
        tells(server, owner, "/api/ps", ollama_ps())
        server.behaviour = Hang()
        async with running(server) as daemon, client(daemon) as http, trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(lambda: http.post("/v1/chat/completions", json=chat()))
            await until(lambda: len(server.chats) == 4)
            nursery.cancel_scope.cancel()

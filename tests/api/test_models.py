"""The lists of models: OpenAI's, and our own with each endpoint's health."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx

from octoroute.config.model import Secret
from tests.fakes.model_server import FakeModelServer, internal_error, loading, rate_limited, unauthorized
from tests.serving import chat, client, endpoint, running


@asynccontextmanager
async def fleet() -> AsyncGenerator[
    tuple[FakeModelServer, FakeModelServer, FakeModelServer, httpx.AsyncClient]
]:
    async with (
        FakeModelServer("qwen") as one,
        FakeModelServer("qwen") as two,
        FakeModelServer("org/Llama") as large,
    ):
        models = {
            "fast": [
                endpoint(one, aliases=("small",), api_key=Secret("sk-very-secret")),
                endpoint(two, weight=2.0),
            ],
            "deep": endpoint(large, model="llama-3.3-70b"),
        }
        async with running(models, timeouts={"deep": 1}) as daemon, client(daemon) as http:  # type: ignore[arg-type]
            yield one, two, large, http


async def test_openais_list() -> None:
    async with fleet() as (_, _, _, http):
        answer = await http.get("/v1/models")
        assert answer.status_code == 200
        body = answer.json()
        assert body["object"] == "list"
        assert [(model["id"], model["owned_by"]) for model in body["data"]] == [
            ("auto", "octoroute"),
            ("fast", "octoroute"),
            ("balanced", "octoroute"),
            ("deep", "octoroute"),
            ("qwen", "user"),
            ("org/Llama", "user"),
        ]
        for model in body["data"]:
            assert model.keys() == {"id", "object", "created", "owned_by"}
            assert model["object"] == "model"
            assert isinstance(model["created"], int)


async def test_one_model() -> None:
    async with fleet() as (_, _, _, http):
        for asked, found in {
            "auto": "auto",
            "DEEP": "deep",
            "qwen": "qwen",
            "small": "qwen",
            "org/llama": "org/Llama",
        }.items():
            answer = await http.get(f"/v1/models/{asked}")
            assert answer.status_code == 200
            assert answer.json()["id"] == found
        answer = await http.get("/v1/models/gpt-4o")
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "model_not_found"


async def test_each_endpoint_and_its_health() -> None:
    async with fleet() as (one, two, large, http):
        models = (await http.get("/models")).json()["models"]
        assert [(model["name"], model["tier"], model["endpoint"]) for model in models] == [
            ("qwen", "fast", one.base_url),
            ("qwen", "fast", two.base_url),
            ("org/Llama", "deep", large.base_url),
        ]
        assert [model["id"] for model in models] == [
            f"qwen@127.0.0.1:{one.port}",
            f"qwen@127.0.0.1:{two.port}",
            "org/Llama",
        ]
        for model in models:
            assert (model["healthy"], model["state"], model["consecutive_failures"]) == (True, "healthy", 0)
            assert 0 <= model["last_check_seconds_ago"] < 20
        assert models[2]["model"] == "llama-3.3-70b"


async def test_states_show() -> None:
    async with fleet() as (_, _, large, http):
        for behaviour, state, healthy, failures in [
            (rate_limited(20), "busy", True, 0),
            (loading(), "warming", False, 0),
            (unauthorized(), "misconfigured", False, 0),
            (internal_error(), "misconfigured", False, 1),
            (internal_error(), "misconfigured", False, 2),
            (internal_error(), "unhealthy", False, 3),
        ]:
            large.behaviour = behaviour
            large.models = loading() if state == "warming" else None
            await http.post("/v1/chat/completions", json=chat("org/Llama"))
            model = (await http.get("/models")).json()["models"][2]
            assert (model["state"], model["healthy"], model["consecutive_failures"]) == (
                state,
                healthy,
                failures,
            )


async def test_no_secret_shows() -> None:
    async with FakeModelServer("small") as small:
        place = endpoint(
            small,
            base_url=small.base_url.replace("http://", "http://user:hunter2@"),
            api_key=Secret("sk-very-secret"),
        )
        async with running(place) as daemon, client(daemon) as http:
            for path in ("/models", "/v1/models", "/metrics", "/health", "/health/ready"):
                text = (await http.get(path)).text
                assert "hunter2" not in text
                assert "sk-very-secret" not in text
            assert "sk-very-secret" not in repr(daemon.service)
            assert "hunter2" not in repr(daemon.service.fleet)

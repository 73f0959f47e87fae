"""What models there are: OpenAI's list, and our own with each endpoint's health."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

import trio
from quart import Response

from octoroute.api.answers import json_response
from octoroute.api.app import Routes
from octoroute.api.chat import service
from octoroute.config.model import TIERS
from octoroute.errors import ModelNotFound
from octoroute.fleet.endpoint import Endpoint
from octoroute.fleet.fleet import AUTO

CREATED = 1_700_000_000
"""`created` is required by OpenAI's type and means nothing here: one fixed time."""


def _model(name: str, owner: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": CREATED, "owned_by": owner}


def _openai_models() -> list[dict[str, object]]:
    virtual = [_model(name, "octoroute") for name in (AUTO, *TIERS)]
    return virtual + [_model(name, "user") for name in service().fleet.model_names()]


async def openai_models() -> Response:
    """All models, virtual ones first."""
    return json_response({"object": "list", "data": _openai_models()})


async def openai_model(name: str) -> Response:
    """One model, by name or alias."""
    target = service().fleet.resolve(name)
    wanted = target.name or target.tier or AUTO
    for model in _openai_models():
        if model["id"] == wanted:
            return json_response(model)
    raise ModelNotFound(f'There is no model "{name[:100]}".', param="model")


async def models() -> Response:
    """Each endpoint and its health."""
    return json_response({"models": [_endpoint(endpoint) for endpoint in service().fleet]})


def _endpoint(endpoint: Endpoint) -> dict[str, object]:
    health = endpoint.health
    age = None if health.last_check is None else round(trio.current_time() - health.last_check, 1)
    return {
        "id": endpoint.id,
        "name": endpoint.name,
        "tier": endpoint.tier,
        "endpoint": _without_userinfo(endpoint.settings.base_url),
        "model": endpoint.model,
        "aliases": endpoint.settings.aliases,
        "healthy": endpoint.is_healthy,
        "state": health.state,
        "last_check_seconds_ago": age,
        "consecutive_failures": health.failures,
        "in_flight": endpoint.in_flight,
        "priority": endpoint.settings.priority,
        "weight": endpoint.settings.weight,
    }


def _without_userinfo(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


ROUTES: Routes = (
    ("GET", "/v1/models", openai_models),
    ("GET", "/v1/models/<path:name>", openai_model),
    ("GET", "/models", models),
)

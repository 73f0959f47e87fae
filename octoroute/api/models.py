"""What models there are: OpenAI's list, and our own with each endpoint's health."""

from __future__ import annotations

import trio
from quart import Response

from octoroute.api.answers import json_response
from octoroute.api.app import Routes
from octoroute.api.chat import service
from octoroute.config.model import TIERS
from octoroute.errors import ModelNotFound
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
    now = trio.current_time()
    return json_response({"models": [endpoint.report(now) for endpoint in service().fleet]})


ROUTES: Routes = (
    ("GET", "/v1/models", openai_models),
    ("GET", "/v1/models/<path:name>", openai_model),
    ("GET", "/models", models),
)

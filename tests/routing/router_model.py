"""Router models in memory, which answer as they are told: for virtual time, and for seeing every question."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx
import trio
from msgspec import Struct

from octoroute.config.model import Config, Endpoint, Routing
from octoroute.fleet.fleet import Fleet
from octoroute.fleet.upstream import Upstream
from octoroute.openai.request import Message
from octoroute.routing.facts import gather
from octoroute.routing.question import Question, question_of
from octoroute.telemetry.events import Event
from tests.relay.in_memory import Pieces

Body = Mapping[str, Any]


class Reply(Struct):
    """One answer: what, with which status, after how many seconds; or how the connection ends."""

    body: Mapping[str, Any] | bytes = b""
    status: int = 200
    after: float = 0
    error: httpx.TransportError | None = None


def says(content: str | None, *, after: float = 0, **more: Any) -> Reply:
    """A completion. `reasoning_content` goes into its message, `logprobs` beside it."""
    message = {"role": "assistant", "content": content}
    if "reasoning_content" in more:
        message["reasoning_content"] = more.pop("reasoning_content")
    choice = {"index": 0, "message": message, "finish_reason": "stop", **more}
    return Reply({"choices": [choice], "usage": {"prompt_tokens": 100, "completion_tokens": 3}}, after=after)


def refuses(message: str, status: int = 400) -> Reply:
    return Reply({"error": {"code": status, "message": message, "type": "invalid_request_error"}}, status)


Script = Callable[[Body], Reply]


class RouterModel(httpx.AsyncBaseTransport):
    """Answers each question with the next reply, the last one for ever; a function makes one of the question."""

    def __init__(self, *replies: Reply | Script) -> None:
        self._replies = list(replies)
        self.asked: list[Body] = []
        self.cancelled = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(await request.aread())
        self.asked.append(body)
        reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        if not isinstance(reply, Reply):
            reply = reply(body)
        try:
            await trio.sleep(reply.after)
        except trio.Cancelled:
            self.cancelled += 1
            raise
        if reply.error is not None:
            raise reply.error
        content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        pieces = [content[start : start + 65536] for start in range(0, len(content), 65536)]
        return httpx.Response(reply.status, stream=Pieces(pieces))


def fleet_of(
    models: Sequence[RouterModel], events: list[Event] | None = None, *, endpoint: Any = None, **routing: Any
) -> tuple[Fleet, Config]:
    """A fleet whose balanced tier has these models, and one of each other tier that answers nothing."""
    settings = tuple(
        Endpoint(name=f"router-{number}", base_url=f"http://r{number}.invalid/v1", **(endpoint or {}))
        for number in range(1, len(models) + 1)
    )
    config = Config(
        models={
            "fast": (Endpoint(name="small", base_url="http://s.invalid/v1"),),
            "balanced": settings,
            "deep": (Endpoint(name="large", base_url="http://l.invalid/v1"),),
        },
        routing=Routing(**routing),
    )
    fleet = Fleet(config, publish=(events if events is not None else []).append)
    for place, model in zip(fleet.tiers["balanced"], models, strict=True):
        place.upstream = Upstream(place.settings, connect_timeout=5, ssl_context=None, transport=model)
    return fleet, config


def question(text: str = "xyzzy") -> Question:
    messages = [Message("user", text)]
    facts = gather(messages, importance=None, task_type=None, default_importance="normal", has_tools=False)
    return question_of(facts, messages)

"""A simulated model server: answers like one at its tier's pace, and says in every answer that it is none."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from typing import Any, NamedTuple
from uuid import uuid4

import trio
from hypercorn.config import Config as ServerConfig
from hypercorn.trio import serve
from quart import Response, request
from quart_trio import QuartTrio

from octoroute.config.model import Tier


class Pace(NamedTuple):
    """How fast a tier is: seconds until the first token, and tokens per second from there."""

    first: float
    rate: float


PACES: dict[Tier, Pace] = {"fast": Pace(0.05, 80), "balanced": Pace(0.2, 40), "deep": Pace(0.5, 20)}

_HEADERS = {"X-Octoroute-Simulated": "true"}


async def serve_simulated(
    tier: Tier, model: str, *, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED
) -> None:
    """Serve a simulated model on a free port of the loopback interface until cancelled.

    Args:
      tier: whose pace to keep.
      model: the name that it lists and answers by.
      task_status: started with the base URL ("http://127.0.0.1:PORT/v1") when it listens.

    """
    config = ServerConfig()
    config.bind = ["127.0.0.1:0"]
    config.errorlog = None
    config.include_server_header = False
    async with trio.open_nursery() as nursery:
        (url,) = await nursery.start(serve, _application(tier, model), config)
        task_status.started(f"{url}/v1")


def _application(tier: Tier, model: str) -> QuartTrio:
    app = QuartTrio(__name__)
    app.config["RESPONSE_TIMEOUT"] = None  # a stream takes as long as it takes

    @app.get("/v1/models")
    async def models() -> Response:
        listed = {"id": model, "object": "model", "created": 0, "owned_by": "simulated"}
        return _answer({"object": "list", "data": [listed]})

    @app.post("/v1/chat/completions")
    async def chat() -> Response:
        try:
            asked = json.loads(await request.get_data())
            completion = Completion(tier, model, asked)
        except (ValueError, TypeError, KeyError, AttributeError):
            error = {"code": 400, "message": "'messages' is required", "type": "invalid_request_error"}
            return _answer({"error": error}, 400)
        if asked.get("stream"):
            stream = Response(completion.stream(), headers=_HEADERS, content_type="text/event-stream")
            stream.timeout = None
            return stream
        await trio.sleep(PACES[tier].first + len(completion.tokens) / PACES[tier].rate)
        return _answer(completion.whole())

    return app


def _answer(body: Mapping[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(body), status, _HEADERS, content_type="application/json")


class Completion:
    """One simulated answer. Raises ValueError, TypeError, KeyError or AttributeError for a malformed request."""

    def __init__(self, tier: Tier, model: str, asked: Mapping[str, Any]) -> None:
        words = len(" ".join(_texts(asked["messages"])).split())
        said = len(" ".join(_texts(asked["messages"][-1:])).split())
        tokens = _tokens(_constrained(asked) or _made_up(tier, said))
        limit = asked.get("max_completion_tokens") or asked.get("max_tokens")
        self.tokens = tokens if limit is None else tokens[: max(int(limit), 1)]
        self._tier = tier
        self._finish = "stop" if len(self.tokens) == len(tokens) else "length"
        self._usage = {
            "prompt_tokens": words,
            "completion_tokens": len(self.tokens),
            "total_tokens": words + len(self.tokens),
        }
        self._with_usage = bool((asked.get("stream_options") or {}).get("include_usage"))
        self._common = {
            "id": f"chatcmpl-{uuid4().hex}",
            "created": int(time.time()),
            "model": model,
            "system_fingerprint": "simulated",
        }

    def whole(self) -> dict[str, Any]:
        """Return the answer to a request that doesn't stream."""
        message = {"role": "assistant", "content": "".join(self.tokens)}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self._finish}
        return {**self._common, "object": "chat.completion", "choices": [choice], "usage": self._usage}

    async def stream(self) -> AsyncGenerator[bytes]:
        """Yield the answer's events, a token at a time, at the tier's pace."""
        first, rate = PACES[self._tier]
        yield self._event({"role": "assistant", "content": ""})
        await trio.sleep(first)
        for token in self.tokens:
            yield self._event({"content": token})
            await trio.sleep(1 / rate)
        yield self._event({}, self._finish)
        if self._with_usage:
            yield _sse(
                {**self._common, "object": "chat.completion.chunk", "choices": [], "usage": self._usage}
            )
        yield b"data: [DONE]\n\n"

    def _event(self, delta: Mapping[str, str], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _sse({**self._common, "object": "chat.completion.chunk", "choices": [choice]})


def _sse(event: Mapping[str, Any]) -> bytes:
    return b"data: %b\n\n" % json.dumps(event).encode()


def _texts(messages: list[dict[str, Any]]) -> Iterator[str]:
    for message in messages:
        content = message.get("content")
        parts = content if isinstance(content, list) else [{"text": content}]
        texts = [part.get("text") for part in parts]
        yield from (text for text in texts if isinstance(text, str))


def _tokens(text: str) -> list[str]:
    """Split into words, each but the first with the space before it."""
    first, *others = text.split(" ")
    return [first, *(f" {word}" for word in others)]


def _made_up(tier: Tier, words: int) -> str:
    said = "1 word" if words == 1 else f"{words} words"
    return (
        f"[simulated {tier} model] You said {said}; a real {tier}-tier model would answer here. "
        "Nothing was generated: this text is made up, word by word, at the pace of such a model."
    )


def _constrained(asked: Mapping[str, Any]) -> str | None:
    """Return an answer of the form that the request demands, or None where it demands none.

    A question that wants one of Octoroute's tiers by name is answered with BALANCED, so that a router that
    asks a simulated model works too.
    """
    form = asked.get("response_format") or {}
    if form.get("type") == "json_schema":
        return json.dumps(_instance(form["json_schema"]["schema"]))
    if form.get("type") == "json_object":
        return json.dumps({"simulated": True})
    if "grammar" in asked and "BALANCED" in str(asked["grammar"]):
        return "BALANCED"
    return None


def _instance(schema: Mapping[str, Any]) -> Any:
    """Return the smallest value of a simple JSON schema."""
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return "BALANCED" if "BALANCED" in schema["enum"] else schema["enum"][0]
    match schema.get("type"):
        case "object":
            return {key: _instance(value) for key, value in schema.get("properties", {}).items()}
        case "array":
            return []
        case "integer" | "number":
            return 0
        case "boolean":
            return True
        case "null":
            return None
        case _:
            return "simulated"

"""`POST /chat`: the seed's own small API, a message in and a whole answer out."""

from __future__ import annotations

import msgspec
from quart import Blueprint, Response

from octoroute.api.answers import json_response, route_headers
from octoroute.api.app import current_exchange
from octoroute.api.chat import answer, read_body, service
from octoroute.config.model import Importance
from octoroute.errors import InvalidRequest, UpstreamFailed
from octoroute.openai.request import Metadata, TaskType, decode, metadata_value, parse
from octoroute.relay.attempt import Answer
from octoroute.relay.failover import Outcome
from octoroute.relay.verdict import server_message, usage_of_answer

blueprint = Blueprint("legacy", __name__)


class _LegacyRequest(msgspec.Struct):
    message: str
    importance: str | None = None
    task_type: str | None = None


class _AnswerMessage(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _AnswerMessage


class _Completion(msgspec.Struct):
    choices: list[_Choice]


_legacy_decoder = msgspec.json.Decoder(_LegacyRequest)


@blueprint.post("/chat")
async def chat() -> Response:
    """Answer one message, buffered."""
    exchange = current_exchange()
    asked = decode(_legacy_decoder, await read_body(exchange))
    if not asked.message.strip():
        raise InvalidRequest("message: must not be empty.", param="message")
    metadata = Metadata(
        metadata_value("importance", asked.importance, Importance),
        metadata_value("task_type", asked.task_type, TaskType),
    )
    body = msgspec.json.encode({"model": "auto", "messages": [{"role": "user", "content": asked.message}]})
    outcome = await answer(service(), exchange, parse(body), metadata)
    whole = await _whole(outcome)
    exchange.usage = usage_of_answer(whole)
    assert exchange.route is not None
    content: dict[str, object] = {
        "content": _content(outcome, whole),
        "model_tier": outcome.endpoint.tier,
        "model_name": outcome.endpoint.name,
        "routing_strategy": exchange.route.strategy,
    }
    if outcome.warning is not None:
        content["warnings"] = [outcome.warning]
    return json_response(content, headers=dict(route_headers(exchange, outcome)))


async def _whole(outcome: Outcome) -> bytes:
    if not isinstance(outcome.answer, Answer):
        return outcome.answer.body
    chunks = list(outcome.answer.begun)
    if outcome.answer.rest is not None:
        chunks += [chunk async for chunk in outcome.answer.rest]
    return b"".join(chunks)


def _content(outcome: Outcome, body: bytes) -> str:
    """The answer's text.

    Raises:
        InvalidRequest: the model server refused the message.
        UpstreamFailed: its answer is no chat completion.
    """
    endpoint = outcome.endpoint.id
    if outcome.answer.status >= 300:
        raise InvalidRequest(
            f"Endpoint {endpoint} refused the message{server_message(body)}.", param="message"
        )
    try:
        completion = msgspec.json.decode(body, type=_Completion)
    except (msgspec.DecodeError, UnicodeDecodeError):
        completion = _Completion([])
    if not completion.choices:
        raise UpstreamFailed(f"Endpoint {endpoint} gave a broken answer: it is no chat completion.")
    return completion.choices[0].message.content or ""

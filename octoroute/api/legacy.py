"""`POST /chat`: the seed's own small API, a message in and a whole answer out."""

from __future__ import annotations

import msgspec
from quart import Response

from octoroute.api.answers import json_response, route_headers
from octoroute.api.app import Routes, current_exchange
from octoroute.api.chat import answer, read_body, service
from octoroute.config.model import Importance
from octoroute.errors import InvalidRequest, UpstreamFailed
from octoroute.openai.request import Metadata, TaskType, decode, metadata_value, parse
from octoroute.relay.attempt import MAX_BUFFERED, Answer
from octoroute.relay.failover import Outcome
from octoroute.relay.verdict import server_message, usage_of_answer


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
    whole = _whole(outcome)
    if outcome.answer.status >= 300:
        return _refused(outcome, whole)
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


def _whole(outcome: Outcome) -> bytes:
    """The answer's body.

    Raises:
        UpstreamFailed: it is longer than what is held of an answer, or encoded.
    """
    if not isinstance(outcome.answer, Answer):
        return outcome.answer.body
    if outcome.answer.rest is not None:
        raise UpstreamFailed(
            f"Endpoint {outcome.endpoint.id} gave an answer that is encoded, or longer than "
            f"{MAX_BUFFERED // 2**20} MiB."
        )
    return b"".join(outcome.answer.begun)


def _refused(outcome: Outcome, body: bytes) -> Response:
    """The model server's refusal, with its own status, in the words of this API."""
    message = f"Endpoint {outcome.endpoint.id} refused the message{server_message(body)}."
    kept = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in outcome.answer.headers}
    wait = {"Retry-After": kept["retry-after"]} if "retry-after" in kept else {}
    return json_response({"error": message}, outcome.answer.status, wait)


def _content(outcome: Outcome, body: bytes) -> str:
    """The answer's text.

    Raises:
        UpstreamFailed: the answer is no chat completion.
    """
    endpoint = outcome.endpoint.id
    try:
        completion = msgspec.json.decode(body, type=_Completion)
    except (msgspec.DecodeError, UnicodeDecodeError):
        completion = _Completion([])
    if not completion.choices:
        raise UpstreamFailed(f"Endpoint {endpoint} gave a broken answer: it is no chat completion.")
    return completion.choices[0].message.content or ""


ROUTES: Routes = (("POST", "/chat", chat),)

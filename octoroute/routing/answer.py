"""What a router model answered: exactly one of three words, and how sure it was. Pure.

Strict: an answer is one word and nothing else, in any case, bare or as the one value of a JSON object; thoughts
before it are taken off. Whatever else a model says (a refusal, a sentence that happens to have "fast" in it, two of
the words, nothing, a novel) is no answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import exp, isfinite
from typing import Any

import msgspec
from msgspec import Struct

from octoroute.config.model import TIERS, Tier
from octoroute.routing.question import WORDS

LONGEST = 200
"""Characters of an answer without its thoughts."""

_THOUGHTS = re.compile(r".*</(?:think|thinking|thought)>", re.IGNORECASE | re.DOTALL)
_OPEN_THOUGHTS = re.compile(r"\s*<(?:think|thinking|thought)>", re.IGNORECASE)
# Quotes, a full stop, Markdown's stars: what models put around a word. "(?a": long s is no S.
_ONE_WORD = re.compile(rf"[\W_]*((?ai:{'|'.join(WORDS)}))[\W_]*")
_TIER_OF = dict(zip(WORDS, TIERS, strict=True))


class _Message(Struct):
    content: str | None = None
    reasoning_content: Any = None
    reasoning: Any = None


class _Choice(Struct):
    message: _Message
    logprobs: msgspec.Raw = msgspec.Raw(b"null")


class _Usage(Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Completion(Struct):
    choices: list[_Choice]
    usage: msgspec.Raw = msgspec.Raw(b"null")


class _Alternative(Struct):
    token: str
    logprob: float


class _Token(_Alternative):
    top_logprobs: list[_Alternative] = []


class _Logprobs(Struct):
    content: list[_Token] | None = None


class Answer(Struct, frozen=True):
    """A completion as far as it matters. `tier` is None where it is none of the three words.

    `probabilities` are those of the three tiers, None where the server does not tell. `thinking` says that thoughts
    took all the room.
    """

    tier: Tier | None
    probabilities: Mapping[Tier, float] | None = None
    thinking: bool = False
    tokens_in: int = 0
    tokens_out: int = 0


def read(body: bytes) -> Answer | None:
    """A model server's answer; None where it is no chat completion."""
    try:
        completion = msgspec.json.decode(body, type=_Completion)
    except (ValueError, RecursionError):
        return None
    if not completion.choices:
        return None
    choice = completion.choices[0]
    content = choice.message.content or ""
    tier = tier_of(content)
    thought = bool(choice.message.reasoning_content or choice.message.reasoning)
    usage = _part(completion.usage, _Usage) or _Usage()
    return Answer(
        tier,
        None if tier is None else probabilities(_part(choice.logprobs, _Logprobs), tier),
        thinking=tier is None and bool(_OPEN_THOUGHTS.match(content) or (thought and not content.strip())),
        tokens_in=max(0, usage.prompt_tokens),
        tokens_out=max(0, usage.completion_tokens),
    )


def tier_of(content: str) -> Tier | None:
    """The tier that an answer names; None where it is anything but one of the three words."""
    thoughts = _THOUGHTS.match(content)
    text = content[thoughts.end() if thoughts else 0 :].strip()
    if not text or len(text) > LONGEST:
        return None
    if text.startswith("{"):
        text = _only_value(text)
    match = _ONE_WORD.fullmatch(text)
    return _TIER_OF[match[1].upper()] if match else None


def _only_value(text: str) -> str:
    try:
        value = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return ""
    values = list(value.values()) if isinstance(value, dict) else []
    return values[0] if len(values) == 1 and isinstance(values[0], str) else ""


def probabilities(logprobs: _Logprobs | None, tier: Tier) -> dict[Tier, float] | None:
    """How likely each of the three answers was, out of 1; None where that is not told.

    Read at the token in which the answer's word begins, among the alternatives to it. A token that begins a word
    ("B", "BAL", " Deep") counts for it: the three begin with different letters. A word that is not listed is taken
    to be as likely as the least likely token that is: more it can't be, and a model that had other things in mind
    than the three words was not sure.
    """
    token = (
        _first_of_word(logprobs.content, WORDS[TIERS.index(tier)]) if logprobs and logprobs.content else None
    )
    if token is None or len(token.top_logprobs) < 2:
        return None
    weights = dict.fromkeys(TIERS, 0.0)
    listed = {each.token: each for each in (token, *token.top_logprobs)}
    for alternative in listed.values():
        start = alternative.token.lstrip(" \t\r\n\"'`*_Ġ▁").rstrip(" \t\r\n\"'`*_.}").upper()
        if start and isfinite(alternative.logprob):
            for word, named in _TIER_OF.items():
                if word.startswith(start):
                    weights[named] += exp(min(alternative.logprob, 0.0))
    least = min(exp(min(each.logprob, 0.0)) for each in token.top_logprobs)
    likely = {name: weight or least for name, weight in weights.items()}
    total = sum(likely.values())
    return {name: weight / total for name, weight in likely.items()} if total > 0 else None


def _first_of_word(tokens: list[_Token], word: str) -> _Token | None:
    """The token in which the last `word` begins."""
    text = "".join(token.token for token in tokens)
    starts = [match.start() for match in re.finditer(word, text, re.IGNORECASE | re.ASCII)]
    at = starts[-1] if starts else len(text)
    for token in tokens:
        if at < len(token.token):
            return token
        at -= len(token.token)
    return None


def choose(answer: Answer, min_confidence: float) -> tuple[Tier, float | None, bool]:
    """The tier to take, the confidence in the answer, and whether that was too low.

    Below `min_confidence`, the higher of the two most likely tiers: a weak answer costs more than a strong model.
    """
    assert answer.tier is not None
    if answer.probabilities is None:
        return answer.tier, None, False
    confidence = answer.probabilities[answer.tier]
    if confidence >= min_confidence:
        return answer.tier, confidence, False
    likely = sorted(TIERS, key=lambda tier: -(answer.probabilities or {})[tier])[:2]
    return max(likely, key=TIERS.index), confidence, True


def _part(raw: msgspec.Raw, kind: type[Any]) -> Any:
    """A part of the answer, None where it is absent or looks otherwise: nothing depends on it."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except (ValueError, RecursionError):
        return None

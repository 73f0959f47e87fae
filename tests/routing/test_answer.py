"""A router model's answer: one of three words or nothing, and how sure it was."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octoroute.config.model import TIERS, Tier
from octoroute.routing.answer import Answer, choose, read, tier_of
from octoroute.routing.question import WORDS

WORD_TO_TIER = dict(zip(WORDS, TIERS, strict=True))


@pytest.mark.parametrize(
    ("content", "tier"),
    [
        ("FAST", "fast"),
        ("balanced", "balanced"),
        (" Deep\n", "deep"),
        ("**DEEP**", "deep"),
        ('"FAST".', "fast"),
        ('{"tier": "BALANCED"}', "balanced"),
        ('{\n  "tier": "DEEP"\n}', "deep"),
        ("<think>FAST or DEEP?</think>\n\nBALANCED", "balanced"),
        ("so much thought</think>DEEP", "deep"),
        ("<think>a</think><think>b</think> FAST", "fast"),
    ],
)
def test_one_word_is_an_answer(content: str, tier: str) -> None:
    assert tier_of(content) == tier


@pytest.mark.parametrize(
    "content",
    [
        "",
        "   ",
        "\n",
        "I'm sorry, but I can't help with that.",
        "I'm sorry, I can't do that so fast.",
        "FAST DEEP",
        "FAST, BALANCED or DEEP",
        "DEEPER",
        "BREAKFAST",
        "FASTDEEP",
        "FA ST",
        "ultra-FAST",
        "éFAST",
        "FASTé",
        "FAſT",
        "1 FAST",
        "ＦＡＳＴ",
        "<think>FAST",
        "<think>FAST</think>",
        "FAST<think>",
        '{"tier": "FAST", "why": "DEEP"}',
        '{"tier": ["FAST"]}',
        '{"tier": "FAST DEEP"}',
        '{"tier": "FAST"',
        "{}",
        "FAST" + " " * 300 + ".",
        "x" * 10_000,
    ],
)
def test_anything_else_is_none(content: str) -> None:
    assert tier_of(content) is None


@given(st.text(max_size=400) | st.text(alphabet='FASTDEPBLNCfastdeep {}":,.<>/think\n', max_size=60))
def test_only_one_word_is_ever_accepted(content: str) -> None:
    tier = tier_of(content)
    if tier is not None:
        after = re.split(r"</think(?:ing)?>|</thought>", content, flags=re.IGNORECASE)[-1]
        words = [word.upper() for word in re.findall(r"[^\W_]+", after)]
        assert [WORD_TO_TIER[word] for word in words if word in WORDS] == [tier]
        assert len(words) == 1 or after.strip().startswith("{")


@given(st.text(max_size=100), st.sampled_from(WORDS), st.text(max_size=100))
def test_words_beside_the_word_are_no_answer(before: str, word: str, after: str) -> None:
    letters = re.findall(r"[^\W_]", before + after)
    if letters and "<" not in before + after and "{" not in before:
        assert tier_of(f"{before} {word} {after}") is None


def completion(content: object, logprobs: object = None, **message: object) -> bytes:
    choice = {"message": {"content": content, **message}, "logprobs": logprobs}
    return json.dumps({"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 2}}).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b"null",
        b'{"choices": []}',
        b'{"choices": [{}]}',
        b'{"choices": [{"message": {"content": ["FAST"]}}]}',
        b'{"choices": [{"message": {"content": 7}}]}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_what_is_no_completion(body: bytes) -> None:
    assert read(body) is None


@given(st.binary(max_size=200))
def test_reading_never_raises(body: bytes) -> None:
    read(body)


def test_what_is_told_beside_the_word() -> None:
    assert read(completion("FAST")) == Answer("fast", tokens_in=9, tokens_out=2)
    assert read(completion("no")) == Answer(None, tokens_in=9, tokens_out=2)
    assert read(b'{"choices": [{"message": {"content": "DEEP"}}]}') == Answer("deep")
    assert read(b'{"choices": [{"message": {"content": "DEEP"}}], "usage": 7}') == Answer("deep")
    assert read(completion("DEEP", logprobs={"content": 7})) == Answer("deep", tokens_in=9, tokens_out=2)


@pytest.mark.parametrize(
    ("content", "message", "thinking"),
    [
        ("", {"reasoning_content": "hm, FAST"}, True),
        (None, {"reasoning": "hm"}, True),
        ("<think>\nhm", {}, True),
        ("FAST", {"reasoning_content": "hm"}, False),
        ("", {}, False),
        ("I think", {}, False),
    ],
)
def test_thoughts_that_took_all_the_room(content: Any, message: Any, thinking: bool) -> None:
    answer = read(completion(content, **message))
    assert answer is not None
    assert answer.thinking is thinking


def token(text: str, *top: tuple[str, float], logprob: float = -0.1) -> dict[str, object]:
    return {
        "token": text,
        "logprob": logprob,
        "top_logprobs": [{"token": each, "logprob": value} for each, value in top],
    }


def probabilities(content: str, *tokens: dict[str, object]) -> dict[Tier, float] | None:
    answer = read(completion(content, {"content": list(tokens)}))
    assert answer is not None
    if answer.probabilities is None:
        return None
    return {tier: round(value, 2) for tier, value in answer.probabilities.items()}


def test_whole_words_as_tokens() -> None:
    top = (("FAST", -0.5108), ("DEEP", -1.2040), ("BALANCED", -2.3026))
    assert probabilities("FAST", token("FAST", *top)) == {"fast": 0.6, "balanced": 0.1, "deep": 0.3}


def test_a_token_may_be_the_beginning_of_a_word() -> None:
    top = (("B", -0.6931), (" BAL", -1.6094), ("D", -2.3026), ("F", -2.3026), ("Hello", -2.9957))
    found = probabilities("BALANCED", token("B", *top), token("AL"), token("ANCED"))
    assert found == {"fast": 0.11, "balanced": 0.78, "deep": 0.11}


def test_the_word_is_found_behind_json_and_thoughts() -> None:
    other = token("x", ("FAST", -0.1), ("y", -3))
    tokens = [
        other,
        token('{"'),
        token("tier"),
        token('": "'),
        token("DE", ("DE", -0.2231), ("F", -1.6094)),
        token("EP"),
    ]
    found = probabilities('{"tier": "DEEP"}', *tokens, token('"}'))
    assert found == {"fast": 0.17, "balanced": 0.17, "deep": 0.67}


def test_what_is_not_listed_is_as_likely_as_the_least_listed() -> None:
    found = probabilities("FAST", token("F", ("Hello", -1.0), ("F", -2.3026), ("x", -3.6889)), token("AST"))
    assert found == {"fast": 0.67, "balanced": 0.17, "deep": 0.17}


def test_a_word_that_was_forced_on_the_model_is_unlikely() -> None:
    found = probabilities(
        "FAST", token("F", ("Hello", -0.1), ("D", -3.0), ("x", -4.0), logprob=-9.0), token("AST")
    )
    assert found is not None
    assert found["fast"] < 0.05 < found["balanced"] < found["deep"]


@pytest.mark.parametrize(
    "tokens", [[], [token("F")], [token("F", ("F", -0.1))], [token("x", ("F", -1), ("D", -2))]]
)
def test_too_little_tells_nothing(tokens: list[dict[str, object]]) -> None:
    assert probabilities("FAST", *tokens) is None


LOGPROBS = st.floats(-40, 1)


@given(
    st.lists(st.tuples(st.text(max_size=4) | st.sampled_from([*WORDS, "F", "B", "D"]), LOGPROBS), max_size=20)
)
def test_probabilities_are_some(top: list[tuple[str, float]]) -> None:
    answer = read(completion("FAST", {"content": [token("F", *top), token("AST")]}))
    assert answer is not None
    if answer.probabilities is not None:
        assert set(answer.probabilities) == set(TIERS)
        assert sum(answer.probabilities.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("answer", "least", "chosen"),
    [
        (Answer("fast"), 0.9, ("fast", None, False)),
        (Answer("fast", {"fast": 0.6, "balanced": 0.3, "deep": 0.1}), 0.5, ("fast", 0.6, False)),
        (Answer("fast", {"fast": 0.5, "balanced": 0.3, "deep": 0.2}), 0.5, ("fast", 0.5, False)),
        (Answer("fast", {"fast": 0.45, "balanced": 0.35, "deep": 0.2}), 0.5, ("balanced", 0.45, True)),
        (Answer("fast", {"fast": 0.45, "balanced": 0.2, "deep": 0.35}), 0.5, ("deep", 0.45, True)),
        (Answer("deep", {"fast": 0.35, "balanced": 0.2, "deep": 0.45}), 0.5, ("deep", 0.45, True)),
        (Answer("fast", {"fast": 0.4, "balanced": 0.3, "deep": 0.3}), 0.5, ("balanced", 0.4, True)),
        (Answer("fast", {"fast": 0.34, "balanced": 0.33, "deep": 0.33}), 0, ("fast", 0.34, False)),
    ],
)
def test_a_weak_answer_takes_the_higher_of_the_two_best(answer: Answer, least: float, chosen: object) -> None:
    assert choose(answer, least) == chosen

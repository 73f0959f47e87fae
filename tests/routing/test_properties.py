"""What holds for every text: no exception, bounded work, determinism, and what must not change the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octoroute.config.model import Importance
from octoroute.openai.request import Message, Part, TaskType
from octoroute.routing import inference, structure, words, wrappers
from octoroute.routing.facts import Facts, gather
from octoroute.routing.inference import infer
from octoroute.routing.rules import RULES, match, silence
from octoroute.routing.vocabulary import LANGUAGES
from octoroute.routing.words import fold, split
from octoroute.routing.wrappers import is_background, own_words
from tests.routing.prompts import PROMPTS, WRAPPERS

OURS = {
    phrase.text
    for lexicon in words.LEXICONS.values()
    for phrases in (
        *lexicon._stems.values(),
        *([plain[2] for plain in row] for row in lexicon._plain.values()),
    )
    for phrase in phrases
}

TASKS = get_args(TaskType)
IMPORTANCES = get_args(Importance)

# Pieces that patterns like to begin with, over and over: what makes careless ones slow.
_PIECES = (
    "<", "<task>", "</task>", "<context>", "<context ", "```", "`", "(", "{", "}", ";", " ", "\t", "\n", "a", "A", ".", "-",
    "SELECT ", "at ", '  File "', "$", "=", "[", "_", "A. x\n", "### task:\n", "write title ", "Question: ", "[Context]\n",
    "ﷺ", "ß", "İ", "ı", "e\u0301", "写", "한", "क्", "؟", "how ", "write ", "poem ", "class ", "\x00", "\ud800",
)  # fmt: skip
hostile = st.lists(st.tuples(st.sampled_from(_PIECES), st.integers(1, 6000)), min_size=1, max_size=4).map(
    lambda pieces: "".join(piece * times for piece, times in pieces)
)
vocabulary = st.lists(
    st.sampled_from(
        [phrase for language in LANGUAGES for phrase in f"{language.make} | {language.small_talk}".split("|")]
    ),
    max_size=8,
).map(" ".join)
texts = st.one_of(st.text(), hostile, vocabulary, st.sampled_from([prompt.text for prompt in PROMPTS]))
parts = st.builds(
    Part,
    type=st.sampled_from(["text", "image_url", "tool_result", 7, None]),
    text=st.one_of(texts, st.just(7), st.none()),
)
messages = st.lists(
    st.builds(
        Message,
        role=st.sampled_from(["user", "system", "developer", "assistant", "tool", "other"]),
        content=st.one_of(texts, st.none(), st.lists(st.one_of(texts, parts), max_size=3)),
    ),
    max_size=5,
)


def facts(conversation: Sequence[Message], task_type: TaskType | None = None) -> Facts:
    return gather(
        conversation, importance=None, task_type=task_type, default_importance="normal", has_tools=False
    )


@given(
    messages,
    st.sampled_from([None, *IMPORTANCES]),
    st.sampled_from([None, *TASKS]),
    st.sampled_from(IMPORTANCES),
)
def test_any_conversation_has_facts_and_they_are_sound(
    conversation: list[Message],
    importance: Importance | None,
    task_type: TaskType | None,
    default: Importance,
) -> None:
    got, again = (
        gather(
            conversation,
            importance=importance,
            task_type=task_type,
            default_importance=default,
            has_tools=False,
        )
        for _ in range(2)
    )
    assert got == again
    assert got.tokens == sum(len(message.text()) for message in conversation) // 4
    assert got.turns == sum(message.role == "user" for message in conversation)
    if importance is not None:
        assert got.importance == importance
    if task_type is not None:
        assert got.task_type == task_type
    assert got.importance_given == (importance is not None)
    assert got.task_type_given == (task_type is not None)
    found = match(got)
    if got.task_type is None:
        assert found is None or found.reason == "important"
        assert silence(got) == "no_evidence"
    if found is not None:
        assert found.rule in RULES
        assert (found.tier == "fast") == (got.task_type == "casual_chat")


@settings(max_examples=300)
@given(texts)
def test_the_work_is_bounded_however_long_the_text_is(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        seen: list[int] = []
        marks, find = structure.marks, words.Lexicon.find

        def counted_marks(view: str) -> list[str]:
            seen.append(len(view))
            return marks(view)

        def counted_find(lexicon: words.Lexicon, found: list[str]) -> list[words.Hit]:
            assert sum(map(len, found)) <= 2 * words.EDGE_CHARACTERS + 3
            return find(lexicon, found)

        patch.setattr(structure, "marks", counted_marks)
        patch.setattr(words.Lexicon, "find", counted_find)
        infer(text)
        assert max(seen) <= 2 * inference.EDGE_CHARACTERS + 1
    assert len(own_words(text)) <= 2 * wrappers.EDGE_CHARACTERS + 1
    assert len(split(text).words) <= 2 * words.EDGE_CHARACTERS + 3
    is_background(text)


@given(texts)
def test_evidence_quotes_nothing_but_our_vocabulary(text: str) -> None:
    for code in infer(text).evidence:
        _, _, quoted = code.partition(":")
        assert not quoted or quoted in OURS or all(half in OURS for half in quoted.split("+", 1)), code


@given(st.text())
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(st.sampled_from(PROMPTS), texts, st.sampled_from(["system", "developer"]))
def test_a_system_prompt_does_not_change_the_task(prompt: object, system: str, role: str) -> None:
    text = getattr(prompt, "text")  # noqa: B009  # hypothesis shows the prompt as it is
    alone = facts([Message("user", text)])
    with_system = facts([Message(role, system), Message("user", text)])
    assert (with_system.task_type, with_system.importance) == (alone.task_type, alone.importance)


@pytest.mark.parametrize("name", WRAPPERS)
def test_an_agents_wrapper_does_not_change_the_task(name: str) -> None:
    for prompt in PROMPTS:
        wrapped, alone = (
            facts([Message("user", WRAPPERS[name](prompt.text))]),
            facts([Message("user", prompt.text)]),
        )
        assert (wrapped.task_type, wrapped.importance, wrapped.evidence) == (
            alone.task_type, alone.importance, alone.evidence,
        ), prompt  # fmt: skip


def test_case_does_not_change_the_task() -> None:
    for prompt in PROMPTS:
        for changed in (prompt.text.upper(), prompt.text.lower(), prompt.text.title()):
            # Source code is where case matters: SELECT, KeyError.
            if structure.marks(changed) == structure.marks(prompt.text):
                assert infer(changed) == infer(prompt.text), changed


def test_white_space_around_does_not_change_the_task() -> None:
    for prompt in PROMPTS:
        assert infer(f"\n\n  {prompt.text}\n ").task_type == infer(prompt.text).task_type

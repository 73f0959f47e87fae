"""What is read of a request."""

from __future__ import annotations

import msgspec
import pytest

from octoroute.config.model import Importance
from octoroute.openai.request import Message, Part, TaskType
from octoroute.routing.facts import Facts, gather
from tests.routing.prompts import WRAPPERS


def facts(
    *messages: Message,
    importance: Importance | None = None,
    task_type: TaskType | None = None,
    default_importance: Importance = "normal",
    has_tools: bool = False,
) -> Facts:
    return gather(
        messages,
        importance=importance,
        task_type=task_type,
        default_importance=default_importance,
        has_tools=has_tools,
    )


def test_tokens_count_all_messages_and_turns_the_users() -> None:
    got = facts(
        Message("system", "x" * 5),
        Message("user", "y"),
        Message("assistant", None),
        Message("user", [Part("text", "zz")]),
    )
    assert (got.tokens, got.turns) == (8 // 4, 2)


def test_what_the_client_gave_wins() -> None:
    got = facts(
        Message("user", "URGENT: write a poem"), importance="low", task_type="code", default_importance="high"
    )
    assert (got.importance, got.importance_given) == ("low", True)
    assert (got.task_type, got.task_type_given, got.evidence) == ("code", True, ())


def test_the_default_importance_is_for_what_says_nothing() -> None:
    assert facts(Message("user", "Who wrote Faust?"), default_importance="high").importance == "high"
    assert facts(Message("user", "URGENT: who wrote Faust?")).importance == "high"
    assert not facts(Message("user", "URGENT: who wrote Faust?")).importance_given


def test_only_the_newest_user_turn_tells_the_task() -> None:
    got = facts(
        Message("system", "You write code. def f(): pass"),
        Message("user", "Write a Python function"),
        Message("assistant", "def f(): pass"),
        Message("user", "Now write a poem about it"),
        Message("tool", "Traceback (most recent call last):"),
    )
    assert got.task_type == "creative_writing"


def test_no_user_turn_is_no_evidence() -> None:
    got = facts(Message("system", "Write a poem"))
    assert (got.task_type, got.evidence, got.turns) == (None, (), 0)


@pytest.mark.parametrize("name", WRAPPERS)
def test_an_agents_greeting_is_a_greeting(name: str) -> None:
    assert facts(Message("user", WRAPPERS[name]("hello!"))).task_type == "casual_chat"


def test_a_front_ends_small_job_is_a_summary_of_little_importance() -> None:
    prompt = "### Task:\nGenerate a concise, 3-5 word title.\n### Guidelines:\n<chat_history>\nUSER: URGENT: fix my Python\n"
    got = facts(Message("user", prompt))
    assert (got.task_type, got.importance, got.background) == ("document_summary", "low", True)
    assert got.evidence == ("background_job",)
    assert facts(Message("user", prompt), task_type="casual_chat").task_type == "casual_chat"


def test_kinds_of_parts() -> None:
    got = facts(Message("user", [Part("image_url"), Part("input_audio"), Part("file")]), has_tools=True)
    assert (got.has_images, got.has_audio, got.has_files, got.has_tools) == (True, True, True, True)
    got = facts(Message("user", "hi"))
    assert (got.has_images, got.has_audio, got.has_files, got.has_tools) == (False, False, False, False)


def test_facts_are_plain_json() -> None:
    plain = msgspec.to_builtins(facts(Message("user", "Who wrote Faust?")))
    assert plain["task_type"] == "question_answer"
    assert msgspec.json.decode(msgspec.json.encode(plain)) == msgspec.json.decode(msgspec.json.encode(plain))
    assert set(plain) == set(Facts.__struct_fields__)

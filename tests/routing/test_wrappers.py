"""What agents and front ends put around the user's words."""

from __future__ import annotations

import pytest

from octoroute.openai.request import Message, Part
from octoroute.routing.wrappers import Turn, is_background, newest_turn, own_words
from tests.routing.prompts import WRAPPERS


@pytest.mark.parametrize("name", WRAPPERS)
def test_every_known_wrapper_comes_off(name: str) -> None:
    assert own_words(WRAPPERS[name]("Write a poem\nabout rain")) == "Write a poem\nabout rain"


def test_unknown_tags_and_unclosed_ones_stay() -> None:
    assert own_words("<div>hello</div>") == "<div>hello</div>"
    assert own_words("<context> is what I mean") == "<context> is what I mean"


def test_the_inner_text_of_the_last_own_tag_wins() -> None:
    assert own_words("<task>old</task> x <feedback>new</feedback>") == "new"


def test_a_long_context_between_question_and_end() -> None:
    text = f"<task>Why?</task>\n<environment_details>{'main.py ' * 10_000}</environment_details>"
    assert own_words(text) == "Why?"


@pytest.mark.parametrize(
    "text",
    [
        "<environment_context>\n<cwd>/src</cwd>\n</environment_context>",
        "<system-reminder>x</system-reminder>",
        "[read_file for 'x.py'] Result:\ndef f(): pass",
        "[ERROR] You did not use a tool in your previous response! Please retry with a tool use.",
        "I have *added these files to the chat* so you can go ahead and edit them.\n\nx.py",
        "# AGENTS.md instructions for /src\n\n<INSTRUCTIONS>\nBe brief.\n</INSTRUCTIONS>",
        "[Request interrupted by user]",
        "<tool_result>def f(): pass</tool_result>",
    ],
)
def test_a_turn_without_the_users_words_is_passed_over(text: str) -> None:
    assert own_words(text) == ""
    messages = [Message("user", "Who wrote Faust?"), Message("assistant", None), Message("user", text)]
    assert newest_turn(messages).own == "Who wrote Faust?"


def test_tool_results_as_parts_are_passed_over_and_images_are_not() -> None:
    asked = Message("user", "Who wrote Faust?")
    assert newest_turn([asked, Message("user", [Part("tool_result", None)])]).own == "Who wrote Faust?"
    assert newest_turn([asked, Message("user", [Part("image_url", None)])]) == Turn()
    assert newest_turn([asked, Message("tool", "Write a poem")]).own == "Who wrote Faust?"
    assert newest_turn([]) == Turn()


@pytest.mark.parametrize(
    "text",
    [
        "### Task:\nGenerate a concise, 3-5 word title with an emoji summarizing the chat history.\n### Guidelines:\n-",
        "### Task:\nGenerate 1-3 broad tags categorizing the main themes.\n\n### Guidelines:\n-",
        "### Task:\nSuggest 3-5 relevant follow-up questions.\n### Output:\nJSON",
        "### Task:\nAnalyze the chat history to determine the necessity of generating search queries.\n### Guidelines:\n",
        "### Task:\nYou are an autocompletion system. Continue the text.\n### **Instructions**:\n<chat_history>\n",
        "Generate a title for this conversation:\n",
        "Please write a 5-10 word title for the following conversation:\n\nUser: fix it",
        "Based on the chat history, give this conversation a name.",
        "Provide a concise, 5-word-or-less title for the conversation, using its same language.",
    ],
)
def test_small_jobs_of_front_ends(text: str) -> None:
    assert is_background(text)


@pytest.mark.parametrize(
    "text",
    [
        "### Task:\nRespond to the user query using the provided context.\n### Guidelines:\n-",
        "Write a title for my chat app",
        "Give me a name for this chat app",
        "Write a story about a conversation",
        "### Task: sort the list",
        "",
    ],
)
def test_jobs_of_the_user(text: str) -> None:
    assert not is_background(text)

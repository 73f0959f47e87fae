"""What routing reads of a request: facts that the rules, the classifier and a person asking "why?" all share."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from octoroute.config.model import Importance
from octoroute.openai.request import Message, TaskType
from octoroute.routing.inference import infer
from octoroute.routing.wrappers import is_background, newest_turn

_CHARACTERS_PER_TOKEN = 4
_USER_ROLE = "user"
IMAGE_PARTS = frozenset({"image_url", "image", "input_image"})
"""The types of parts that ask for eyes."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one request before it is routed. `msgspec.to_builtins` makes it plain JSON.

    Nothing here quotes the prompt: `evidence` names shapes and words of our own vocabulary.
    """

    tokens: int
    """Estimated: characters // 4 over the text of all messages."""
    turns: int
    """Messages of the user."""
    importance: Importance
    importance_given: bool
    """The client said so; else it was inferred, or is the default."""
    task_type: TaskType | None
    """None: there is no evidence, or it contradicts itself."""
    task_type_given: bool
    evidence: tuple[str, ...] = ()
    """Why that task type was inferred; empty where it was given."""
    language: str | None = None
    """ISO 639-1 code of the vocabulary that matched the newest user turn."""
    background: bool = False
    """A front end's own small job beside the conversation: a title, tags, follow-up questions."""
    has_tools: bool = False
    has_images: bool = False
    has_audio: bool = False
    has_files: bool = False


def gather(
    messages: Sequence[Message],
    *,
    importance: Importance | None,
    task_type: TaskType | None,
    default_importance: Importance,
    has_tools: bool,
) -> Facts:
    """The facts of a request. What the client gave wins; the rest is inferred from the newest user turn alone.

    System prompts, earlier turns, tool results and what an agent wraps around the user's words say nothing about the
    task; they only count as tokens.
    """
    characters, turns = 0, 0
    kinds: set[str] = set()
    for message in messages:
        characters += len(message.text())
        turns += message.role == _USER_ROLE
        kinds.update(message.part_types())
    turn = newest_turn(messages)
    background = is_background(turn.text)
    inferred = infer(turn.own)
    if background:
        # A small job on what was said so far: the summary of a conversation, whatever that is about.
        inferred = msgspec.structs.replace(
            inferred, task_type="document_summary", importance="low", evidence=("background_job",)
        )
    return Facts(
        tokens=characters // _CHARACTERS_PER_TOKEN,
        turns=turns,
        importance=importance or inferred.importance or default_importance,
        importance_given=importance is not None,
        task_type=task_type or inferred.task_type,
        task_type_given=task_type is not None,
        evidence=() if task_type else inferred.evidence,
        language=inferred.language,
        background=background,
        has_tools=has_tools,
        has_images=not kinds.isdisjoint(IMAGE_PARTS),
        has_audio=not kinds.isdisjoint({"input_audio", "audio", "audio_url"}),
        has_files=not kinds.isdisjoint({"file", "input_file", "video_url"}),
    )

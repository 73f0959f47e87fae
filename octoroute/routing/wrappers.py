"""What agents and chat front ends put around a user's words, and how to take it off.

Seen in codex, Claude Code, Cline and Roo, aider, Continue, Copilot, Cursor, Gemini CLI, opencode and Open WebUI.
Unknown wrappers stay: then inference reads them too, which is no worse than not knowing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from octoroute.openai.request import Message
from octoroute.routing.words import edges

EDGE_CHARACTERS = 8000
"""How much of a long message is searched for wrappers, at each of its two ends."""
_MOST_TAGS = 200
_MOST_TURNS = 20

# The inner text of these is the user's own; where there are several, the last one's is.
_OWN = frozenset(
    {
        "task",
        "new_task",
        "user_message",
        "user_query",
        "user_request",
        "userrequest",
        "user_input",
        "user_prompt",
    }
    | {"feedback", "command-args", "objective"}
)
# The inner text of these is not.
_FOREIGN = frozenset(
    {
        "environment_context",
        "environment_details",
        "environment_info",
        "system-reminder",
        "system_reminder",
        "system",
    }
    | {
        "user_instructions",
        "instructions",
        "custom_instructions",
        "reminderinstructions",
        "reminder",
        "rules",
    }
    | {
        "permissions instructions",
        "recommended_plugins",
        "collaboration_mode",
        "personality_spec",
        "turn_aborted",
    }
    | {
        "subagent_notification",
        "skills_instructions",
        "apps_instructions",
        "user_shell_command",
        "model_switch",
    }
    | {
        "context",
        "editorcontext",
        "editor_context",
        "attachments",
        "attachment",
        "attached_files",
        "workspace_info",
    }
    | {
        "additional_data",
        "open_and_recently_viewed_files",
        "project_layout",
        "user_info",
        "git_status",
        "repo_map",
    }
    | {
        "file_content",
        "file_contents",
        "folder_content",
        "files",
        "document",
        "documents",
        "source",
        "sources",
    }
    | {"local-command-stdout", "local-command-stderr", "local-command-caveat", "bash-stdout", "bash-stderr"}
    | {
        "command-name",
        "command-message",
        "task-notification",
        "tool_result",
        "tool_response",
        "function_results",
    }
    | {"chat_history", "goal_context", "todo_list", "error_details", "ide_selection", "ide_opened_file"}
)
_CLOSING = {name: re.compile(f"</{re.escape(name)}>", re.IGNORECASE) for name in _OWN | _FOREIGN}
_TAG = re.compile(r"<([a-z][a-z_-]{2,40}(?: instructions)?)(?: [^<>]{0,200})?>", re.IGNORECASE)

# From one of these on, the rest is the user's.
_QUESTION_MARKER = re.compile(
    r"^[ \t]*(?:#{1,4} my request for codex:|\[(?:user )?(?:question|query|request|task|instruction)\]:?"
    r"|#{1,4} (?:user )?(?:question|query|request):?[ \t]*$|(?:user )?(?:question|query):)",
    re.IGNORECASE | re.MULTILINE,
)
# ... provided that something before it says that it is a context.
_CONTEXT_MARKER = re.compile(
    r"^[ \t]*(?:# context from my ide|\[(?:context|documents?|background|sources?)\]|#{1,4} (?:context|documents?)\b|context(?: information)?(?: is below)?:)"
    r"|pieces of context|context information is below|given context",
    re.IGNORECASE | re.MULTILINE,
)
# From one of these on, nothing is.
_TRAILER = re.compile(
    r"^(?:# \*SEARCH/REPLACE block\* Rules:|--- Content from referenced files ---|helpful answer:|\(This is an automated message)",
    re.IGNORECASE | re.MULTILINE,
)
# A user turn that begins like this is the agent's own.
_AGENT_TURN = re.compile(
    r"\s*(?:\[ERROR\] You did not use a tool|\[\w{2,40}(?: for [^\]\n]{0,300})?\] Result:|\[Request interrupted by user"
    r"|Caveat: The messages below were generated|This is the (?:Gemini|Qwen)|I have \*added these files to the chat\*"
    r"|Here are summaries of some files|Here are READ ONLY files|I am not sharing (?:any|the full) |\[TASK RESUMPTION\]"
    r"|# (?:AGENTS|CLAUDE)\.md instructions)",
    re.IGNORECASE,
)
# Jobs that a front end sends beside the conversation: a title, tags, follow-up questions, a search query.
_BACKGROUND = re.compile(
    r"\s*#{2,4} task:?\s{1,4}(?!respond to the user)[\s\S]{0,6000}?(?:<chat_history>|#{2,4} (?:output|guidelines|chat history|instructions))"
    r"|\s*your task is to reflect the speaker's likely facial expression"
    r"|[\s\S]{0,120}?\b(?:generate|write|create|provide|give|suggest|come up with|reply with)\b[^.\n]{0,80}?\b(?:title|name|tags|summary|headline)\b"
    r"[^.\n]{0,60}?\b(?:this|the|following|our) (?:conversation|chat|thread|dialogue|discussion|session)\b"
    r"(?! (?:app|bot|room|program|website|interface))"
    r"|\s*based on the chat history, give this conversation a name",
    re.IGNORECASE,
)


def own_words(text: str) -> str:
    """What the user wrote in a message; empty where all of it is an agent's."""
    text = edges(text, EDGE_CHARACTERS)
    if _AGENT_TURN.match(text) and "<user_message>" not in text and "<feedback>" not in text:
        return ""
    if "<" in text:
        text = _without_tags(text)
    trailer = _TRAILER.search(text)
    if trailer:
        text = text[: trailer.start()] or text[trailer.end() :]
    context = _CONTEXT_MARKER.search(text)
    if context:
        markers = list(islice(_QUESTION_MARKER.finditer(text, context.end()), _MOST_TAGS))
        if markers:
            text = text[markers[-1].end() :]
    return text.strip()


def _without_tags(text: str) -> str:
    kept: list[str] = []
    own = ""
    at = 0
    never_closed: set[str] = set()
    for match in islice(_TAG.finditer(text), _MOST_TAGS):
        name = match[1].lower()
        if match.start() < at or name in never_closed or not (name in _OWN or name in _FOREIGN):
            continue
        close = _CLOSING[name].search(text, match.end())
        if close is None:
            never_closed.add(name)
            continue
        if name in _OWN:
            own = text[match.end() : close.start()].strip() or own
        kept.append(text[at : match.start()])
        at = close.end()
    if own:
        return own
    kept.append(text[at:])
    rest = "\n".join(kept)
    # Open WebUI's retrieval template instructs first, then quotes, then lets the user speak.
    if rest.lstrip().lower().startswith("### task:\nrespond to the user query"):
        return kept[-1]
    return rest


def is_background(text: str) -> bool:
    """Tell a front end's own small job (a title, tags, follow-up questions) from a turn of the user."""
    return _BACKGROUND.match(edges(text, EDGE_CHARACTERS // 2)) is not None


class Turn(NamedTuple):
    """A turn of the user: the whole text, and the user's own words in it."""

    text: str = ""
    own: str = ""


def newest_turn(messages: Sequence[Message]) -> Turn:
    """The newest turn that has any words of the user; an empty one where none has.

    Tool results that come as user turns, and turns that an agent writes by itself, are passed over. A turn of
    images alone is the user's, without words.
    """
    turns = (message for message in reversed(messages) if message.role == "user")
    for message in islice(turns, _MOST_TURNS):
        text = message.text()
        own = own_words(text)
        if own:
            return Turn(text, own)
        if any(kind not in {"text", "tool_result"} for kind in message.part_types()):
            break
    return Turn()

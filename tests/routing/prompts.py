"""The hand-written table `prompts.txt`, and what agents put around such prompts."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

_LINE = re.compile(r"(?:(?P<said>\w+) instead of )?(?P<wanted>\w+)(?P<sign>[|~12?]) (?P<text>.*)")


class Prompt(NamedTuple):
    """One line of the table. `said` is what inference says: what is wanted, but for the known misses."""

    language: str
    wanted: str
    said: str
    text: str


def _read() -> list[Prompt]:
    language, prompts = "", []
    for line in Path(__file__).with_name("prompts.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("== "):
            language = line[3:]
        elif not line.startswith("#"):
            match = _LINE.fullmatch(line)
            assert match, line
            wanted = match["wanted"]
            prompts.append(
                Prompt(language, wanted, match["said"] or wanted, match["text"].replace("\\n", "\n"))
            )
    return prompts


PROMPTS = _read()

WRAPPERS: dict[str, Callable[[str], str]] = {
    "codex": lambda text: f"<environment_context>\n  <cwd>/src</cwd>\n</environment_context>\n\n{text}",
    "codex, in an IDE": lambda text: (
        f"# Context from my IDE setup:\n\n## Open tabs:\n- app.py\n\n## My request for Codex:\n{text}"
    ),
    "codex, project instructions": lambda text: (
        f"<user_instructions>\nFix bugs in Python first. Write tests.\n</user_instructions>\n\n{text}"
    ),
    "Claude Code": lambda text: (
        f"<system-reminder>\nThe file app.py was changed: def f(): ...\n</system-reminder>\n{text}"
    ),
    "Claude Code, after": lambda text: f"{text}\n<system-reminder>\nSummarize nothing.\n</system-reminder>",
    "Cline": lambda text: (
        f"<task>\n{text}\n</task>\n\n<environment_details>\n# VSCode Visible Files\nsrc/main.py\n</environment_details>"
    ),
    "Roo": lambda text: (
        f"<user_message>\n{text}\n</user_message>\n<environment_details>\nmain.rs\n</environment_details>"
    ),
    "Cursor": lambda text: (
        f"<additional_data>\nconst x = 1;\n</additional_data>\n<user_query>\n{text}\n</user_query>"
    ),
    "Copilot": lambda text: (
        "<attachments>\n```python\nimport os\n```\n</attachments>\n<context>\nToday is Monday.\n</context>\n"
        f"<userRequest>\n{text}\n</userRequest>"
    ),
    "aider": lambda text: (
        f"{text}\n\n# *SEARCH/REPLACE block* Rules:\n\nEvery block must use this format: ```python"
    ),
    "Gemini CLI": lambda text: (
        f"{text}\n--- Content from referenced files ---\nimport os\n--- End of content ---"
    ),
    "Open WebUI, retrieval": lambda text: (
        "### Task:\nRespond to the user query using the provided context.\n### Guidelines:\n- Cite.\n"
        f'<context>\n<source id="1">def f(): pass</source>\n</context>\n\n{text}'
    ),
    "LangChain, retrieval": lambda text: (
        f"Use the following pieces of context to answer the question.\n\ndef f(): pass\n\nQuestion: {text}\nHelpful Answer:"
    ),
    "context and question": lambda text: f"[Context]\ndef f(): pass\n\n[Question]\n{text}",
}

"""What the shape of a text tells, whatever its words: source code, a stack trace, a diff, a test's choices.

Every pattern is anchored at the start of a line or at a literal, and repeats nothing that repeats, so that its
work is linear in the text, which `words.edges` has bounded.
"""

from __future__ import annotations

import re

_LINE = re.MULTILINE
_PATTERNS: tuple[tuple[str, int, re.Pattern[str]], ...] = (
    # (name, how often it must match, pattern)
    ("traceback", 1, re.compile(
        r"^Traceback \(most recent|^[ \t]+at [\w.$<>]{1,200}\(|^[ \t]*File \"[^\"\n]{1,200}\", line \d"
        r"|\b[A-Z]\w{1,40}(?:Error|Exception)\b|^error(?:\[E\d+\])?: |^panic: |^fatal: |\bexit code \d", _LINE)),
    ("diff", 1, re.compile(r"^@@ -\d+|^diff --git |^--- a/|^\+\+\+ b/", _LINE)),
    ("sql", 1, re.compile(
        r"\bSELECT\b[^;]{1,120}?\bFROM\b|\bINSERT INTO\b|\bCREATE TABLE\b|\bALTER TABLE\b|\bDELETE FROM\b"
        r"|\bUPDATE \w{1,60} SET\b")),
    ("code_line", 1, re.compile(
        r"^[ \t]*(?:async )?def \w+\(|^[ \t]*class \w+[(:{ ][^.\n]{0,80}[:{]$|^#include\b|^[ \t]*(?:from \w[\w.]* )?import \w[\w.*]*"
        r"(?: as \w+)?;?$|^[ \t]*from \w[\w.]* import |^[ \t]*(?:export |async )*function \w*\(|^[ \t]*(?:const|let|var) \w+ ?[=:]"
        r"|^[ \t]*(?:pub )?fn \w+|^func \w+\(|^[ \t]*(?:public|private|protected) (?:static |class |void |int |final )"
        r"|^[ \t]*(?:if|for|while|switch) ?\([^\n]{1,200}\) ?\{|^[ \t]*return\b[^\n]{0,200};$|^<\?php|^#!/|^<!DOCTYPE html|^<html"
        r"|^[ \t]*assert \w|^>>> ", _LINE)),
    ("code_lines", 2, re.compile(
        r"^[^\n]{0,200}[;{}][ \t]*$|^[ \t]*\w[\w.\[\]]{0,60} ?[-+*]?= ?[^\n=]{1,200}$|^[ \t]*<\/?\w+[^>\n]{0,200}>", _LINE)),
    ("shell", 1, re.compile(
        r"^[ \t]*\$ \w|\b(?:sudo|apt|apt-get|brew|pip3?|npm|yarn|cargo|docker|kubectl|git) (?:install|add|run|ps|commit|push|pull"
        r"|rebase|merge|clone|checkout|build|get|apply|logs|exec|update|reset|stash|diff|log)\b", _LINE)),
    ("file_name", 1, re.compile(
        r"\b[\w-]{1,40}\.(?:py|js|jsx|ts|tsx|rs|go|java|kt|cs|cpp|cc|c|h|hpp|rb|php|swift|scala|sh|sql|ipynb|vue|toml|yaml|yml"
        r"|lua|dart|ex|hs|css|scss|gradle|tf)\b(?!\.\w)")),
    ("call", 1, re.compile(r"\b[A-Za-z_]\w{0,60}(?:\.\w{1,60})?\([^\s()]{0,60}\)|`[^`\n]{1,120}`|\w\[\d*\] ?=|[=!]==|=>|::\w|->\w|&&")),
    ("identifier", 1, re.compile(r"\b[a-z]+_[a-z_]{2,40}\b|\b[a-z]{2,30}[A-Z][a-z]{2,30}\w{0,30}\b")),
    ("literal", 1, re.compile(r"\[ ?-?\d+(?:\.\d+)?(?: ?, ?-?\d+(?:\.\d+)?){1,60} ?\]|\[ ?['\"]\w|\{ ?['\"]\w{1,60}['\"] ?:")),
    ("choices", 1, re.compile(r"^\(?A[.):] [^\n]{0,400}\n\(?B[.):] ", _LINE)),
)  # fmt: skip


def marks(text: str) -> list[str]:
    """The names of the shapes that `text` has."""
    found = []
    for name, wanted, pattern in _PATTERNS:
        if wanted == 1:
            if pattern.search(text):
                found.append(name)
        else:
            matches = pattern.finditer(text)
            if sum(1 for _ in zip(range(wanted), matches, strict=False)) == wanted:
                found.append(name)
    return found


def without_fences(text: str) -> tuple[str, bool]:
    """`text` without its fenced blocks, and whether there were any. What is quoted there are no instructions."""
    if "```" not in text and "~~~" not in text:
        return text, False
    pieces = re.split(r"^[ \t]*(?:```|~~~)|```", text, flags=_LINE)
    return "\n".join(pieces[::2]), len(pieces) > 1

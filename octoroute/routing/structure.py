"""What the shape of a text tells, whatever its words: source code, a stack trace, a diff, a test's choices.

Every pattern begins with a literal, or at the start of a line, and repeats nothing that repeats: its work is linear
in the text, which `words.edges` has bounded. Where no clue of a pattern is in the text, it is not even tried.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Shape(NamedTuple):
    """One shape: it is there if `pattern` matches `times` times."""

    name: str
    clues: tuple[str, ...]
    """One of these stands in every text that matches."""
    pattern: re.Pattern[str]
    times: int = 1


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.MULTILINE)


SHAPES = (
    Shape(
        "traceback",
        ("Error", "Exception", "error", "Traceback", '", line ', "    at ", "panic: ", "fatal: "),
        _any(
            r"Traceback \(most recent",
            r"^[ \t]*File \"[^\"\n]{1,200}\", line \d",
            r"^[ \t]+at [\w.$<>]{1,200}\(",
            r"(?<=[a-z0-9])(?:Error|Exception)\b",
            r"^(?:error(?:\[E\d+\])?|panic|fatal): ",
        ),
    ),
    Shape("diff", ("@@ -", "diff --git ", "+++ b/"), _any(r"^@@ -\d", "^diff --git ", r"^\+\+\+ b/")),
    Shape(
        "sql",
        ("SELECT ", "INSERT INTO", "CREATE TABLE", "ALTER TABLE", "DELETE FROM", "UPDATE "),
        _any(
            r"SELECT\b[^;]{1,120}?\bFROM\b",
            r"(?:INSERT INTO|CREATE TABLE|ALTER TABLE|DELETE FROM)\b",
            r"UPDATE \w{1,60} SET\b",
        ),
    ),
    Shape(
        "code_line",
        ("(", "{", ";", "import", "#", "=", "<", "assert"),
        _any(
            r"^[ \t]*(?:async )?def \w+\(",
            r"^[ \t]*class \w+(?:\([^\n()]{0,100}\))?[ \t]?[:{]$",
            r"^[ \t]*import [\w.]+(?: as \w+)?;?$",
            r"^[ \t]*from [\w.]+ import ",
            r"^[ \t]*(?:export )?(?:async )?function \w*\(",
            r"^[ \t]*(?:const|let|var) \w+ ?[=:]",
            r"^[ \t]*(?:pub )?fn \w+",
            r"^func \w+\(",
            r"^[ \t]*(?:public|private|protected) (?:static |class |void |int |final )",
            r"^[ \t]*(?:if|for|while|switch) ?\([^\n]{1,200}\) ?\{",
            r"^[ \t]*return\b[^\n]{0,200};$",
            r"^#include\b|^#!/|^<\?php|^<!DOCTYPE html|^<html",
            r"^[ \t]*assert \w",
            r"^[ \t]*>>> ",
        ),
    ),
    Shape(
        "code_lines",
        (";\n", "{\n", "}", "=", "</"),
        _any(
            r"^[^\n]{0,200}[;{}][ \t]*$",
            r"^[ \t]*[A-Za-z_][\w.\[\]]{0,60} ?[-+*]?= ?[^\n=$\\]{1,200}$",
            r"^[ \t]*</?\w+[^>\n]{0,200}>[ \t]*$",
        ),
        times=2,
    ),
    Shape("shell", ("$ ",), _any(r"^[ \t]*\$ [a-z]")),
    Shape(
        "file_name",
        (".",),
        re.compile(
            r"(?<=[\w-])\.(?:py|jsx?|tsx?|rs|go|java|kt|cs|cpp|cc|c|h|hpp|rb|php|swift|scala|sh|sql|ipynb|vue|toml|ya?ml"
            r"|lua|dart|hs|s?css|gradle|tf)\b(?![.\w])"
        ),
    ),
    Shape(
        "call",
        ("(", "`", "==", "!=", "=>", "::", "->", "&&"),
        re.compile(
            r"(?<=[\w\]])\([^\s()$\\]{0,60}\)(?![\w$\\])|`[^`\n]{1,120}`|==|!=|=>|::(?=\w)|->(?=\w)|&&"
        ),
    ),
    Shape("identifier", ("_",), re.compile(r"(?<=[a-z])_[a-z]{2}")),
    Shape("literal", ("[", "{"), re.compile(r"\[ ?(?:-?\d+ ?, ?){2}|\[ ?['\"]\w|\{ ?['\"]\w{1,60}['\"] ?:")),
    Shape("choices", ("A. ", "A) ", "A: ", "(A) "), _any(r"^\(?A[.):] [^\n]{0,400}\n\(?B[.):] ")),
    # Four options and more are an exam's question, which has a short answer whatever its verbs are; two or three may
    # be what somebody wants compared.
    Shape(
        "exam",
        ("D. ", "D) ", "D: ", "(D) "),
        _any(r"^\(?A[.):] [^\n]{0,400}\n\(?B[.):] [^\n]{0,400}\n\(?C[.):] [^\n]{0,400}\n\(?D[.):] "),
    ),
    Shape(
        "mathematics",
        ("$", "\\"),
        re.compile(r"\$[^$\n]{1,200}\$|\\(?:frac|sqrt|sum|int|begin|text|cdot|le|ge|\[)"),
    ),
)


def marks(text: str) -> list[str]:
    """The names of the shapes that `text` has."""
    found = []
    for shape in SHAPES:
        if shape.clues and not any([clue in text for clue in shape.clues]):  # noqa: C419  # a list is faster
            continue
        if shape.times == 1:
            if shape.pattern.search(text):
                found.append(shape.name)
        elif len(shape.pattern.findall(text)) >= shape.times:
            found.append(shape.name)
    return found


def without_fences(text: str) -> tuple[str, bool]:
    """`text` without its fenced blocks, and whether there were any. What is quoted there are no instructions."""
    if "```" not in text:
        return text, False
    return "\n".join(text.split("```")[::2]), True

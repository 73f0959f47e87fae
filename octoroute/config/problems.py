"""A problem of a configuration: where it stands, and what is wrong, in words that never show a secret."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from octoroute.config.lines import Path

_MASK = "***"
_LONGEST = 80
_SECRET = re.compile(r"key|(?<!max_)token|secret|passw", re.IGNORECASE)
_USER = re.compile(r"^(.*?//)?.*@", re.DOTALL)
_QUERY = re.compile(r"[?#].*$", re.DOTALL)


class Problem(NamedTuple):
    """One thing wrong. `path` tells the line, `text` the rest."""

    path: Path
    text: str


def bad_value(table: Path, key: str, value: object, allowed: str, *, index: int | None = None) -> Problem:
    """`[server] port = 99999: must be …`; of a value in a list, `aliases[0] = …`."""
    element = "" if index is None else f"[{index}]"
    return Problem((*table, key), f"{header(table)} {key}{element} = {_shown(key, value)}: {allowed}")


def header(table: Path) -> str:
    """What stands above the table: `[server]`, or `[[models.fast]] #2`, counted as people do."""
    name = ".".join(bare(part) for part in table if isinstance(part, str))
    number = next((part for part in reversed(table) if isinstance(part, int)), None)
    return f"[{name}]" if number is None else f"[[{name}]] #{number + 1}"


def bare(name: str) -> str:
    """A key as TOML writes it: in quotes only where it needs them."""
    return name if re.fullmatch(rf"[A-Za-z0-9_-]{{1,{_LONGEST}}}", name) else _show(name)


def closest(name: str, known: Iterable[str]) -> str | None:
    """The one of `known` that the writer of `name` most likely meant."""
    plain = {_plain(each): each for each in known}
    found = difflib.get_close_matches(_plain(name), plain, n=1, cutoff=0.7)
    return plain[found[0]] if found else None


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


def listed(names: Sequence[str], last: str = "or") -> str:
    """`a, b or c`."""
    return f" {last} ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def _shown(key: str, value: object) -> str:
    if _SECRET.search(key):
        return _MASK
    if isinstance(value, str) and (key == "base_url" or "://" in value):
        return _show(_QUERY.sub(lambda found: f"{found[0][0]}{_MASK}", _USER.sub(rf"\g<1>{_MASK}@", value)))
    return _show(value)


def _show(value: object) -> str:
    """`value` as one short piece of TOML; of a list or a table only that it is one."""
    match value:
        case str():
            quoted = json.dumps(
                value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…", ensure_ascii=False
            )
            return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in quoted)
        case bool():
            return str(value).lower()
        case int() if abs(value) >= 2**63:
            return "(a number of more than 64 bits)"
        case dict():
            return "{…}"
        case list():
            return "[…]"
        case _:  # numbers, dates and times
            return str(value)

"""Lines: in which line of a TOML text each table and each key stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

import tomlkit
from tomlkit.container import Container
from tomlkit.items import AoT, InlineTable, Item, Table

Path = tuple[str | int, ...]
"""A place in the file: the names of tables and key from the top; a table of an array is its index."""

_DIGITS = 20
_CODE = str.maketrans("01", " \t")
_DECODE = str.maketrans(" \t", "01")


def find_lines(text: str) -> dict[Path, int]:
    """The line, counted from 1, of every table and key in `text`, which is valid TOML.

    Parsers do not say where a key stood. But tomlkit keeps what each was indented by, and there is room for a
    line's number: in binary, a space for 0 and a tab for 1.
    """
    numbered = [
        format(number, f"0{_DIGITS}b").translate(_CODE) + line
        for number, line in enumerate(text.split("\n"), 1)
    ]
    lines: dict[Path, int] = {}
    try:
        for path, item in _items(tomlkit.parse("\n".join(numbered)), (), Counter()):
            code = item.trivia.indent[:_DIGITS]
            if len(code) == _DIGITS:  # keys inside an inline table have no line of their own
                lines.setdefault(path, int(code.translate(_DECODE), 2))
    except Exception:  # noqa: BLE001  # whatever tomlkit stumbles over: only the line numbers are lost
        return {}
    # A table without a header of its own, as `models` in `[[models.fast]]`, begins where its first part does.
    for path, number in sorted(lines.items(), key=lambda each: each[1]):
        for end in range(1, len(path)):
            lines.setdefault(path[:end], number)
    return lines


def find_line(lines: Mapping[Path, int], path: Path) -> int | None:
    """The line of `path`, else of the innermost table around it that is known."""
    return next((lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in lines), None)


def _items(container: Container, path: Path, counts: Counter[Path]) -> Iterator[tuple[Path, Item]]:
    """Every keyed item below `container`; `counts` numbers the parts of arrays of tables that stand apart."""
    for key, item in container.body:
        if key is None:  # a comment or an empty line
            continue
        here = (*path, key.key)
        if isinstance(item, AoT):
            for table in item.body:
                place = (*here, counts[here])
                counts[here] += 1
                yield place, table
                yield from _items(table.value, place, counts)
        else:
            yield here, item
            if isinstance(item, Table | InlineTable):
                yield from _items(item.value, here, counts)

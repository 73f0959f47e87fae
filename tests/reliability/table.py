"""The fault matrix as a table of docs/reliability.md: what was seen, in a few words for each cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.reliability.faults import FAULTS
from tests.reliability.matrix import COMPANIES, GOOD, Company, Seen

GUIDE = Path(__file__).parent.parent.parent / "docs" / "reliability.md"
BEGIN = "<!-- made by `just reliability`, from what the suite has seen -->"
END = "<!-- end of what is made -->"

Key = tuple[str, bool, Company]
COLUMNS = [(stream, company) for stream in (True, False) for company in COMPANIES]


def shown(seen: Sequence[Seen]) -> str:
    """A cell: what became of its requests, each outcome once."""
    return ", ".join(dict.fromkeys(_outcome(each) for each in seen))


def _outcome(seen: Seen) -> str:
    if seen.broken:
        return f"cut: `{seen.code}`"
    if seen.by == GOOD:
        return "**other tier**" if seen.warned else "**other**"
    if seen.by is not None:
        return "its answer" if seen.status == 200 else f"its {seen.status}"
    return str(seen.status)


def table(results: Mapping[Key, Sequence[Seen]]) -> str:
    """The whole table."""
    heads = [f"{'stream' if stream else 'buffered'}, {company}" for stream, company in COLUMNS]
    lines = [
        ["what the server does", *heads],
        ["---"] * (1 + len(heads)),
        *([fault.name, *(shown(results[(fault.name, *column)]) for column in COLUMNS)] for fault in FAULTS),
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def parts() -> tuple[str, str, str]:
    """The guide: what stands before its table, the table, and what stands after it."""
    before, begin, rest = GUIDE.read_text(encoding="utf-8").partition(f"{BEGIN}\n")
    made, end, after = rest.partition(f"{END}\n")
    assert begin, f"{GUIDE} lacks its marker {BEGIN}"
    assert end, f"{GUIDE} lacks its marker {END}"
    return before + begin, made, end + after


def told() -> dict[Key, str]:
    """The cells of the guide's table, by fault, stream and company."""
    _, _, *lines = parts()[1].splitlines()
    cells: dict[Key, str] = {}
    for line in lines:
        name, *texts = line.removeprefix("| ").removesuffix(" |").split(" | ")
        cells |= {(name, *column): text for column, text in zip(COLUMNS, texts, strict=True)}
    return cells


def write(made: str) -> None:
    """Put a table into the guide in place of the one that is there."""
    before, _, after = parts()
    GUIDE.write_text(before + made + after, encoding="utf-8")

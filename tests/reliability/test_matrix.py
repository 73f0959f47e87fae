"""Each fault of a model server, as a stream and buffered, in each company: what is promised is what happens."""

from __future__ import annotations

import pytest
import trio

from tests.reliability import table
from tests.reliability.matrix import CELLS, Cell, play, promised


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_what_is_promised_happens_and_nothing_is_left(cell: Cell) -> None:
    with trio.fail_after(60):
        seen = await play(cell)
    answers = cell.fault.stream if cell.stream else cell.fault.buffered
    assert seen == [promised(cell, verdict) for _, verdict in answers]
    told = table.told()[cell.key]
    assert told == table.shown(seen), "docs/reliability.md is behind: just reliability"


def test_the_guide_has_each_cell_and_no_other() -> None:
    assert list(table.told()) == [cell.key for cell in CELLS]

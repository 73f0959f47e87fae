"""The long version of tests/test_memory.py."""

from __future__ import annotations

from pathlib import Path

import trio

from tests.memory import growth


async def test_5000_streams_take_no_more_memory_than_500(tmp_path: Path) -> None:
    with trio.fail_after(600):
        assert await growth(tmp_path, 500, 4500) < 5

"""`python -m tests.reliability` plays the fault matrix and puts what it sees into docs/reliability.md."""

from __future__ import annotations

import sys

import trio

from octoroute.telemetry import logs
from tests.reliability import table
from tests.reliability.matrix import CELLS, play


def main() -> None:
    logs.configure("error", "json")
    results = {}
    for number, cell in enumerate(CELLS, 1):
        print(f"\r{number}/{len(CELLS)} {cell!s:100.100}", end="", file=sys.stderr, flush=True)  # noqa: T201
        results[cell.key] = trio.run(play, cell)
    print(file=sys.stderr)  # noqa: T201
    table.write(table.table(results))


if __name__ == "__main__":
    main()

"""Which endpoint of a tier: a pure choice among candidates.

1. Those that are excluded (tried in this request), take no requests or can't do what is asked are skipped.
2. The best health rank is kept (healthy, then busy, then warming), then those that are known to be able to
   do what is asked, then the highest priority, then those that are idle, then those whose model is loaded.
3. Among what remains, a random one, in proportion to its weight.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from random import Random

from msgspec import Struct


class Candidate(Struct, frozen=True):
    """What selection knows of an endpoint.

    `rank` is its health's (None takes no requests); `able` is True, False, or None where nobody knows;
    `room` tells that it has a free place; `load` is `load.rank`, lower is better.
    """

    id: str
    rank: int | None
    priority: int = 1
    weight: float = 1.0
    able: bool | None = True
    room: bool = True
    load: int = 0


def select(candidates: Sequence[Candidate], excluded: Collection[str], random: Random) -> str | None:
    """The id of the endpoint to ask next; None where there is none."""
    best = preferred(candidates, excluded)
    if not best:
        return None
    return (
        random.choices(best, [candidate.weight for candidate in best])[0].id if len(best) > 1 else best[0].id
    )


def preferred(candidates: Sequence[Candidate], excluded: Collection[str]) -> list[Candidate]:
    """The candidates among which only weight decides."""
    open_ = [
        c
        for c in candidates
        if c.id not in excluded and c.rank is not None and c.able is not False and c.room
    ]
    if not open_:
        return []
    top = min(_order(candidate) for candidate in open_)
    return [candidate for candidate in open_ if _order(candidate) == top]


def _order(candidate: Candidate) -> tuple[int, bool, int, int]:
    assert candidate.rank is not None
    return (candidate.rank, candidate.able is None, -candidate.priority, candidate.load)

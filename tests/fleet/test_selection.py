"""Never one that can't, best first, and among equals by weight."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octoroute.fleet.selection import Candidate, preferred, select

CANDIDATES = st.lists(
    st.builds(
        Candidate,
        id=st.sampled_from("abcdefgh"),
        rank=st.sampled_from([0, 0, 0, 1, 2, None]),
        priority=st.integers(-1, 2),
        weight=st.floats(1e-9, 1e9),
        able=st.sampled_from([True, True, None, False]),
        room=st.booleans(),
        load=st.sampled_from([0, 0, 1, 2]),
    ),
    max_size=8,
    unique_by=lambda candidate: candidate.id,
)
EXCLUDED = st.sets(st.sampled_from("abcdefgh"), max_size=3)


def may_be_asked(candidate: Candidate, excluded: set[str]) -> bool:
    return (
        candidate.id not in excluded
        and candidate.rank is not None
        and candidate.able is not False
        and candidate.room
    )


@given(CANDIDATES, EXCLUDED, st.randoms(use_true_random=False))
def test_only_one_that_may_be_asked_is_chosen_and_one_always_is(
    candidates: list[Candidate], excluded: set[str], random: Random
) -> None:
    chosen = select(candidates, excluded, random)
    possible = {candidate.id for candidate in candidates if may_be_asked(candidate, excluded)}
    assert (chosen is None) is (not possible)
    assert chosen is None or chosen in possible


@given(CANDIDATES, EXCLUDED)
def test_nobody_who_was_passed_over_was_better(candidates: list[Candidate], excluded: set[str]) -> None:
    best = preferred(candidates, excluded)
    possible = [candidate for candidate in candidates if may_be_asked(candidate, excluded)]
    for one in best:
        for other in possible:
            assert one.rank is not None
            assert other.rank is not None
            # Health first, then what is known, then priority, then load: a better one in front settles it.
            mine = (-one.rank, one.able is True, one.priority, -one.load)
            theirs = (-other.rank, other.able is True, other.priority, -other.load)
            assert mine >= theirs
            assert (mine == theirs) is (other in best)


@given(CANDIDATES, EXCLUDED, st.randoms(use_true_random=False))
def test_the_order_of_the_file_does_not_matter(
    candidates: list[Candidate], excluded: set[str], random: Random
) -> None:
    shuffled = random.sample(candidates, len(candidates))
    assert {c.id for c in preferred(shuffled, excluded)} == {c.id for c in preferred(candidates, excluded)}


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (Candidate("a", 0), Candidate("b", 1, priority=9)),
        (Candidate("a", 1), Candidate("b", 2, priority=9)),
        (Candidate("a", 2), Candidate("b", None, priority=9)),
        (Candidate("a", 0), Candidate("b", 0, able=None, priority=9)),
        (Candidate("a", 0, able=None), Candidate("b", 1)),
        (Candidate("a", 0, able=None), Candidate("b", 0, able=False, priority=9)),
        (Candidate("a", 0, priority=2), Candidate("b", 0, priority=1, weight=1000)),
        (Candidate("a", 2, priority=-1), Candidate("b", 0, room=False)),
        (Candidate("a", 0, load=0), Candidate("b", 0, load=1, weight=1000)),
        (Candidate("a", 0, load=1), Candidate("b", 0, load=2, weight=1000)),
        # Only among equals.
        (Candidate("a", 0, load=2, priority=2), Candidate("b", 0, load=0)),
        (Candidate("a", 0, load=2), Candidate("b", 1, load=0)),
        (Candidate("a", 0, load=2), Candidate("b", 0, able=None, load=0)),
    ],
)
def test_what_comes_before_what(better: Candidate, worse: Candidate) -> None:
    assert preferred([worse, better], ()) == [better]


def test_the_next_one_is_taken_where_the_best_was_tried() -> None:
    candidates = [Candidate("a", 0, priority=3), Candidate("b", 0, priority=2), Candidate("c", 1)]
    tried: list[str] = []
    while (chosen := select(candidates, tried, Random(0))) is not None:
        tried.append(chosen)
    assert tried == ["a", "b", "c"]


@pytest.mark.parametrize("load", [0, 1, 2])
def test_requests_follow_weight_among_the_equally_loaded(load: int) -> None:
    """Within five standard deviations, with a fixed seed: sure to stay, and far from any other rule."""
    weights = {"a": 1.0, "b": 2.0, "c": 5.0, "d": 0.01}
    candidates = [Candidate(name, 0, weight=weight, load=load) for name, weight in weights.items()]
    candidates.append(Candidate("e", 0, weight=100, load=load + 1))
    random, rounds = Random(1), 20_000
    counts = Counter(select(candidates, (), random) for _ in range(rounds))
    assert not counts["e"]
    for name, weight in weights.items():
        share = weight / sum(weights.values())
        assert abs(counts[name] - rounds * share) < 5 * (rounds * share * (1 - share)) ** 0.5


def test_weight_decides_only_among_those_of_the_highest_priority() -> None:
    candidates = [Candidate("a", 0, priority=2, weight=0.001), Candidate("b", 0, weight=1000)]
    assert {select(candidates, (), Random(seed)) for seed in range(50)} == {"a"}


def test_nobody_is_nobody() -> None:
    assert select([], (), Random(0)) is None

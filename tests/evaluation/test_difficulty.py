"""The difficulty score: an order with bounded work, which no decision reads."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octoroute.evaluation.difficulty import EDGE_CHARACTERS, FEATURES, difficulty, values


@given(st.text())
def test_every_text_has_one(text: str) -> None:
    assert 0 <= difficulty(text) <= 1
    assert difficulty(text) == difficulty(text)
    assert values(text).keys() == FEATURES.keys()


def test_what_the_features_read() -> None:
    read = values("Which integer is NOT prime? Compute it.\nA. 12\nB. 13\n")
    assert read["options"] == 0.2
    assert read["question mark"] == 1
    for name in ("negations", "subject words", "task words", "digits in options"):
        assert read[name] > 0
    assert read["numbers"] == 0  # those of the options are not of the question
    assert values("Hello")["options"] == 0


def test_longer_is_harder_all_else_equal() -> None:
    short, long = "The cat sat on a mat. ", "The cat sat on a mat. " * 20
    assert difficulty(short) < difficulty(long)


@pytest.mark.parametrize("piece", ["word ", "A. x\n", "1,", "not ", "\x00", "(A) ", "?"])
def test_a_huge_prompt_takes_no_time(piece: str) -> None:
    text = piece * (4_000_000 // len(piece))
    start = time.perf_counter()
    difficulty(text)
    assert time.perf_counter() - start < 1
    assert len(text) > 2 * EDGE_CHARACTERS

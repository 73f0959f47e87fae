"""Conversations stay at their tier: up, not down, for a while; and which requests are one conversation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octoroute.config.model import TIERS, Tier
from octoroute.openai.request import Message
from octoroute.routing.stickiness import Stickiness, conversation_of, higher

SYSTEM = Message("system", "Be brief.")
HELLO = Message("user", "Hello")


def test_a_conversation_holds_its_tier_for_a_while() -> None:
    sticky = Stickiness(60)
    assert sticky.held(b"a", 0) is None
    sticky.keep(b"a", "deep", 0)
    assert sticky.held(b"a", 59.9) == "deep"
    assert sticky.held(b"b", 59.9) is None
    assert sticky.held(b"a", 60) is None


def test_each_request_makes_it_last_longer() -> None:
    sticky = Stickiness(60)
    sticky.keep(b"a", "deep", 0)
    sticky.keep(b"a", "deep", 50)
    assert sticky.held(b"a", 100) == "deep"


@pytest.mark.parametrize(
    ("tier", "held", "expected"),
    [
        ("fast", None, "fast"),
        ("fast", "deep", "deep"),
        ("deep", "fast", "deep"),
        ("fast", "balanced", "balanced"),
    ],
)
def test_up_but_not_down(tier: Tier, held: Tier | None, expected: Tier) -> None:
    assert higher(tier, held) == expected


@given(st.lists(st.tuples(st.sampled_from(TIERS), st.floats(0, 100)), max_size=30))
def test_it_never_goes_down_within_its_time(requests: list[tuple[Tier, float]]) -> None:
    sticky, now = Stickiness(50), 0.0
    last: tuple[Tier, float] | None = None
    for decided, pause in requests:
        now += pause
        tier = higher(decided, sticky.held(b"a", now))
        sticky.keep(b"a", tier, now)
        if last is not None and now < last[1] + 50:
            assert TIERS.index(tier) >= TIERS.index(last[0])
        else:
            assert tier == decided
        last = (tier, now)


def test_there_are_no_more_than_so_many() -> None:
    sticky = Stickiness(60, max_conversations=2)
    for number in range(5):
        sticky.keep(bytes([number]), "deep", 0)
    assert len(sticky) == 2
    assert sticky.held(b"\x00", 1) is None
    assert sticky.held(b"\x04", 1) == "deep"


def test_it_is_off_without_seconds() -> None:
    assert not Stickiness(0).on
    assert Stickiness(0.1).on


def test_a_reload_keeps_the_conversations() -> None:
    before = Stickiness(60)
    before.keep(b"a", "deep", 0)
    assert Stickiness(60, previous=before).held(b"a", 1) == "deep"


def test_later_turns_are_the_same_conversation() -> None:
    first = conversation_of("me", None, [SYSTEM, HELLO])
    later = conversation_of(
        "me", None, [SYSTEM, HELLO, Message("assistant", "Hi"), Message("user", "thanks")]
    )
    assert first == later


@pytest.mark.parametrize(
    ("client", "session", "messages"),
    [
        ("you", None, [SYSTEM, HELLO]),
        ("me", "s1", [SYSTEM, HELLO]),
        ("me", None, [HELLO]),
        ("me", None, [SYSTEM, Message("user", "Hello!")]),
        ("me", None, [Message("user", "Be brief."), HELLO]),
        ("me", None, [Message("system", "Be brief.Hello")]),
        ("me", None, []),
    ],
)
def test_other_beginnings_are_other_conversations(
    client: str, session: str | None, messages: list[Message]
) -> None:
    assert conversation_of(client, session, messages) != conversation_of("me", None, [SYSTEM, HELLO])


def test_a_session_is_the_conversation_whatever_is_said_but_each_clients_own() -> None:
    assert conversation_of("me", "s", [SYSTEM]) == conversation_of("me", "s", [HELLO])
    assert conversation_of("me", "s", [HELLO]) != conversation_of("you", "s", [HELLO])


def test_nothing_that_was_said_is_kept() -> None:
    assert len(conversation_of("me", None, [Message("user", "secret" * 1000)])) == 16

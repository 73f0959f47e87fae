"""Keeps a conversation at its tier: within `sticky_seconds` it may go up, but not down.

A model server keeps the work on a conversation's earlier turns (its prefix cache); another tier has to read all of
it again, for a "thanks". The price: a conversation that was hard once stays expensive. Off by default.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

from octoroute.config.model import TIERS, Tier
from octoroute.openai.request import Message

MAX_CONVERSATIONS = 4096
"""About 1 MB."""


class _Stay(NamedTuple):
    tier: Tier
    until: float


class Stickiness:
    """The conversations of the last `seconds`, and the tier of each. With 0 seconds there are none."""

    def __init__(
        self,
        seconds: float,
        *,
        max_conversations: int = MAX_CONVERSATIONS,
        previous: Stickiness | None = None,
    ) -> None:
        self._seconds = seconds
        self._max = max_conversations
        self.stays: OrderedDict[bytes, _Stay] = previous.stays if previous else OrderedDict()

    def __len__(self) -> int:
        return len(self.stays)

    @property
    def on(self) -> bool:
        return self._seconds > 0

    def held(self, conversation: bytes, now: float) -> Tier | None:
        """The tier that the conversation does not go below; None for a new one."""
        stay = self.stays.get(conversation)
        return stay.tier if stay is not None and now < stay.until else None

    def keep(self, conversation: bytes, tier: Tier, now: float) -> None:
        """The conversation goes to `tier` now."""
        self.stays[conversation] = _Stay(tier, now + self._seconds)
        self.stays.move_to_end(conversation)
        while len(self.stays) > self._max:
            self.stays.popitem(last=False)


def higher(tier: Tier, held: Tier | None) -> Tier:
    """The higher of a decision and what is held."""
    return tier if held is None else max(tier, held, key=TIERS.index)


def conversation_of(client: str, session: str | None, messages: Sequence[Message]) -> bytes:
    """Tells conversations apart without keeping a word of them.

    By the client and its session where it names one, else by the messages up to the first of the user: later turns
    repeat those unchanged.
    """
    digest = blake2b(digest_size=16)
    # Each piece with its length before it: no two lists of pieces give the same bytes.
    pieces = [client, "" if session is None else "session", *([session] if session else _beginning(messages))]
    for piece in pieces:
        data = piece.encode("utf-8", "surrogatepass")
        digest.update(b"%d:%b" % (len(data), data))
    return digest.digest()


def _beginning(messages: Sequence[Message]) -> list[str]:
    pieces: list[str] = []
    for message in messages:
        pieces += (message.role, message.text())
        if message.role == "user":
            break
    return pieces

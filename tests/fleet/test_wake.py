"""The packet that wakes a machine, and the way it goes."""

from __future__ import annotations

import pytest
import trio

from octoroute.fleet import wake


def test_a_magic_packet() -> None:
    packet = wake.magic_packet("00:1a:2b:3c:4d:5e")
    assert packet == b"\xff" * 6 + b"\x00\x1a\x2b\x3c\x4d\x5e" * 16
    assert len(packet) == 102


async def test_it_leaves_from_the_address_that_the_machine_is_reached_from() -> None:
    assert await wake._way_to("127.0.0.1") == "127.0.0.1"
    assert await wake._way_to("127.3.2.1") == "127.0.0.1"
    for unknown in ("::1", "nobody.invalid"):
        assert await wake._way_to(unknown) is None


async def test_it_is_a_datagram_to_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wake, "BROADCAST", "127.255.255.255")
    with trio.fail_after(10), trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as card:
        await card.bind(("127.255.255.255", 0))
        monkeypatch.setattr(wake, "PORT", card.getsockname()[1])
        await wake.send(b"wake up", "127.0.0.1")
        packet, (sender, _) = await card.recvfrom(100)
    assert (packet, sender) == (b"wake up", "127.0.0.1")

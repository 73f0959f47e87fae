"""Wake on LAN: the packet that wakes a sleeping machine, and the way it goes."""

from __future__ import annotations

import trio

PACKET_SECONDS = 5.0
"""How often the packet is sent again: it is a datagram, and a network card that falls asleep may miss one."""
LOOK_SECONDS = 1.0
"""How long after a probe that failed a machine that wakes up is looked at again."""
AGAIN_SECONDS = 300.0
"""A machine that did not wake up is not waited for so long: it is switched off, or the address is wrong."""

BROADCAST = "255.255.255.255"
PORT = 9
"""Discard; network cards look at what is in the packet only."""


def magic_packet(mac: str) -> bytes:
    """What the card with the address `mac` (as `aa:bb:cc:dd:ee:ff`) listens for in its sleep."""
    return b"\xff" * 6 + 16 * bytes.fromhex(mac.replace(":", ""))


async def send(packet: bytes, host: str) -> None:
    """Broadcast `packet` in the network in which `host` is.

    Raises:
        OSError: there is no network to send it to.
    """
    source = await _way_to(host)
    with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as sender:
        sender.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_BROADCAST, 1)
        if source is not None:
            # Linux sends a broadcast out of the interface whose address it comes from, else of the default route's.
            await sender.bind((source, 0))
        await sender.sendto(packet, (BROADCAST, PORT))


async def _way_to(host: str) -> str | None:
    """The address of ours from which packets go to `host`; None where nobody knows. Nothing is sent."""
    with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as route:
        try:
            await route.connect((host, PORT))
        except OSError:  # an IPv6 address, a name that only the machine itself could tell
            return None
        address: str = route.getsockname()[0]
        return address

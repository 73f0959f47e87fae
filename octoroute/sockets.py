"""What a socket takes without waiting."""

from __future__ import annotations

import os

import trio


def send_now(stream: object, data: bytes) -> bytes:
    """Give a plain TCP stream what its socket takes without waiting; what is left of `data` is returned.

    A socket nearly always takes all. trio's `send_all` then still lets every other task have a turn, which is
    a good part of what relaying a chunk costs; whoever relays reads next, and others have their turn then. Other
    streams (TLS, in memory) take nothing here, nor does a socket in trouble: `send_all` tells what it is.
    """
    if not isinstance(stream, trio.SocketStream):
        return data
    try:
        return data[os.write(stream.socket.fileno(), data) :]
    except OSError:
        return data

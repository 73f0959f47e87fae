"""Which headers pass: upstream a short list, back everything but what belongs to one connection."""

from __future__ import annotations

import re
from collections.abc import Iterable
from random import getrandbits

RawHeader = tuple[bytes, bytes]

_TO_SERVER = frozenset({b"accept", b"user-agent", b"traceparent", b"tracestate"})
_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""RFC 9110, section 7.6.1, and RFC 2616, section 13.5.1."""
_NOT_TO_CLIENT = _HOP_BY_HOP | {
    b"server",
    b"date",
    b"set-cookie",
    b"set-cookie2",
    b"content-length",
    b"x-request-id",
}
ROUTE_HEADERS = ("tier", "model", "endpoint", "strategy", "reason", "confidence", "attempts", "warning")
"""What every routed answer tells, as `x-octoroute-…`; a server can't say these in our name."""
_OURS = frozenset(f"x-octoroute-{name}".encode() for name in ROUTE_HEADERS)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


def to_server(client: Iterable[RawHeader], request_id: str) -> list[RawHeader]:
    """What a model server gets of the client's headers: never a key, a cookie or an origin."""
    passed = [(name, value) for name, value in client if name.lower() in _TO_SERVER]
    return [(b"content-type", b"application/json"), *passed, (b"x-request-id", request_id.encode())]


def to_client(server: Iterable[RawHeader]) -> list[RawHeader]:
    """What the client gets of the model server's headers.

    Not `content-length`: the length of what we send is ours to state. Names that a `connection` header
    lists are the connection's own.
    """
    headers = [(name.lower(), value) for name, value in server]
    listed = {
        option.strip().lower()
        for name, value in headers
        if name == b"connection"
        for option in value.split(b",")
    }
    return [
        (name, value)
        for name, value in headers
        if name not in _NOT_TO_CLIENT and name not in listed and name not in _OURS
    ]


def request_id(given: str | None) -> str:
    """The client's request id where it is one, else a new one."""
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given
    return f"{getrandbits(128):032x}"

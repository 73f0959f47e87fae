"""Which headers pass, in both directions."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octoroute.relay.headers import request_id, to_client, to_server

names = st.text(alphabet="abcdefghijklmnopqrstuvwxyzABCXYZ-_0123456789", min_size=1, max_size=12).map(
    str.encode
)
lists = st.lists(st.tuples(names, st.binary(max_size=8)), max_size=8)
SECRET = [
    b"Authorization",
    b"X-API-Key",
    b"Cookie",
    b"Origin",
    b"X-Octoroute-Importance",
    b"Proxy-Authorization",
]


@given(lists, st.sampled_from(SECRET))
def test_nothing_but_the_listed_ones_goes_upstream(client: list[tuple[bytes, bytes]], secret: bytes) -> None:
    sent = to_server([*client, (secret, b"secret")], "id")
    assert sent[0] == (b"content-type", b"application/json")
    assert sent[-1] == (b"x-request-id", b"id")
    passed = {b"accept", b"user-agent", b"traceparent", b"tracestate"}
    assert sent[1:-1] == [(name, value) for name, value in client if name.lower() in passed]


@given(lists)
def test_what_comes_back_keeps_order_and_repetitions(server: list[tuple[bytes, bytes]]) -> None:
    dropped = {b"te", b"date", b"server", b"trailer", b"upgrade", b"connection", b"keep-alive"}
    passed = [(name.lower(), value) for name, value in server if name.lower() not in dropped]
    assert to_client(server) == passed


@pytest.mark.parametrize(
    "name",
    ["Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "TE", "Trailer",
     "Transfer-Encoding", "Upgrade", "Server", "Date", "Set-Cookie", "Set-Cookie2", "Content-Length", "X-Request-ID",
     "X-Octoroute-Tier", "X-Octoroute-Model", "X-Octoroute-Endpoint", "X-Octoroute-Strategy", "X-Octoroute-Reason",
     "X-Octoroute-Attempts", "X-Octoroute-Warning"],
)  # fmt: skip
def test_what_does_not_come_back(name: str) -> None:
    assert to_client([(name.encode(), b"x"), (b"X-Kept", b"1")]) == [(b"x-kept", b"1")]


def test_what_the_connection_header_lists_is_its_own() -> None:
    server = [
        (b"Connection", b"close, X-One"),
        (b"connection", b" x-TWO ,"),
        (b"X-One", b"1"),
        (b"x-two", b"2"),
    ]
    assert to_client([*server, (b"x-three", b"3")]) == [(b"x-three", b"3")]


@given(st.text(max_size=140) | st.from_regex(r"[A-Za-z0-9._-]{1,140}", fullmatch=True))
def test_a_request_id_is_the_clients_where_it_is_one(given_id: str) -> None:
    valid = re.fullmatch(r"[A-Za-z0-9._-]{1,128}", given_id) is not None
    found = request_id(given_id)
    assert (found == given_id) is valid
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,128}", found)


def test_request_ids_of_ours_differ() -> None:
    assert len({request_id(None) for _ in range(100)}) == 100

"""An endpoint's id is stable, short and its own."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octoroute.config import model as config
from octoroute.config.validate import base_url
from octoroute.fleet.endpoint import Endpoint, endpoint_ids
from octoroute.fleet.health import Health
from octoroute.fleet.load import Reading, load_from
from octoroute.fleet.upstream import Upstream


def table(name: str, url: str = "http://a:1/v1", **settings: object) -> config.Endpoint:
    return config.Endpoint(name=name, base_url=url, **settings)  # type: ignore[arg-type]


def make(settings: config.Endpoint) -> Endpoint:
    return Endpoint("id", "fast", settings, Upstream(settings, connect_timeout=1, ssl_context=None))


@pytest.mark.parametrize(
    ("endpoints", "ids"),
    [
        ([("a", "http://x:1/v1"), ("b", "http://x:1/v1")], ["a", "b"]),
        ([("a", "http://x:1/v1"), ("a", "http://x:2/v1"), ("b", "http://x:1/v1")], ["a@x:1", "a@x:2", "b"]),
        ([("a", "http://x:1/v1"), ("a", "http://x:1/v2")], ["a@x:1/v1", "a@x:1/v2"]),
        (
            [("a", "http://x:1/v1"), ("a", "http://x:1/v2"), ("a", "http://y:1/v1")],
            ["a@x:1/v1", "a@x:1/v2", "a@y:1"],
        ),
        ([("a", "http://x/v1"), ("a", "https://x/v1")], ["a@x:80", "a@x:443"]),
        ([("a", "http://[::1]:1/v1"), ("a", "http://[::2]/v1")], ["a@[::1]:1", "a@[::2]:80"]),
        ([], []),
    ],
)
def test_ids(endpoints: list[tuple[str, str]], ids: list[str]) -> None:
    assert endpoint_ids([table(name, url) for name, url in endpoints]) == ids


URLS = st.builds(
    lambda scheme, host, port, path: base_url(f"{scheme}://{host}{port}{path}"),
    st.sampled_from(["http", "https"]),
    st.sampled_from(["x", "X", "y.lan", "127.0.0.1", "[::1]"]),
    st.sampled_from(["", ":1", ":80", ":443"]),
    st.sampled_from(["", "/v1", "/v2", "/a/v1"]),
)


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", "A", "a@x:80", "a@x:80/v1"]), URLS),
        max_size=6,
        unique=True,
    )
)
def test_ids_are_told_apart(endpoints: list[tuple[str, str]]) -> None:
    ids = endpoint_ids([table(name, url) for name, url in endpoints])
    assert len(set(ids)) == len(endpoints)
    assert all(own.startswith(name) for own, (name, _) in zip(ids, endpoints, strict=True))


def test_the_model_is_the_name_unless_the_server_calls_it_otherwise() -> None:
    assert make(table("a")).model == "a"
    both = make(table("a", model="org/a-7b.gguf"))
    assert (both.name, both.model) == ("a", "org/a-7b.gguf")


def test_room_is_below_the_limit() -> None:
    endpoint = make(table("a", max_concurrent=2))
    rooms = []
    for taken in range(4):
        endpoint.in_flight = taken
        rooms.append(endpoint.has_room)
    assert rooms == [True, True, False, False]
    endpoint = make(table("a"))
    endpoint.in_flight = 10_000
    assert endpoint.has_room


def test_there_is_room_for_one_where_each_request_would_load_the_model_again() -> None:
    endpoint = make(table("a"))
    endpoint.server, endpoint.load = "lmstudio", load_from(Reading(loaded=False), 0, 0.0)
    assert (endpoint.is_cold, endpoint.has_room) == (True, True)
    endpoint.in_flight = 1
    assert not endpoint.has_room
    for server, reading in [
        ("ollama", Reading(loaded=False)),
        ("lmstudio", Reading(loaded=True)),
        ("lmstudio", Reading()),
    ]:
        endpoint.server, endpoint.load = server, load_from(reading, 0, 0.0)  # type: ignore[assignment]
        assert (endpoint.is_cold, endpoint.has_room) == (False, True)


@pytest.mark.parametrize(("path", "until"), [("models", inf), ("", 0.0)])
def test_new_settings_make_what_is_known_of_the_server_old(path: str, until: float) -> None:
    """How it comes back is by its new settings: without probes it would wait for one for ever."""
    endpoint = make(table("a", health_path="models" if path == "" else ""))
    endpoint.server, endpoint.load = "ollama", load_from(Reading(loaded=False), 0, 0.0)
    endpoint.untold.add("slots")
    endpoint.woken_in_vain = 7.0
    endpoint.health = Health("unhealthy", failures=3, until=50.0)
    endpoint.reconfigure("id", table("a", health_path=path), endpoint.upstream)
    known = vars(endpoint)
    assert [known[name] for name in ("server", "load", "untold", "woken_in_vain")] == [
        None,
        None,
        set(),
        None,
    ]
    assert (endpoint.health.state, endpoint.health.until) == ("unhealthy", until)


def test_a_drained_or_waking_endpoint_takes_no_requests() -> None:
    endpoint = make(table("a"))
    assert endpoint.candidate(5, able=True).rank == 0
    endpoint.waking = True
    assert endpoint.candidate(5, able=True).rank is None
    endpoint.waking, endpoint.drained = False, True
    assert endpoint.candidate(5, able=True).rank is None


def test_what_selection_sees() -> None:
    endpoint = make(table("a", priority=7, weight=0.5, max_concurrent=1))
    endpoint.in_flight = 1
    endpoint.health = Health("busy", until=10)
    seen = endpoint.candidate(5, able=None)
    assert (seen.id, seen.rank, seen.priority, seen.weight, seen.able, seen.room) == (
        "id",
        1,
        7,
        0.5,
        None,
        False,
    )


def test_its_repr_tells_the_state_and_no_secret() -> None:
    endpoint = make(table("a", api_key=config.Secret("sk-secret")))
    endpoint.in_flight = 3
    assert repr(endpoint) == "<Endpoint id (fast) healthy, 3 in flight>"
    assert "sk-secret" not in repr(vars(endpoint))

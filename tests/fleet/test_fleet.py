"""Names, tiers and needs: who may be asked, and what is remembered of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from random import Random
from typing import Any, get_args

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from octoroute.config.model import (
    TIERS,
    Config,
    Endpoint,
    Health,
    Queue,
    Routing,
    Tier,
    TierFallback,
    fallback_tiers,
)
from octoroute.errors import ModelNotFound
from octoroute.fleet.fleet import Fleet, Needs, Target, able
from octoroute.fleet.fleet import Lack as LackWord
from octoroute.fleet.health import TRIAL_SECONDS, Evidence, rank
from octoroute.fleet.load import Reading
from octoroute.telemetry.events import Event, HealthChanged


def table(name: str, port: int = 1, **settings: Any) -> Endpoint:
    return Endpoint(name=name, base_url=f"http://{name.lower()}.invalid:{port}/v1", **settings)


class Watched:
    """A fleet with a clock in the test's hand, and what it published."""

    def __init__(
        self,
        *,
        fallback: TierFallback = "up-down",
        fast: Sequence[Endpoint] = (),
        deep: Sequence[Endpoint] = (),
    ) -> None:
        self.now = 100.0
        self.events: list[Event] = []
        config = Config(
            models={"fast": tuple(fast), "deep": tuple(deep)},
            routing=Routing(tier_fallback=fallback),
            health=Health(unhealthy_after=2),
            queue=Queue(max_waiting=3, max_wait_seconds=4),
        )
        self.fleet = Fleet(config, publish=self.events.append, random=Random(0), clock=lambda: self.now)

    def __getitem__(self, endpoint_id: str) -> Any:
        return next(endpoint for endpoint in self.fleet if endpoint.id == endpoint_id)

    def chosen(self, tier: Tier = "fast", name: str | None = None, **more: Any) -> str | None:
        excluded = more.pop("excluded", ())
        with_room = more.pop("with_room", True)
        found = self.fleet.choose(tier, name, excluded, Needs(**more), with_room=with_room)
        return None if found is None else found.id


def named() -> Watched:
    small = [table("Qwen-8B", 1, aliases=("gpt-4o-mini", "Small")), table("Qwen-8B", 2, aliases=("other",))]
    return Watched(fast=small, deep=[table("llama-70b", aliases=("gpt-4o",))])


@pytest.mark.parametrize(
    ("model", "target"),
    [
        ("auto", Target()),
        ("AUTO", Target()),
        ("fast", Target("fast")),
        ("Balanced", Target("balanced")),
        ("DEEP", Target("deep")),
        ("Qwen-8B", Target("fast", "Qwen-8B")),
        ("qwen-8b", Target("fast", "Qwen-8B")),
        ("QWEN-8B", Target("fast", "Qwen-8B")),
        ("gpt-4o-mini", Target("fast", "Qwen-8B")),
        ("GPT-4o-Mini", Target("fast", "Qwen-8B")),
        ("small", Target("fast", "Qwen-8B")),
        ("other", Target("fast", "Qwen-8B")),
        ("gpt-4o", Target("deep", "llama-70b")),
    ],
)
def test_what_a_model_names(model: str, target: Target) -> None:
    assert named().fleet.resolve(model) == target


@pytest.mark.parametrize("model", ["gpt-5", "qwen", "Qwen-8B ", "", "Qwen-8B@qwen-8b.invalid:1", "fast,deep"])
def test_an_unknown_model_is_told_what_there_is(model: str) -> None:
    with pytest.raises(ModelNotFound) as caught:
        named().fleet.resolve(model)
    assert caught.value.param == "model"
    assert caught.value.message == (
        f'There is no model "{model}". Available: auto, fast, balanced, deep, Qwen-8B, llama-70b.'
    )


def test_a_long_name_is_cut_in_the_message() -> None:
    with pytest.raises(ModelNotFound) as caught:
        named().fleet.resolve("x" * 10_000)
    assert len(caught.value.message) < 300


@given(st.text(max_size=30))
def test_any_name_is_a_target_or_not_found(model: str) -> None:
    watched = named()
    try:
        watched.fleet.resolve(model)
    except ModelNotFound:
        assert model.lower() not in {
            "auto",
            *TIERS,
            "qwen-8b",
            "gpt-4o-mini",
            "small",
            "other",
            "llama-70b",
            "gpt-4o",
        }


def test_an_exact_name_comes_before_one_in_another_case() -> None:
    watched = Watched(fast=[table("one", aliases=("Model",))], deep=[table("model")])
    assert watched.fleet.resolve("Model") == Target("fast", "one")
    assert watched.fleet.resolve("model") == Target("deep", "model")


def test_a_name_is_listed_once_in_the_order_of_the_tiers() -> None:
    assert named().fleet.model_names() == ["Qwen-8B", "llama-70b"]
    assert [endpoint.id for endpoint in named().fleet] == [
        "Qwen-8B@qwen-8b.invalid:1",
        "Qwen-8B@qwen-8b.invalid:2",
        "llama-70b",
    ]
    assert repr(named().fleet) == "<Fleet fast: 2, balanced: 0, deep: 1>"


FALLBACK: dict[TierFallback, dict[Tier, list[Tier]]] = {
    "none": {"fast": [], "balanced": [], "deep": []},
    "up": {"fast": ["balanced", "deep"], "balanced": ["deep"], "deep": []},
    "down": {"fast": [], "balanced": ["fast"], "deep": ["balanced", "fast"]},
    "up-down": {
        "fast": ["balanced", "deep"],
        "balanced": ["deep", "fast"],
        "deep": ["balanced", "fast"],
    },
}


@pytest.mark.parametrize(("fallback", "tier"), [(fallback, tier) for fallback in FALLBACK for tier in TIERS])
def test_which_tiers_stand_in(fallback: TierFallback, tier: Tier) -> None:
    assert list(fallback_tiers(tier, fallback)) == FALLBACK[fallback][tier]
    fleet = Watched(fallback=fallback, fast=[table("a")]).fleet
    assert fleet.tiers_for(tier) == [tier, *FALLBACK[fallback][tier]]


# Needs


@pytest.mark.parametrize(
    ("settings", "needs", "answer"),
    [
        ({}, {}, True),
        ({}, {"vision": True}, None),
        ({}, {"tools": True}, None),
        ({"vision": True}, {"vision": True}, True),
        ({"vision": False}, {"vision": True}, False),
        ({"vision": False}, {}, True),
        ({"tools": False}, {"tools": True}, False),
        ({"vision": True}, {"vision": True, "tools": True}, None),
        ({"vision": False}, {"vision": True, "tools": True}, False),
        ({"context_window": 100}, {"tokens": 99}, True),
        ({"context_window": 100}, {"tokens": 100}, False),
        ({"context_window": 100, "vision": True}, {"tokens": 500, "vision": True}, False),
    ],
)
def test_who_is_able(settings: dict[str, Any], needs: dict[str, Any], answer: bool | None) -> None:
    assert able(table("a", **settings), Needs(**needs)) is answer


def test_those_known_to_be_able_come_first() -> None:
    watched = Watched(
        fast=[table("blind", vision=False), table("unknown", priority=9), table("sees", vision=True)]
    )
    assert watched.chosen(vision=True) == "sees"
    assert watched.chosen(vision=True, excluded={"sees"}) == "unknown"
    assert watched.chosen(vision=True, excluded={"sees", "unknown"}) is None
    assert watched.chosen() == "unknown"


@pytest.mark.parametrize(
    ("endpoints", "needs", "lack"),
    [
        ([], {"vision": True}, None),
        ([table("a")], {"vision": True}, None),
        ([table("a", vision=False), table("b")], {"vision": True}, None),
        ([table("a", vision=False), table("b", vision=False)], {"vision": True}, "needs_vision"),
        ([table("a", tools=False)], {"tools": True}, "needs_tools"),
        ([table("a", vision=False, tools=False)], {"vision": True, "tools": True}, "needs_vision"),
        ([table("a", context_window=10)], {"tokens": 10}, "needs_context"),
        ([table("a", context_window=10, vision=False)], {"tokens": 9, "vision": True}, "needs_vision"),
        (
            [table("a", context_window=10), table("b", vision=False)],
            {"tokens": 10, "vision": True},
            "needs_context",
        ),
        (
            [table("a", vision=False), table("b", tools=False)],
            {"vision": True, "tools": True},
            "needs_vision",
        ),
    ],
)
def test_what_a_tier_lacks(endpoints: list[Endpoint], needs: dict[str, Any], lack: LackWord | None) -> None:
    assert Watched(fast=endpoints, deep=[table("z")]).fleet.lacks("fast", Needs(**needs)) == lack


def test_whether_anybody_can() -> None:
    fleet = Watched(fast=[table("a", vision=False)], deep=[table("b", vision=False, tools=False)]).fleet
    assert not fleet.can_serve(Needs(vision=True))
    assert fleet.can_serve(Needs(tools=True))
    assert fleet.can_serve(Needs(tools=True), "a")
    assert not fleet.can_serve(Needs(tools=True), "b")


# Choosing


def test_a_name_is_served_by_its_own_endpoints() -> None:
    watched = Watched(fast=[table("a", 1), table("a", 2), table("b", priority=9)])
    assert {watched.chosen(name="a") for _ in range(50)} == {"a@a.invalid:1", "a@a.invalid:2"}
    assert watched.chosen(name="a", excluded={"a@a.invalid:1"}) == "a@a.invalid:2"
    assert watched.chosen(name="c") is None
    assert watched.chosen("deep") is None


def test_a_full_endpoint_is_seen_only_by_who_would_wait() -> None:
    watched = Watched(fast=[table("a", max_concurrent=1)])
    watched["a"].in_flight = 1
    assert watched.chosen() is None
    assert watched.chosen(with_room=False) == "a"


def test_what_is_down_is_not_chosen_until_it_is_back() -> None:
    watched = Watched(fast=[table("a", priority=2), table("b")])
    for _ in range(2):
        watched.fleet.record(watched["a"], "failure", "it died")
    assert watched.chosen() == "b"
    watched.fleet.record(watched["a"], "request_answered")
    assert watched.chosen() == "a"


@pytest.mark.parametrize("evidence", ["misconfigured", "failure"])
def test_a_trial_is_made_although_others_are_healthy_and_by_one_request(evidence: Any) -> None:
    """After the healthy ones it never came: an endpoint put right was lost until a restart."""
    watched = Watched(fast=[table("a", priority=2, health_path=""), table("b")])
    for _ in range(2):
        watched.fleet.record(watched["a"], evidence)
    assert watched.chosen() == "b"
    watched.now += TRIAL_SECONDS
    assert watched.chosen() == "a"
    watched.fleet.asked(watched["a"])
    assert watched.chosen() == "b"
    watched.now += TRIAL_SECONDS - 1
    assert watched.chosen() == "b"
    watched.now += 1
    watched.fleet.asked(watched["a"])
    watched.fleet.record(watched["a"], "request_answered")
    assert watched.chosen() == "a"


def test_the_last_resort_is_who_failed_longest_ago() -> None:
    watched = Watched(fast=[table("a"), table("b"), table("c", vision=False)])
    for name in ("b", "c", "a"):
        watched.now += 1
        watched.fleet.record(watched[name], "failure")
    assert [watched.fleet.last_resort("fast", name, Needs()) for name in (None, "a")] == [
        watched["b"],
        watched["a"],
    ]
    watched.now += 1
    watched.fleet.record(watched["b"], "failure")
    assert watched.fleet.last_resort("fast", None, Needs()) is watched["c"]
    assert watched.fleet.last_resort("fast", None, Needs(vision=True)) is watched["a"]
    assert watched.fleet.last_resort("deep", None, Needs()) is None


def test_which_tiers_are_ready() -> None:
    watched = Watched(fast=[table("a"), table("b")], deep=[table("c", health_path="")])
    ready = watched.fleet.ready_tiers
    assert ready() == {"fast": True, "balanced": False, "deep": True}
    watched.fleet.record(watched["a"], "warming")
    watched.fleet.record(watched["b"], "busy", busy_for=5)
    assert ready()["fast"]
    watched.fleet.record(watched["b"], "warming")
    assert not ready()["fast"]
    watched.fleet.record(watched["c"], "misconfigured")
    watched.now += TRIAL_SECONDS  # that a trial is due is no reason to be ready
    assert not ready()["deep"]


# Evidence


def test_only_a_change_of_state_is_published() -> None:
    watched = Watched(fast=[table("a")])
    watched.fleet.record(watched["a"], "failure", "first")
    watched.fleet.record(watched["a"], "failure", "second")
    watched.fleet.record(watched["a"], "failure", "third")
    watched.fleet.record(watched["a"], "probe_answered")
    assert watched.events == [
        HealthChanged("fast", "a", old="healthy", new="unhealthy", detail="second"),
        HealthChanged("fast", "a", old="unhealthy", new="healthy", detail=""),
    ]


async def test_a_change_of_state_serves_who_waits() -> None:
    watched = Watched(fast=[table("full", max_concurrent=1), table("back")])
    for _ in range(2):
        watched.fleet.record(watched["back"], "failure")
    watched["full"].in_flight = 1
    places = []

    async def wait() -> None:
        choose = partial(watched.fleet.choose, "fast", None, (), Needs())
        places.append(await watched.fleet.admission["fast"].wait("client", choose, lambda: False))

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await wait_all_tasks_blocked()
            watched.fleet.record(watched["back"], "probe_answered")
    assert [place.endpoint.id for place in places if place] == ["back"]


def test_probing_decides_how_an_endpoint_comes_back() -> None:
    watched = Watched(fast=[table("probed"), table("unprobed", health_path="")])
    for name in ("probed", "unprobed") * 2:
        watched.fleet.record(watched[name], "failure")
    watched.now += TRIAL_SECONDS
    assert watched.chosen(name="probed") is None
    assert watched.chosen(name="unprobed") == "unprobed"


def test_the_state_that_a_scrape_sees() -> None:
    watched = Watched(fast=[table("a"), table("b")], deep=[table("c"), table("d")])
    watched.fleet.record(watched["b"], "busy", busy_for=1)
    watched.fleet.record(watched["c"], "warming")
    watched.fleet.record(watched["d"], "misconfigured")
    watched["a"].in_flight, watched["b"].in_flight = 2, 3
    state = watched.fleet.state()
    assert [tuple(endpoint) for endpoint in state.endpoints] == [
        ("fast", "a", True),
        ("fast", "b", True),
        ("deep", "c", False),
        ("deep", "d", False),
    ]
    assert [tuple(tier) for tier in state.tiers] == [("fast", 5, 0), ("balanced", 0, 0), ("deep", 0, 0)]


async def test_closing_closes_every_way() -> None:
    watched = Watched(fast=[table("a")], deep=[table("b")])
    await watched.fleet.aclose()
    assert all("closed" in repr(endpoint.upstream._transport) for endpoint in watched.fleet)


# Whatever happens

EVIDENCE = st.sampled_from(get_args(Evidence))
READINGS = st.none() | st.builds(Reading, *[st.none() | st.integers(0, 3)] * 3, st.none() | st.booleans())
NAMES = ["a", "b", "c"]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(NAMES),
        st.sampled_from(["record", "told", "wake", "woken", "drain", "enable", "probed"]),
    )
    | st.tuples(st.sampled_from(NAMES), st.sampled_from(["take", "give back"])),
    max_size=40,
)


@given(STEPS, st.data())
def test_only_an_endpoint_that_takes_requests_is_ever_chosen(steps: list[tuple[str, str]], data: Any) -> None:
    watched = Watched(fast=[table(name, max_concurrent=2) for name in NAMES])
    fleet = watched.fleet
    for name, step in steps:
        watched.now += data.draw(st.floats(0, 40))
        endpoint = watched[name]
        match step:
            case "record":
                fleet.record(endpoint, data.draw(EVIDENCE), busy_for=5)
            case "told":
                server = data.draw(st.sampled_from([None, "lmstudio", "llama.cpp"]))
                fleet.told(endpoint, server, data.draw(READINGS), watched.now)
            case "woken":
                fleet.woken(endpoint, 1, answers=data.draw(st.booleans()))
            case "drain" | "enable":
                fleet.set_drained(name, drained=step == "drain")
            case "take":
                endpoint.in_flight += 1
            case "give back":
                endpoint.in_flight = max(0, endpoint.in_flight - 1)
            case _:
                getattr(fleet, step)(endpoint)
        excluded = data.draw(st.sets(st.sampled_from(NAMES)))
        may = {
            e.id
            for e in fleet
            if rank(e.health, watched.now) is not None
            and not e.drained
            and not e.waking
            and e.id not in excluded
        }
        free = {
            e.id
            for e in fleet
            if e.id in may and e.in_flight < 2 and not (e.in_flight and e.server == "lmstudio" and loads(e))
        }
        chosen = fleet.choose("fast", None, excluded, Needs())
        assert chosen.id in free if chosen else not free
        chosen = fleet.choose("fast", None, excluded, Needs(), with_room=False)
        assert chosen.id in may if chosen else not may


def loads(endpoint: Any) -> bool:
    """Whether its model is known not to be loaded."""
    return endpoint.load is not None and endpoint.load.reading.loaded is False


def test_what_a_server_told_before_a_request_was_answered_does_not_count() -> None:
    watched = Watched(fast=[table("a")])
    asked = watched.now
    watched.now += 1
    watched.fleet.record(watched["a"], "request_answered")
    watched.fleet.told(watched["a"], "lmstudio", Reading(loaded=False), asked)
    assert not watched["a"].is_cold
    watched.fleet.told(watched["a"], "lmstudio", Reading(loaded=False), watched.now)
    assert watched["a"].is_cold

"""Whatever a file holds, it is a valid configuration or a ConfigError, never another error."""

from __future__ import annotations

import copy
import datetime as dt
import tomllib
from typing import Any

import msgspec
import pytest
import tomlkit
from httpx import URL
from hypothesis import given, settings
from hypothesis import strategies as st

from octoroute.config import model, validate
from octoroute.config.lines import find_line, find_lines
from octoroute.errors import ConfigError
from tests.config.helpers import read
from tests.config.test_load import SEED

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
KEYS = st.one_of(
    TEXT, st.sampled_from([f.name for s in (model.Config, model.Endpoint, model.Server) for f in msgspec.structs.fields(s)])
)  # fmt: skip
SCALARS = st.one_of(
    TEXT,
    st.integers(),
    st.floats(),
    st.booleans(),
    st.dates(),
    st.datetimes(timezones=st.just(dt.UTC)),
    st.just("http://u:p@host/v1?x"),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


def paths(tree: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place in a tree of dicts and lists."""
    parts = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [path, *(each for key, value in parts for each in paths(value, (*path, key)))]


SEED_TREE = tomllib.loads(SEED)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """The seed's example, with some of it replaced, added or taken away."""
    tree: dict[str, Any] = copy.deepcopy(SEED_TREE)
    for _ in range(draw(st.integers(1, 4))):
        *above, last = draw(st.sampled_from([path for path in paths(tree) if path] or [("server",)]))
        parent: Any = tree
        for part in above:
            parent = parent[part]
        match draw(st.sampled_from(["replace", "add", "remove"])):
            case "add" if isinstance(parent, dict):
                parent[draw(KEYS)] = draw(VALUES)
            case "remove" if last in (parent if isinstance(parent, dict) else range(len(parent))):
                del parent[last]
            case _ if isinstance(parent, dict) or last in range(len(parent)):
                parent[last] = draw(VALUES)
    return tomlkit.dumps(tree)


def is_told_well(text: str) -> None:
    problems: tuple[str, ...] = ()
    try:
        config = read(text)
    except ConfigError as error:
        problems = error.problems
    else:
        validate.warnings(config)
        for endpoints in config.models.values():
            for endpoint in endpoints:
                assert str(URL(endpoint.base_url)).startswith("http")
                endpoint.name.encode("ascii")
        return
    assert problems
    for problem in problems:
        assert problem.isprintable()
        assert "u:p" not in problem


@settings(deadline=None)
@given(mutated())
def test_a_mutated_file(text: str) -> None:
    is_told_well(text)


@settings(deadline=None)
@given(TEXT | st.text(alphabet="[]{}=\"'.,\n #models.fast\\u01+-", max_size=80))
def test_any_text(text: str) -> None:
    is_told_well(text)


@settings(deadline=None)
@given(st.text(max_size=40))
def test_any_text_as_a_url(text: str) -> None:
    for url in (text, f"http://{text}", f"http://host{text}"):
        try:
            plain = validate.base_url(url)
        except ValueError:
            continue
        assert validate.base_url(plain) == plain
        assert URL(plain).raw_host


# Any valid configuration loads as it was meant.

NAMES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=8).filter(
    lambda name: name.lower() not in validate.RESERVED
)
SECONDS = st.floats(1, 3600) | st.integers(1, 3600)


def table(struct: type[msgspec.Struct], **more: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Tables of `struct` with any of its keys that numbers and closed sets can fill."""
    simple: dict[str, st.SearchStrategy[Any]] = {}
    for field in msgspec.structs.fields(struct):
        if "seconds" in field.name or struct in {model.Timeouts, model.RouterTimeouts}:
            simple[field.name] = SECONDS
    return st.fixed_dictionaries({}, optional=simple | more)


COUNTS = st.integers(1, 10)
TIERS = st.sampled_from(model.TIERS)
ENDPOINTS = st.fixed_dictionaries(
    {"base_url": st.builds("http://10.0.0.{}:{}/v1".format, st.integers(1, 254), st.integers(1, 65535))},
    optional={
        "model": NAMES,
        "max_tokens": COUNTS,
        "temperature": st.floats(0, 2),
        "weight": st.floats(0.001, 100),
        "priority": st.integers(-5, 5),
        "api_key": NAMES,
        "max_concurrent": COUNTS,
        "vision": st.booleans(),
        "health_path": st.sampled_from(["", "models", "/health"]),
        "wake_mac": st.binary(min_size=6, max_size=6).map(lambda mac: mac.hex(":")),
    },
).filter(lambda endpoint: "wake_mac" not in endpoint or endpoint.get("health_path") != "")


@st.composite
def valid(draw: st.DrawFn) -> dict[str, Any]:
    names = draw(st.lists(NAMES, min_size=1, max_size=6, unique_by=str.lower))
    models: dict[str, list[Any]] = {}
    for name in names:
        models.setdefault(draw(TIERS), []).append({"name": name, **draw(ENDPOINTS)})
    return {
        "server": draw(table(model.Server, port=st.integers(0, 65535), max_body_bytes=COUNTS)),
        "models": models,
        "routing": draw(table(model.Routing, router_tier=TIERS, default_tier=TIERS))
        | {"min_confidence": draw(st.floats(0, 1)), "router_timeouts": draw(table(model.RouterTimeouts))},
        "timeouts": draw(table(model.Timeouts)),
        "retry": draw(table(model.Retry, max_attempts=COUNTS, backoff_ms=COUNTS)),
        "auth": {"api_keys": draw(st.lists(NAMES, unique=True)), "protect_metrics": draw(st.booleans())},
    }


def plain(value: Any) -> Any:
    """A configuration as the tree that it was read from."""
    match value:
        case msgspec.Struct():
            return {key: plain(each) for key, each in msgspec.structs.asdict(value).items()}
        case dict():
            return {key: plain(each) for key, each in value.items()}
        case tuple():
            return [plain(each) for each in value]
        case model.Secret():
            return value.reveal()
        case _:
            return value


def includes(whole: Any, part: Any) -> bool:
    if isinstance(part, dict):
        return all(includes(whole[key], value) for key, value in part.items())
    if isinstance(part, list):
        return len(whole) == len(part) and all(map(includes, whole, part))
    return bool(whole == part)


@settings(deadline=None)
@given(valid())
def test_a_valid_configuration_loads_as_it_was_meant(tree: dict[str, Any]) -> None:
    assert includes(plain(read(tomlkit.dumps(tree))), tree)


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@settings(deadline=None)
@given(tree=valid())
def test_every_key_is_found_in_its_line(ending: str, tree: dict[str, Any]) -> None:
    text = tomlkit.dumps(tree).replace("\n", ending)
    lines = text.split(ending)
    found = find_lines(text)
    for path in paths(tree):
        if path and isinstance(path[-1], str) and path[0] != "models" and (line := find_line(found, path)):
            assert str(path[-1]) in lines[line - 1]

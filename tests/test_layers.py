"""Imports point one way, and each third-party library has its place."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent / "octoroute"

LAYERS = (
    ("__main__",),
    ("cli",),
    ("admin", "daemon", "evaluation", "server", "simulation"),
    ("api",),
    ("relay",),
    ("routing",),
    ("fleet",),
    ("openai", "config", "supervision", "sockets", "systemd"),
    ("telemetry",),
    ("errors",),
    ("",),  # octoroute/__init__.py: the version
)
"""A module imports from its own layer and those below."""
HEIGHT = {name: len(LAYERS) - number for number, names in enumerate(LAYERS) for name in names}

PLACES = {
    "click": ("cli",),
    "h11": ("server",),
    "httptools": ("fleet.transport", "fleet.wire"),
    "httpx": ("fleet.transport", "fleet.upstream", "fleet.wire"),
    "hypercorn": ("server", "api.connection", "simulation"),
    "msgspec": ("",),
    "prometheus_client": ("telemetry.metrics",),
    "quart": ("api", "simulation"),
    "quart_trio": ("api", "server", "simulation"),
    "structlog": ("telemetry.logs",),
    "tomlkit": ("config",),
    "trio": ("",),
    "werkzeug": ("api",),
}
"""Where each library may be imported: modules, or packages with all that is in them; "" is everywhere."""

PURE = (
    "evaluation.intervals",
    "evaluation.metrics",
    "evaluation.page",
    "evaluation.report",
    "evaluation.result",
    "fleet.health",
    "fleet.selection",
    "openai.request",
    "openai.sse",
    "relay.headers",
    "relay.verdict",
    "routing.answer",
    "routing.facts",
    "routing.inference",
    "routing.question",
    "routing.rules",
    "routing.stickiness",
)
"""Decisions: no input or output, by themselves or by what they import."""
IO_LIBRARIES = {"trio", "httpx", "httptools", "quart", "quart_trio", "hypercorn", "socket", "ssl", "asyncio"}


class Import(NamedTuple):
    """One imported name: by which module of ours, in which line, and what (without "octoroute." where it is ours)."""

    by: str
    line: int
    library: str | None
    ours: str | None


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}


def imports(by: str, source: str) -> Iterator[Import]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"octoroute.{by}:{node.lineno}: a relative import"
            assert node.module is not None
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            library, _, rest = name.partition(".")
            if library == "octoroute":
                # `from octoroute.a import b`: b is a module, or a name in the module a.
                yield Import(by, node.lineno, None, rest if rest in MODULES else rest.rpartition(".")[0])
            else:
                yield Import(by, node.lineno, library, None)


ALL = [found for name, path in MODULES.items() for found in imports(name, path.read_text(encoding="utf-8"))]


def against_the_layers(found: list[Import]) -> list[str]:
    return [
        f"octoroute.{each.by}:{each.line} imports octoroute.{each.ours}, which is above it"
        for each in found
        if each.ours is not None and HEIGHT[top(each.ours)] > HEIGHT[top(each.by)]
    ]


def out_of_place(found: list[Import]) -> list[str]:
    return [
        f"octoroute.{each.by}:{each.line} imports {each.library}"
        for each in found
        if each.library is not None
        and each.library not in sys.stdlib_module_names
        and not any(
            place in {"", each.by} or each.by.startswith(f"{place}.")
            for place in PLACES.get(each.library, ())
        )
    ]


def top(module: str) -> str:
    return module.partition(".")[0]


def test_every_module_has_a_layer() -> None:
    assert {top(name) for name in MODULES} <= set(HEIGHT)


def test_imports_point_down() -> None:
    assert against_the_layers(ALL) == []


def test_each_library_is_imported_only_where_it_belongs() -> None:
    assert out_of_place(ALL) == []
    assert set(PLACES) == {each.library for each in ALL} & set(PLACES), "a library that is no longer used"


@pytest.mark.parametrize("module", PURE)
def test_decisions_are_pure(module: str) -> None:
    reached, waiting = set(), [module]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += [each.ours for each in ALL if each.by == name and each.ours is not None]
    impure = [each for each in ALL if each.by in reached and each.library in IO_LIBRARIES]
    assert impure == []


@pytest.mark.parametrize(
    ("by", "source", "expected"),
    [
        ("errors", "from octoroute.telemetry import logs", "which is above it"),
        ("fleet.health", "def f():\n    import octoroute.relay.verdict", "which is above it"),
        ("config.model", "from octoroute.fleet.fleet import Fleet", "which is above it"),
        ("relay.body", "import httpx", "imports httpx"),
        ("fleet.probe", "from httpx import Response", "imports httpx"),
        ("api.app", "import requests.adapters", "imports requests"),
    ],
)
def test_the_test_sees_what_is_wrong(by: str, source: str, expected: str) -> None:
    found = list(imports(by, source))
    (problem,) = against_the_layers(found) + out_of_place(found)
    assert expected in problem


def test_the_test_lets_pass_what_is_right() -> None:
    source = (
        "import json, trio\nfrom octoroute import __version__\nfrom octoroute.fleet.wire import IDLE_SECONDS"
    )
    found = list(imports("relay.body", source))
    assert against_the_layers(found) + out_of_place(found) == []

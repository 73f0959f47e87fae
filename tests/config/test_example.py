"""The template: every option stands in it, with its default."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
import pytest
import tomlkit

from octoroute.config import validate
from octoroute.config.load import FILE_ONLY
from octoroute.config.model import Config, Endpoint, RouterTimeouts
from tests.config.helpers import read
from tests.config.test_load import SEED

TEMPLATE = resources.files("octoroute.config").joinpath("example.toml").read_text(encoding="utf-8")
OPTION = re.compile(r"^# ([a-z_]+) = (.*)$", re.MULTILINE)
KEY_SOURCES = ["api_key", *FILE_ONLY[Endpoint]]
STRUCTS = {
    **{f.name: f.type for f in msgspec.structs.fields(Config) if f.name != "models"},
    "routing.router_timeouts": RouterTimeouts,
    "models.fast": Endpoint,
}


def uncommented() -> str:
    """The template with every option set."""
    return OPTION.sub(r"\1 = \2", TEMPLATE)


def table(document: Any, name: str) -> dict[str, Any]:
    for part in name.split("."):
        document = document[part]
    return dict(document[0] if isinstance(document, list) else document)


def test_as_it_is_it_is_the_seeds_example() -> None:
    assert read(TEMPLATE) == read(SEED)
    assert [w for w in validate.warnings(read(TEMPLATE)) if "host" not in w] == []


@pytest.mark.parametrize("name", STRUCTS)
def test_every_option_is_in_it(name: str) -> None:
    struct = STRUCTS[name]
    expected = {field.name for field in msgspec.structs.fields(struct)} | set(FILE_ONLY.get(struct, ()))
    assert set(table(tomlkit.parse(uncommented()).unwrap(), name)) == expected


@pytest.mark.parametrize("source", KEY_SOURCES)
def test_every_option_can_be_set(source: str, tmp_path: Path) -> None:
    for name in ("cert.pem", "key.pem", "fast.key", "api-keys.txt"):
        (tmp_path / name).write_text("text\n")
    others = "|".join(set(KEY_SOURCES) - {source})
    text = re.sub(rf"^({others}) = .*$", "", uncommented(), flags=re.MULTILINE)
    read(text, base_dir=tmp_path, environ={"FAST_API_KEY": "a", "OCTOROUTE_API_KEYS": "b"})


def test_defaults_are_told_as_they_are() -> None:
    document = tomlkit.parse(uncommented()).unwrap()
    optional = {match[1] for match in OPTION.finditer(TEMPLATE) if "default: none" in match[2]}
    for name, struct in STRUCTS.items():
        for field in msgspec.structs.fields(struct):
            value = table(document, name)[field.name]
            if field.type is RouterTimeouts or field.required:
                continue
            if field.default is None:
                assert field.name in optional | {"max_tokens", "temperature"}, field.name
            else:
                default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
                assert (list(value) if isinstance(value, list) else value) == (
                    list(default) if isinstance(default, tuple) else default
                ), field.name


def test_it_can_be_read_in_any_terminal() -> None:
    assert TEMPLATE.isascii()
    assert max(map(len, TEMPLATE.splitlines())) <= 110
    assert not re.search(r"[ \t]$", TEMPLATE, re.MULTILINE)

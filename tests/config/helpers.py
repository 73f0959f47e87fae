"""What the tests of the configuration share: a way to load text, and the shortest valid one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from octoroute.config.load import parse
from octoroute.config.model import Config
from octoroute.errors import ConfigError

ENDPOINT = """\
[[models.fast]]
name = "small"
base_url = "http://localhost:11434/v1"
"""

HERE = Path(__file__).parent


def read(text: str, *, base_dir: Path = HERE, environ: Mapping[str, str] | None = None) -> Config:
    return parse(text, source="config.toml", base_dir=base_dir, environ=environ or {})


def problems(text: str, *, base_dir: Path = HERE, environ: Mapping[str, str] | None = None) -> list[str]:
    """What is wrong with `text`, without the file's name in front of each."""
    with pytest.raises(ConfigError) as raised:
        read(text, base_dir=base_dir, environ=environ)
    found = list(raised.value.problems)
    assert str(raised.value) == "\n".join(found)
    assert all(each.startswith("config.toml:") and "\n" not in each for each in found)
    return [each.removeprefix("config.toml:") for each in found]

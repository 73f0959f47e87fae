"""Every key is found in its line, however it is written."""

from __future__ import annotations

import pytest

from octoroute.config import lines

TEXT = '''\
# a comment
server.port = 1
server.host = "a"
list = [
  1,
]
[[models.fast]] # with a comment
name = "a"
inline = { one = 1, two.three = 2 }
  [[models.balanced]]
  "quoted name" = """
many
lines"""
  flag = true

[[models.fast]]
name = "b"
[routing.router_timeouts]
fast = 1
[routing]
strategy = "rule"
'''

PLACES: list[tuple[lines.Path, int]] = [
    (("server",), 2),
    (("server", "port"), 2),
    (("server", "host"), 3),
    (("list",), 4),
    (("models",), 7),
    (("models", "fast", 0), 7),
    (("models", "fast", 0, "name"), 8),
    (("models", "fast", 0, "inline", "one"), 9),
    (("models", "fast", 0, "inline", "two", "three"), 9),
    (("models", "balanced", 0), 10),
    (("models", "balanced", 0, "quoted name"), 11),
    (("models", "balanced", 0, "flag"), 14),
    (("models", "fast", 1), 16),
    (("models", "fast", 1, "name"), 17),
    (("routing", "router_timeouts"), 18),
    (("routing", "router_timeouts", "fast"), 19),
    (("routing",), 20),
    (("routing", "strategy"), 21),
]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize(("path", "line"), PLACES)
def test_every_kind_of_key_is_found(path: lines.Path, line: int, ending: str) -> None:
    assert lines.find_line(lines.find_lines(TEXT.replace("\n", ending)), path) == line


def test_what_is_not_there_is_found_where_it_should_be() -> None:
    found = lines.find_lines(TEXT)
    assert lines.find_line(found, ("models", "fast", 1, "base_url")) == 16
    assert lines.find_line(found, ("health", "timeout_seconds")) is None


def test_nothing_is_known_of_what_tomlkit_can_not_read() -> None:
    assert lines.find_lines("not = [toml") == {}


def test_a_line_far_down() -> None:
    text = "\n" * 12_345 + "\t  key = 1"
    assert lines.find_line(lines.find_lines(text), ("key",)) == 12_346

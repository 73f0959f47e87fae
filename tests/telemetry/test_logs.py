"""What is logged: which lines, in which form, and nothing that does not belong in a log."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from functools import partial
from typing import Any, TextIO

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from octoroute.config.model import Endpoint, Secret
from octoroute.telemetry import logs
from octoroute.telemetry.events import (
    Attempted,
    Committed,
    Event,
    FailedOver,
    Finished,
    HealthChanged,
    MonitorFailed,
    ProbeFailed,
    Routed,
    RouterAsked,
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _unchanged() -> Iterator[None]:
    """The log is the process's: it is left as it was found."""
    before, levels = structlog.get_config(), dict(logs._levels.by_module)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    structlog.configure(**before)
    logs._levels.replace(levels)
    root.handlers[:] = handlers
    root.setLevel(level)


def configured(levels: str = "debug", log_format: Any = "json") -> io.StringIO:
    stream = io.StringIO()
    logs.configure(levels, log_format, stream)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


# Which lines


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("debug", {"": 10}),
        ("info,octoroute.routing=debug", {"": 20, "octoroute.routing": 10}),
        ("octoroute.relay=error,warning", {"": 30, "octoroute.relay": 40}),
        ("octoroute.relay=error", {"": 20, "octoroute.relay": 40}),
    ],
)
def test_a_filter_is_read(text: str, levels: dict[str, int]) -> None:
    assert logs.levels_of(text) == levels


@pytest.mark.parametrize(
    ("levels", "module", "passing"),
    [
        ("info", "octoroute.relay", ["info", "warning", "error"]),
        ("error", "octoroute.relay", ["error"]),
        ("warning,octoroute.relay=debug", "octoroute.relay", ["debug", "info", "warning", "error"]),
        ("warning,octoroute.relay=debug", "octoroute.relay.body", ["debug", "info", "warning", "error"]),
        ("warning,octoroute.relay=debug", "octoroute.relayed", ["warning", "error"]),
        ("warning,octoroute.relay=debug", "octoroute", ["warning", "error"]),
        ("debug,octoroute=error,octoroute.relay=info", "octoroute.relay", ["info", "warning", "error"]),
        ("debug,octoroute=error", "hypercorn", ["debug", "info", "warning", "error"]),
    ],
)
def test_levels_by_module(levels: str, module: str, passing: list[str]) -> None:
    stream = configured(levels)
    log = logs.get_logger(module)
    for method in ("debug", "info", "warning", "error"):
        getattr(log, method)("x")
    assert [line["level"] for line in lines(stream)] == passing
    assert {line["module"] for line in lines(stream)} == {module}


def test_levels_can_be_changed_while_running() -> None:
    log = logs.get_logger("octoroute.relay")
    stream = configured("error")
    log.info("one")
    stream = configured("info")
    log.info("two")
    assert [line["event"] for line in lines(stream)] == ["two"]


# In which form


VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(st.characters(), max_size=20),
        st.text(st.characters(categories=["Cs"]), max_size=2),
        st.binary(max_size=5),
        st.just(Secret("sk-secret")),
        st.just(ValueError("x")),
        st.just(object()),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from(["detail", "seconds", "x", "endpoint"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(), max_size=30), st.dictionaries(KEYS, VALUES))
def test_a_line_is_one_json_object_whatever_is_logged(event: str, fields: dict[str, Any]) -> None:
    stream = configured()
    logs.get_logger("octoroute.test").info(event, **fields)
    text = stream.getvalue()
    assert text.endswith("\n")
    assert text.count("\n") == 1
    line = json.loads(text)
    assert list(line)[:3] == ["timestamp", "level", "event"]
    assert set(line) == {"timestamp", "level", "event", "module", *fields}
    assert "sk-secret" not in text


def test_times_are_utc() -> None:
    stream = configured()
    logs.get_logger("x").info("x")
    assert lines(stream)[0]["timestamp"].endswith("Z")


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_secrets_are_masked(log_format: str) -> None:
    stream = configured(log_format=log_format)
    endpoint = Endpoint(name="a", base_url="http://x/v1", api_key=Secret("sk-secret"))
    logs.get_logger("x").info("x", key=Secret("sk-secret"), endpoint=endpoint, keys=[Secret("sk-secret")])
    assert "Secret(…)" in stream.getvalue()
    assert "sk-secret" not in stream.getvalue()


def test_the_console_form_is_for_people() -> None:
    stream = configured(log_format="console")
    logs.get_logger("octoroute.relay").warning("attempt failed", endpoint="a", seconds=0.5)
    text = stream.getvalue()
    assert "attempt failed" in text
    assert "endpoint=a" in text
    assert "\x1b[" not in text  # no colours where it is no terminal
    assert not text.startswith("{")


@pytest.mark.parametrize(("stream", "is_json"), [(io.StringIO(), True), (Terminal(), False)])
def test_auto_is_console_on_a_terminal(stream: io.StringIO, *, is_json: bool) -> None:
    logs.configure("info", "auto", stream)
    logs.get_logger("x").info("hello")
    assert stream.getvalue().startswith("{") is is_json
    assert ("\x1b[" in stream.getvalue()) is not is_json


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_traceback_shows_no_variables(log_format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The console's default prints every local variable where a library for it happens to be installed."""

    def shows_variables(text: TextIO, exc_info: Any) -> None:
        text.write(str(exc_info[2].tb_frame.f_locals))

    default = partial(structlog.dev.ConsoleRenderer, exception_formatter=shows_variables)
    monkeypatch.setattr(structlog.dev, "ConsoleRenderer", default)
    stream = configured(log_format=log_format)
    prompt = "what the user " + "asked"
    try:
        int("a defect")
    except ValueError as error:
        logs.get_logger("x").error("defect", exc_info=error)
    text = stream.getvalue()
    assert "ValueError: invalid literal" in text
    assert "Traceback" in text
    assert prompt not in text


@pytest.mark.parametrize(
    "error", [BrokenPipeError(), OSError(28, "No space left"), ValueError("closed file")]
)
def test_a_log_that_cannot_be_written_disturbs_nobody(error: Exception) -> None:
    """`octoroute 2>&1 | head` must not turn every request into an internal error."""

    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise error

        def flush(self) -> None:
            raise error

    for log_format in ("json", "console"):
        logs.configure("info", log_format, Gone())
        logs.get_logger("x").info("hello")


def test_what_libraries_log_comes_along_from_warnings_up() -> None:
    stream = configured("info")
    logging.getLogger("hypercorn.error").info("too much")
    logging.getLogger("hypercorn.error").warning("odd: %s", "x")
    try:
        int("a defect")
    except ValueError:
        logging.getLogger("hypercorn").exception("broken")
    first, second = lines(stream)
    assert (first["module"], first["level"], first["event"]) == ("hypercorn.error", "warning", "odd: x")
    assert (second["level"], second["event"]) == ("error", "broken")
    assert "ValueError: invalid literal" in second["exception"]


# Events

FINISHED = Finished(
    "r1",
    "POST",
    "/v1/chat/completions",
    200,
    "fast",
    1.23456789,
    client="127.0.0.1",
    strategy="rule",
    reason="casual_chat",
    endpoint="a",
    stream=True,
    time_to_first_token=0.123456789,
    overhead=0.00123456789,
)


def told(event: Event, levels: str = "debug") -> list[dict[str, Any]]:
    stream = configured(levels)
    logs.on_event(event)
    return lines(stream)


def test_a_request_is_one_line() -> None:
    (line,) = told(FINISHED, "info")
    assert (line["module"], line["level"], line["event"]) == ("octoroute.exchange", "info", "request")
    assert (line["status"], line["tier"], line["endpoint"], line["exchange"]) == (200, "fast", "a", "r1")
    assert "error" not in line  # what there is not is not told
    assert "tokens_in" not in line
    assert line["bytes_out"] == 0


@pytest.mark.parametrize(
    ("change", "level"),
    [
        ({}, "info"),
        ({"status": 404, "tier": "none", "strategy": None}, "info"),
        ({"status": 499}, "info"),
        ({"status": 502, "error": "upstream_failed"}, "warning"),
        ({"broken": True}, "warning"),
        ({"strategy": None, "path": "/metrics", "tier": "none"}, "debug"),
    ],
)
def test_how_loud_a_request_is(change: dict[str, Any], level: str) -> None:
    fields = {name: getattr(FINISHED, name) for name in FINISHED.__struct_fields__}
    (line,) = told(Finished(**{**fields, **change}))
    assert line["level"] == level


EVENTS: list[tuple[Event, list[tuple[str, str, str]]]] = [
    (Routed("1", "fast", "rule", "casual_chat", 1 / 3), [("octoroute.routing", "debug", "routed")]),
    (
        RouterAsked("fast", "a", cause=None, detail="", seconds=1 / 3, tokens_in=9, tokens_out=2),
        [("octoroute.routing", "debug", "router model decided")],
    ),
    (
        RouterAsked("fast", "a", cause="timeout", detail="", seconds=1 / 3, tokens_in=0, tokens_out=0),
        [("octoroute.routing", "warning", "router model decided nothing")],
    ),
    (Attempted("1", "fast", "a", None, "", 1 / 3), [("octoroute.relay", "debug", "attempted")]),
    (Attempted("1", "fast", "a", "reset", "gone", 1 / 3), [("octoroute.relay", "warning", "attempt failed")]),
    (FailedOver("1", "fast", "reset"), []),
    (Committed("1", "fast", "a", stream=True, seconds=1 / 3, overhead=1 / 3), []),
    (
        HealthChanged("fast", "a", old="unhealthy", new="healthy", detail=""),
        [("octoroute.health", "info", "endpoint healthy")],
    ),
    (
        HealthChanged("fast", "a", old="healthy", new="misconfigured", detail="it answered 401"),
        [("octoroute.health", "warning", "endpoint misconfigured")],
    ),
    (ProbeFailed("fast", "a", "connect", "refused"), [("octoroute.health", "debug", "probe failed")]),
    (MonitorFailed("ValueError('x')", 2), [("octoroute.health", "error", "health monitor crashed")]),
]


@pytest.mark.parametrize(("event", "expected"), EVENTS)
def test_how_each_event_is_told(event: Event, expected: list[tuple[str, str, str]]) -> None:
    assert [(line["module"], line["level"], line["event"]) for line in told(event)] == expected


def test_numbers_are_round() -> None:
    for event in (FINISHED, *(event for event, _ in EVENTS)):
        for line in told(event):
            for value in line.values():
                assert not isinstance(value, float) or value == round(value, 6), line


def test_no_event_brings_a_traceback() -> None:
    for event in (FINISHED, *(event for event, _ in EVENTS)):
        for line in told(event):
            assert not {"exception", "exc_info", "stack"} & set(line)


def test_what_a_level_drops_is_not_told() -> None:
    for event, expected in EVENTS:
        assert len(told(event, "info")) == len([level for _, level, _ in expected if level != "debug"])

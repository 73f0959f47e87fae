"""The log: structured lines on stderr, for a person (console) or a machine (JSON), with per-module levels.

Prompts and secrets never come here: events carry lengths, names and states, not contents.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import Any, Literal, TextIO, cast

import msgspec
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

from octoroute.telemetry import events

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
DEFAULT_LEVEL = "info"


def levels_of(filter_: str) -> dict[str, int]:
    """Levels by module, the general one under "", of a valid filter (`config.validate.log_level`)."""
    levels = {"": LEVELS[DEFAULT_LEVEL]}
    for item in filter_.split(","):
        module, _, level = item.rpartition("=")
        levels[module] = LEVELS[level]
    return levels


class _Levels:
    """Which lines pass; shared by all loggers, so that a reload can change it."""

    def __init__(self) -> None:
        self.by_module = {"": LEVELS[DEFAULT_LEVEL]}
        self._known: dict[str, int] = {}

    def replace(self, by_module: dict[str, int]) -> None:
        self.by_module = by_module
        self._known.clear()

    def of(self, module: str) -> int:
        """The level of the longest prefix of `module` that has one."""
        level = self._known.get(module)
        if level is None:
            parts = module.split(".")
            names = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
            level = next(
                (self.by_module[name] for name in names if name in self.by_module), self.by_module[""]
            )
            self._known[module] = level
        return level

    def __call__(self, _logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        if LEVELS.get(method, logging.ERROR) < self.of(event.get("module", "")):
            raise structlog.DropEvent
        return event


_levels = _Levels()


def configure(
    filter_: str, log_format: Literal["auto", "console", "json"], stream: TextIO | None = None
) -> None:
    """Set the process's log up: which lines, in which form. May be called again (a reload does)."""
    stream = sys.stderr if stream is None else stream
    _levels.replace(levels_of(filter_))
    console = log_format == "console" or (log_format == "auto" and stream.isatty())
    renderers: list[Any]
    if console:
        # Its default shows local variables, prompts and keys among them, where `rich` happens to be installed.
        plain = structlog.dev.plain_traceback
        renderers = [structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=plain)]
    else:
        renderers = [structlog.processors.format_exc_info, _render_json]
    structlog.configure(
        processors=[
            _levels,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *renderers,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _Unfailing(stream))),
        cache_logger_on_first_use=False,
    )
    # Libraries speak through the standard library's logging; only their trouble is ours to tell.
    logging.basicConfig(level=logging.WARNING, handlers=[_FromStandardLibrary()], force=True)


class _Unfailing:
    """A stream whose end, or a full disk behind it, is no failure of what is told there."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


class _FromStandardLibrary(logging.Handler):
    """Passes what libraries log on to our own log."""

    def emit(self, record: logging.LogRecord) -> None:
        method = "error" if record.levelno >= logging.ERROR else "warning"
        getattr(get_logger(record.name), method)(record.getMessage(), exc_info=record.exc_info or None)


def _render_json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    line = {
        "timestamp": event.pop("timestamp"),
        "level": event.pop("level"),
        "event": event.pop("event"),
        **event,
    }
    try:
        return msgspec.json.encode(line, enc_hook=repr).decode()
    except (ValueError, TypeError, RecursionError):
        # Half an emoji, a key that is no text: told as Python writes it.
        written = {key: value if isinstance(value, str) else repr(value) for key, value in line.items()}
        safe = {key: value.encode("utf-8", "backslashreplace").decode() for key, value in written.items()}
        return msgspec.json.encode(safe).decode()


def get_logger(module: str) -> FilteringBoundLogger:
    """The logger of one module; its name decides which level applies."""
    logger: FilteringBoundLogger = structlog.get_logger(module=module)
    return logger


_exchanges = get_logger("octoroute.exchange")
_attempts = get_logger("octoroute.relay")
_health = get_logger("octoroute.health")
_routing = get_logger("octoroute.routing")


def _fields(event: events.Event) -> dict[str, Any]:
    """What an event tells, its numbers as round as a reader wants them."""
    return {
        key: round(value, 6) if isinstance(value, float) else value
        for key, value in msgspec.structs.asdict(event).items()
    }


def on_event(event: events.Event) -> None:
    """Tell one event: a line for each exchange, failed attempt and change of health; the rest under debug."""
    match event:
        case events.Finished():
            fields = {
                key: value
                for key, value in _fields(event).items()
                if value not in (None, "") and value is not False
            }
            if event.status >= 500 or event.broken:
                _exchanges.warning("request", **fields)
            elif event.strategy is None and event.status < 400:
                _exchanges.debug("request", **fields)  # probes and scrapes of ours, all day long
            else:
                _exchanges.info("request", **fields)
        # These two come on every request: what a level drops must cost nothing.
        case events.Attempted(cause=None):
            if _levels.of("octoroute.relay") <= logging.DEBUG:
                _attempts.debug("attempted", **_fields(event))
        case events.Routed():
            if _levels.of("octoroute.routing") <= logging.DEBUG:
                _routing.debug("routed", **_fields(event))
        case events.RouterAsked(cause=None):
            _routing.debug("router model decided", **_fields(event))
        case events.RouterAsked():
            _routing.warning("router model decided nothing", **_fields(event))
        case events.Attempted(cause="rejected"):  # the client's own mistake
            _attempts.info("request rejected", **_fields(event))
        case events.Attempted():
            _attempts.warning("attempt failed", **_fields(event))
        case events.HealthChanged():
            write = _health.info if event.new == "healthy" else _health.warning
            write("endpoint " + event.new, **_fields(event))
        case events.ProbeFailed():
            _health.debug("probe failed", **_fields(event))
        case events.WakeOnLan():
            write = _health.warning if event.step == "did not wake" else _health.info
            write(
                f"endpoint {event.step}",
                tier=event.tier,
                endpoint=event.endpoint,
                seconds=round(event.seconds, 1),
            )
        case events.MonitorFailed():
            _health.error("health monitor crashed", error=event.error, restart_in=event.restart_in)
        case events.FailedOver() | events.Committed():
            pass  # told by the attempts and by the request's own line

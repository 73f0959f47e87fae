"""`octoroute`: start the server."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
import trio

from octoroute import daemon
from octoroute.admin import own_directory
from octoroute.cli.options import DEFAULT_FILE, EXIT_FAILED, EXIT_INVALID, fail, load_or_exit
from octoroute.config.load import load
from octoroute.config.model import Config, Observability
from octoroute.config.validate import log_level, warnings
from octoroute.errors import StartError
from octoroute.telemetry import logs

log = logs.get_logger("octoroute.daemon")


def start(path: Path | None) -> None:
    """Run the daemon until it is stopped; exit code 0, or 1 after a failure, 2 with a bad configuration."""
    config = load_or_exit(path)
    configure_logs(config.observability)
    for warning in warnings(config):
        log.warning(warning)

    def load_again() -> Config:
        again = load(path or DEFAULT_FILE, environ=os.environ)
        configure_logs(again.observability)
        for warning in warnings(again):
            log.warning(warning)
        return again

    serve(config, load_again)


def configure_logs(settings: Observability) -> None:
    """Set the log up as configured; `$OCTOROUTE_LOG` wins."""
    given = os.environ.get("OCTOROUTE_LOG")
    try:
        levels = log_level(given) if given else settings.log_level
    except ValueError as error:
        fail(f"$OCTOROUTE_LOG is {given!r}: {error}.", EXIT_INVALID)
    logs.configure(levels, settings.log_format)


def serve(config: Config, load_again: Callable[[], Config]) -> None:
    """Run the daemon with a configuration; what stops it from starting is one paragraph on stderr."""
    try:
        announce = partial(click.echo, err=True)
        directory = own_directory(os.environ)
        trio.run(partial(daemon.run, config, announce, load=load_again, admin_directory=directory))
    except StartError as error:
        fail(str(error), EXIT_FAILED)
    except KeyboardInterrupt:
        fail("Interrupted before the start.", EXIT_FAILED)
    except Exception as error:  # a defect of our own: the log gets its traceback, the user one line
        log.error("the daemon crashed", exc_info=error)
        fail("Octoroute crashed; the log above has the details.", EXIT_FAILED)

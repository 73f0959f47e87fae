"""What several commands share: which configuration file, and how its problems are told."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click
from click.core import ParameterSource

from octoroute import admin
from octoroute.config.load import load
from octoroute.config.model import Config
from octoroute.errors import AdminError, ConfigError

DEFAULT_FILE = Path("config.toml")
EXIT_FAILED = 1
EXIT_INVALID = 2
ANSWER_SECONDS = 60.0
"""A running daemon's answer takes this long at most: a reload probes every endpoint first."""


def config_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The `--config` option; a command's own wins over the one before its name, and either over the environment."""
    return click.option(
        "--config",
        "-c",
        type=click.Path(path_type=Path),
        envvar="OCTOROUTE_CONFIG",
        callback=_before_environment,
        metavar="PATH",
        help="Configuration file (default: ./config.toml, or $OCTOROUTE_CONFIG).",
    )(command)


def _before_environment(context: click.Context, _: click.Parameter, path: Path | None) -> Path | None:
    """What the command found in the environment only, the group had to choose from already."""
    if context.obj is not None and context.get_parameter_source("config") is ParameterSource.ENVIRONMENT:
        return Path(context.obj)
    return path


def load_or_exit(path: Path | None) -> Config:
    """The configuration; where it can't be used, every problem on stderr and exit code 2."""
    try:
        return load(path or DEFAULT_FILE, environ=os.environ)
    except ConfigError as error:
        fail(str(error), EXIT_INVALID)


def socket_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The `--socket` option of the commands that speak with a running daemon."""
    return click.option(
        "--socket",
        type=click.Path(path_type=Path),
        envvar="OCTOROUTE_SOCKET",
        metavar="PATH",
        help="The daemon's admin socket, where several run (also $OCTOROUTE_SOCKET).",
    )(command)


def ask_daemon(path: Path | None, command: admin.Command) -> admin.Answer:
    """What the running daemon answers; where there is none, or it refuses, one message on stderr and exit code 1."""
    try:
        answer = admin.ask(path or admin.find_socket(os.environ), command, timeout_seconds=ANSWER_SECONDS)
    except AdminError as error:
        fail(str(error), EXIT_FAILED)
    if isinstance(answer, admin.Refused):
        fail("\n".join(answer.problems), EXIT_FAILED)
    return answer


def fail(message: str, exit_code: int) -> NoReturn:
    """Say on stderr what went wrong, and exit."""
    click.echo(message, err=True)
    raise SystemExit(exit_code)

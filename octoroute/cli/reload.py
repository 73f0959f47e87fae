"""`octoroute reload`: the running daemon reads its configuration again."""

from __future__ import annotations

from pathlib import Path

import click

from octoroute.admin import Reload, Reloaded
from octoroute.cli.options import ask_daemon, socket_option


@click.command("reload")
@socket_option
def reload_command(socket: Path | None) -> None:
    """Have the running daemon read its configuration file again.

    Returns once the new configuration is in effect. An invalid one changes nothing: every problem is told, and
    the exit code is 1.
    """
    answer = ask_daemon(socket, Reload())
    assert isinstance(answer, Reloaded)
    click.echo("Reloaded." if answer.changes else "Reloaded; nothing has changed.")
    for change in answer.changes:
        click.echo(f"  {change}")
    for key in answer.needs_restart:
        click.echo(f"Note: {key} has changed, but only a restart applies it.")

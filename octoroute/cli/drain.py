"""`octoroute drain NAME` and `octoroute enable NAME`: take an endpoint out of service, and put it back."""

from __future__ import annotations

from pathlib import Path

import click

from octoroute.admin import Changed, Drain, Enable
from octoroute.cli.options import ask_daemon, socket_option


@click.command("drain")
@click.argument("name")
@socket_option
def drain_command(name: str, socket: Path | None) -> None:
    """Send no new requests to the endpoint NAME of the running daemon.

    NAME is its id, or a name that several endpoints share. Running requests go on; `octoroute status` tells when
    the last has ended. It stays so until `octoroute enable NAME`, or until the daemon is restarted.
    """
    answer = ask_daemon(socket, Drain(name))
    assert isinstance(answer, Changed)
    for endpoint in answer.endpoints:
        click.echo(f"{endpoint.id} gets no new requests; {endpoint.in_flight} still run.")


@click.command("enable")
@click.argument("name")
@socket_option
def enable_command(name: str, socket: Path | None) -> None:
    """Send requests to the endpoint NAME again, after `octoroute drain`."""
    answer = ask_daemon(socket, Enable(name))
    assert isinstance(answer, Changed)
    for endpoint in answer.endpoints:
        click.echo(f"{endpoint.id} gets requests again; it is {endpoint.state}.")

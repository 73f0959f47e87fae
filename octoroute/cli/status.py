"""`octoroute status`: what the running daemon does."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from octoroute.admin import ReportStatus, Status
from octoroute.cli.options import ask_daemon, socket_option
from octoroute.fleet.endpoint import EndpointReport


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="For a program: one JSON object.")
@socket_option
def status_command(*, as_json: bool, socket: Path | None) -> None:
    """Tell how the running daemon is, and each of its endpoints.

    Exit code 0 where a daemon runs, 1 where none does.
    """
    status = ask_daemon(socket, ReportStatus())
    assert isinstance(status, Status)
    if as_json:
        click.echo(msgspec.json.encode(status))
        return
    doing = "draining" if status.draining else "running"
    click.echo(
        f"Octoroute {status.version} is {doing}: {status.url}, pid {status.pid}, "
        f"for {_duration(status.uptime_seconds)}, strategy {status.strategy}."
    )
    click.echo(f"Requests: {status.running} running, {status.waiting} of them waiting for a place.")
    rows = [("TIER", "ENDPOINT", "STATE", "IN FLIGHT", "LAST CHECK"), *map(_row, status.endpoints)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def _row(endpoint: EndpointReport) -> tuple[str, ...]:
    state = ", ".join(
        [
            endpoint.state,
            *(["drained"] if endpoint.drained else []),
            *([f"{endpoint.consecutive_failures} failed"] if endpoint.consecutive_failures else []),
        ]
    )
    places = "" if endpoint.max_concurrent is None else f" of {endpoint.max_concurrent}"
    age = endpoint.last_check_seconds_ago
    checked = "never" if age is None else f"{_duration(age)} ago"
    return endpoint.tier, endpoint.id, state, f"{endpoint.in_flight}{places}", checked


def _duration(seconds: float) -> str:
    """The two largest units."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    parts = ((days, "d"), (hour, "h"), (minute, "min"), (second, "s"))
    told = [f"{number} {unit}" for number, unit in parts if number]
    return " ".join(told[:2]) or "0 s"

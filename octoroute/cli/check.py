"""`octoroute check`: is the configuration valid, and does every endpoint answer."""

from __future__ import annotations

from pathlib import Path

import click
import trio

from octoroute.cli.options import EXIT_FAILED, config_option, load_or_exit
from octoroute.config.model import TIERS, Config
from octoroute.config.validate import warnings
from octoroute.fleet.endpoint import Endpoint
from octoroute.fleet.fleet import Fleet
from octoroute.fleet.monitor import Monitor
from octoroute.fleet.probe import ProbeResult


@click.command("check")
@config_option
@click.pass_obj
def check_command(outer: Path | None, config: Path | None) -> None:
    """Validate the configuration and probe each endpoint.

    Exit code 0: all answer; 1: an endpoint does not; 2: the configuration is not valid.
    """
    settings = load_or_exit(config or outer)
    click.echo("The configuration is valid.")
    for warning in warnings(settings):
        click.echo(f"Note: {warning}")
    results = trio.run(_probe_all, settings)
    for line in (line for endpoint, result in results for line in _lines(endpoint, result)):
        click.echo(line)
    if any(result is not None and result.error_type is not None for _, result in results):
        raise SystemExit(EXIT_FAILED)


async def _probe_all(settings: Config) -> list[tuple[Endpoint, ProbeResult | None]]:
    fleet = Fleet(settings, publish=lambda _: None)
    try:
        results = await Monitor(lambda: fleet, lambda: settings.health, lambda _: None).sweep()
    finally:
        await fleet.aclose()
    return [(endpoint, results.get(endpoint.id)) for tier in TIERS for endpoint in fleet.tiers[tier]]


def _lines(endpoint: Endpoint, result: ProbeResult | None) -> list[str]:
    place = f"{endpoint.tier:<9} {endpoint.id}  {endpoint.settings.base_url}"
    if result is None:
        return [f"-  {place}  not probed (health_path is empty)"]
    if result.error_type is not None:
        return [f"✗  {place}  {result.detail}"]
    lines = [f"✓  {place}  answers"]
    if result.models and endpoint.model not in result.models:
        known = ", ".join(result.models[:5]) + (", …" if len(result.models) > 5 else "")
        lines.append(f"   Note: it does not list the model {endpoint.model}; it lists {known}")
    return lines

"""The command line: one file for each command; the only place that prints."""

from __future__ import annotations

import platform
from importlib import resources
from pathlib import Path

import click

from octoroute import __version__
from octoroute.cli.check import check_command
from octoroute.cli.config import config_command
from octoroute.cli.demo import demo_command
from octoroute.cli.drain import drain_command, enable_command
from octoroute.cli.evaluate import eval_command
from octoroute.cli.options import config_option
from octoroute.cli.reload import reload_command
from octoroute.cli.route import route_command
from octoroute.cli.self_test import self_test_option
from octoroute.cli.serve import start
from octoroute.cli.status import status_command


def about() -> str:
    """What runs, and on what; with the commit where it is known, which is in a binary."""
    parts = [f"Python {platform.python_version()}", f"{platform.system()} {platform.machine()}"]
    commit = resources.files("octoroute").joinpath("commit")  # octoroute.spec puts it there
    if commit.is_file():
        parts.insert(0, f"commit {commit.read_text(encoding='ascii').strip()}")
    return ", ".join(parts)


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@config_option
@click.version_option(__version__, message=f"%(prog)s %(version)s ({about()})")
@click.option(
    "--self-test",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=self_test_option,
    help="Check that this program works on this machine, with simulated model servers, and exit.",
)
@click.pass_context
def main(context: click.Context, config: Path | None) -> None:
    """Route each chat request to the smallest of your models that is good enough.

    Without a command, the server starts with ./config.toml, or with the file that --config or
    $OCTOROUTE_CONFIG names.
    """
    context.obj = config
    if context.invoked_subcommand is None:
        start(config)


main.add_command(check_command)
main.add_command(config_command)
main.add_command(demo_command)
main.add_command(drain_command)
main.add_command(enable_command)
main.add_command(eval_command)
main.add_command(reload_command)
main.add_command(route_command)
main.add_command(status_command)

"""`octoroute config`: the commented configuration template, printed or written to a file."""

from __future__ import annotations

import os
import tempfile
from importlib import resources
from pathlib import Path

import click


def template() -> str:
    """The template: a valid configuration in which every option occurs."""
    return resources.files("octoroute.config").joinpath("example.toml").read_text(encoding="utf-8")


class _UsageError(click.ClickException):
    exit_code = 2


@click.command("config")
@click.option(
    "-o",
    "--output",
    type=click.Path(allow_dash=True),
    metavar="PATH",
    default="-",
    help="Write the template to this file instead of printing it.",
)
@click.option("--force", is_flag=True, help="Overwrite the file if it exists.")
def config_command(output: str, *, force: bool) -> None:
    """Print the configuration template, in which every option is explained."""
    if output == "-":
        click.echo(template(), nl=False)
        return
    path = Path(output)
    try:
        write_new(path, template(), overwrite=force)
    except FileExistsError:
        hint = "is left as it is; --force overwrites it" if path.is_file() else "is not a file"
        raise _UsageError(f"{path} exists and {hint}.") from None
    except FileNotFoundError:
        raise _UsageError(f"{path} can't be written: there is no folder {path.parent}.") from None
    except OSError as error:
        raise _UsageError(f"{path} can't be written: {error.strerror}.") from None
    click.echo(
        f"Wrote {path}, readable by you alone, as it may come to hold keys.\n"
        f"Next: put your model servers in it, then run `octoroute check --config {path}`.",
        err=True,
    )


def write_new(path: Path, text: str, *, overwrite: bool) -> None:
    """Write a file of mode 0600, whole or not at all; what a link points to, not the link.

    Raises FileExistsError for a file that exists, unless `overwrite`, and always for what is no regular file; other
    OSErrors as they come.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not (overwrite and path.is_file()):
        raise FileExistsError
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # its mode is 0600
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        if not overwrite:
            path.touch(exist_ok=False)  # the file may have appeared since; from here on the name is ours
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)

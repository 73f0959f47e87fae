"""Write the man page: `octoroute.1.in` with the options and commands of the program itself, on stdout.

Its date is that of $SOURCE_DATE_EPOCH where that is set, so that a build can be repeated.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
import textwrap
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click

from octoroute import __version__
from octoroute.cli import main

TEMPLATE = Path(__file__).with_name("octoroute.1.in")


def page(date: str) -> str:
    """The page, in man(7) macros; `date` as YYYY-MM-DD."""
    program = main.make_context("octoroute", [], resilient_parsing=True)
    commands = [
        command.make_context(name, [], parent=program, resilient_parsing=True)
        for name, command in sorted(main.commands.items())
    ]
    parts = {
        "date": date,
        "version": __version__,
        "synopsis": "\n.br\n".join(map(_usage, (program, *commands))),
        "options": "\n".join(_options(program)),
        "commands": "\n".join(line for context in commands for line in _command(context)),
    }
    return re.sub(r"@(\w+)@", lambda found: parts[found[1]], TEMPLATE.read_text(encoding="utf-8"))


def _usage(context: click.Context) -> str:
    """`octoroute route [OPTIONS] PROMPT`: what is typed in bold, what is replaced in italics."""
    operands = [param for param in context.command.params if isinstance(param, click.Argument)]
    names = [_italic(param.make_metavar(context)) for param in operands]
    return " ".join([_bold(context.command_path), f"[{_italic('OPTIONS')}]", *names])


def _command(context: click.Context) -> Iterator[str]:
    yield f".SS {_usage(context)}"
    yield from _paragraphs(context.command.help or "")
    yield from _options(context)


def _paragraphs(text: str) -> Iterator[str]:
    """A docstring as click reads it: paragraphs, and after a line with a backspace one whose lines are kept."""
    for number, paragraph in enumerate(inspect.cleandoc(text).split("\n\n")):
        if number:
            yield ".PP"
        if paragraph.startswith("\b\n"):
            yield from (".nf", *map(_escaped, paragraph.splitlines()[1:]), ".fi")
        else:
            yield from _prose(paragraph)


def _options(context: click.Context) -> Iterator[str]:
    """Each option in a paragraph of its own; `--help`, which every command has, only for the program."""
    command = context.command
    for option in command.params if context.parent else command.get_params(context):
        record = option.get_help_record(context)
        if isinstance(option, click.Option) and record is not None:
            names, text = record
            yield ".TP"
            yield " ".join(_bold(word) if word.startswith("-") else _italic(word) for word in names.split())
            yield from _prose(text)


def _prose(text: str) -> Iterator[str]:
    """Running text, what is in backquotes in bold."""
    marked = re.sub("`([^`]+)`", r"\\fB\1\\fR", _escaped(text))
    for line in textwrap.wrap(marked, 79, break_long_words=False, break_on_hyphens=False):
        yield rf"\&{line}" if line.startswith((".", "'")) else line  # no request to roff


def _bold(text: str) -> str:
    return rf"\fB{_escaped(text)}\fR"


def _italic(text: str) -> str:
    choices = _escaped(text).replace("|", r"|\:")  # may be broken there: [low|normal|high]
    return rf"\fI{choices}\fR"


def _escaped(text: str) -> str:
    """What roff would take for its own, as it is; a hyphen as the minus sign that can be copied and typed."""
    return text.replace("\\", r"\e").replace("-", r"\-")


if __name__ == "__main__":
    seconds = int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))
    sys.stdout.write(page(datetime.fromtimestamp(seconds, UTC).date().isoformat()))

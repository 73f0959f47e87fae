"""What `packaging/` makes of the command line: the man page tells all of it, the shells complete it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from octoroute import __version__
from octoroute.cli import main

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def page() -> str:
    return made("manpage.py", epoch="0")


def made(script: str, *arguments: str, epoch: str | None = None) -> str:
    """What a script of `packaging/` prints. Not imported: a library that pytest uses is called `packaging`, too."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OCTOROUTE_")}
    environment["PYTHONPATH"] = str(ROOT)
    if epoch is not None:
        environment["SOURCE_DATE_EPOCH"] = epoch
    return subprocess.run(
        [sys.executable, ROOT / "packaging" / script, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout


def section(page: str, heading: str) -> str:
    found = re.search(rf"^\.SH {heading}\n(.*?)(?=^\.SH |\Z)", page, re.DOTALL | re.MULTILINE)
    assert found is not None, heading
    return found[1]


def names(command: click.Command) -> set[str]:
    """The options of a command, as roff writes them."""
    options = [param for param in command.params if isinstance(param, click.Option)]
    return {name.replace("-", r"\-") for option in options for name in option.opts}


def test_the_head_of_the_man_page(page: str) -> None:
    assert f'.TH OCTOROUTE 1 "1970-01-01" "octoroute {__version__}"' in page
    assert "@" not in page


def test_the_man_page_has_the_options_of_the_program(page: str) -> None:
    told = section(page, "OPTIONS")
    assert [name for name in names(main) | {r"\-\-help"} if rf"\fB{name}" not in told] == []


@pytest.mark.parametrize("name", sorted(main.commands))
def test_the_man_page_has_every_command_with_its_options_and_arguments(page: str, name: str) -> None:
    command = main.commands[name]
    start = rf"\fBoctoroute {name}\fR"
    assert start in section(page, "SYNOPSIS")
    (told,) = re.findall(
        rf"^\.SS {re.escape(start)}(.*?)(?=^\.SS |\Z)", section(page, "COMMANDS"), re.DOTALL | re.MULTILINE
    )
    arguments = [param for param in command.params if isinstance(param, click.Argument)]
    wanted = [rf"\fB{option}" for option in names(command)]
    wanted += [rf"\fI{argument.human_readable_name}\fR" for argument in arguments]
    assert [text for text in wanted if text not in told] == []


def test_the_man_page_has_every_environment_variable_of_the_program(page: str) -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "octoroute").rglob("*.py"))
    read = set(re.findall(r'"(OCTOROUTE_[A-Z_]+|[A-Z]+_DIRECTORY|XDG_[A-Z_]+|NOTIFY_SOCKET)"', sources))
    assert len(read) > 4
    told = section(page, "ENVIRONMENT")
    assert [name for name in read if f".B {name}\n" not in told] == []


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="mandoc is not installed")
def test_the_man_page_is_well_formed(page: str) -> None:
    linted = subprocess.run(
        ["mandoc", "-Tlint"], input=page, capture_output=True, text=True, timeout=60, check=False
    )
    assert (linted.returncode, linted.stdout) == (0, "")


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("share")
    made("completions.py", str(folder))
    return folder


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["ro"], ["route"]),
        (["route", "--imp"], ["--importance"]),
        (["route", "--importance", ""], ["low", "normal", "high"]),
    ],
)
def test_bash_completes(share: Path, words: list[str], expected: list[str]) -> None:
    program = Path(sys.executable).with_name("octoroute")
    script = """
    complete() { :; }  # where bash has no programmable completion
    source "$1"; shift
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
    _octoroute_completion "$1"
    printf '%s\\n' "${COMPREPLY[@]}"
    """
    source = share / "bash-completion" / "completions" / "octoroute"
    done = subprocess.run(
        ["bash", "-c", script, "bash", source, program, *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout.split(), done.stderr) == (expected, "")


def test_the_other_shells_have_their_completions(share: Path) -> None:
    assert (share / "zsh/site-functions/_octoroute").read_text().startswith("#compdef octoroute\n")
    fish = (share / "fish/vendor_completions.d/octoroute.fish").read_text()
    assert "--command octoroute" in fish

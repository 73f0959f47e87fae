"""`octoroute config` prints the template, writes it, and never takes a file away."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from octoroute.cli import config as command
from octoroute.config.load import load


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(command.config_command, [str(argument) for argument in arguments])


@pytest.mark.parametrize("arguments", [[], ["-o", "-"], ["--output", "-", "--force"]])
def test_the_template_goes_to_stdout(arguments: list[str]) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout, result.stderr) == (0, command.template(), "")


def test_a_file_is_written_that_loads_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    result = run("-o", path)
    assert (result.exit_code, result.stdout) == (0, "")
    assert f"Wrote {path}" in result.stderr
    assert f"octoroute check --config {path}" in result.stderr
    assert path.read_text(encoding="utf-8") == command.template()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    load(path, environ={})
    assert [*tmp_path.iterdir()] == [path]


def test_a_file_that_exists_stays(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("mine")
    result = run("-o", path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"Error: {path} exists and is left as it is; --force overwrites it.\n"
    assert path.read_text() == "mine"
    assert [*tmp_path.iterdir()] == [path]


def test_a_file_that_exists_is_overwritten_by_force(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("mine")
    path.chmod(0o644)
    assert run("-o", path, "--force").exit_code == 0
    assert path.read_text(encoding="utf-8") == command.template()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "config.toml"
    link.symlink_to(target)
    assert run("-o", link).exit_code == 0
    assert run("-o", link).exit_code == 2
    assert run("-o", link, "--force").exit_code == 0
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8") == command.template()


@pytest.mark.parametrize("force", [[], ["--force"]])
@pytest.mark.parametrize("make", ["folder", "pipe"])
def test_what_is_no_file_is_left_alone(tmp_path: Path, make: str, force: list[str]) -> None:
    path = tmp_path / "config.toml"
    if make == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    result = run("-o", path, *force)
    assert (result.exit_code, result.stderr) == (2, f"Error: {path} exists and is not a file.\n")
    assert not path.is_file()


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "no" / "config.toml"
    result = run("-o", path)
    assert (result.exit_code, result.stderr) == (
        2,
        f"Error: {path} can't be written: there is no folder {path.parent}.\n",
    )


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = run("-o", tmp_path / "file" / "config.toml")
    assert result.exit_code == 2
    assert "can't be written: Not a directory" in result.stderr


def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    result = run("-o", tmp_path / "config.toml")
    assert result.exit_code == 2
    assert "can't be written: No space left on device" in result.stderr
    assert [*tmp_path.iterdir()] == []


def test_a_file_that_appears_in_between_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config.toml"
    monkeypatch.setattr(os, "fsync", lambda _: path.write_text("another's"))
    assert run("-o", path).exit_code == 2
    assert path.read_text() == "another's"
    assert [*tmp_path.iterdir()] == [path]

"""Which configuration file is read, and how its problems are told."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from octoroute.cli import main
from octoroute.cli.options import EXIT_FAILED, EXIT_INVALID, config_option, fail, load_or_exit

VALID = '[[models.fast]]\nname = "{name}"\nbase_url = "http://{name}.invalid/v1"\nhealth_path = ""\n'


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OCTOROUTE_CONFIG", raising=False)
    for name in ("one", "two", "config"):
        Path(f"{name}.toml").write_text(VALID.format(name=f"model-{name}"), encoding="utf-8")


def check(*arguments: str, env: str | None = None) -> str:
    """The endpoint in the file that `octoroute … check …` reads; with no probes it asks nobody."""
    result = CliRunner().invoke(main, [*arguments], env={"OCTOROUTE_CONFIG": env} if env else None)
    assert result.exit_code == 0, result.output
    return next(word for word in result.stdout.split() if word.startswith("model-"))


@pytest.mark.parametrize(
    ("arguments", "env", "read"),
    [
        (["check"], None, "model-config"),
        (["check", "--config", "one.toml"], None, "model-one"),
        (["check", "-c", "one.toml"], None, "model-one"),
        (["--config", "one.toml", "check"], None, "model-one"),
        (["--config", "one.toml", "check", "--config", "two.toml"], None, "model-two"),
        (["check"], "two.toml", "model-two"),
        (["check", "--config", "one.toml"], "two.toml", "model-one"),
        (["--config", "one.toml", "check"], "two.toml", "model-one"),
    ],
)
def test_which_file_is_read(arguments: list[str], env: str | None, read: str) -> None:
    """What is said on the command line comes before the environment, wherever on it it stands."""
    assert check(*arguments, env=env) == read


def test_a_missing_file_is_told_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        load_or_exit(Path("nothing.toml"))
    assert caught.value.code == EXIT_INVALID
    out, err = capsys.readouterr()
    assert out == ""
    assert "nothing.toml" in err
    assert "Traceback" not in err


def test_every_problem_is_a_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.toml").write_text(
        VALID.format(name="x") + 'wieght = 1\n[server]\nport = "http"\n', encoding="utf-8"
    )
    with pytest.raises(SystemExit) as caught:
        load_or_exit(Path("bad.toml"))
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "wieght" in err
    assert "port" in err
    assert len(err.splitlines()) >= 2


def test_the_default_is_the_file_beside_us() -> None:
    assert load_or_exit(None).models["fast"][0].name == "model-config"


def test_failing_is_a_message_and_a_code(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        fail("It went wrong.", EXIT_FAILED)
    assert caught.value.code == 1
    assert capsys.readouterr() == ("", "It went wrong.\n")


def test_the_option_says_where_it_looks() -> None:
    @click.command()
    @config_option
    def command(config: Path | None) -> None:
        click.echo(config)

    assert "$OCTOROUTE_CONFIG" in CliRunner().invoke(command, ["--help"]).output
    assert CliRunner().invoke(command, ["--config", "a.toml"]).output == "a.toml\n"

"""`octoroute eval` as a user runs it: offline with the rules, against a fleet, interrupted."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
import trio
from click.testing import CliRunner, Result

from octoroute.cli import main
from octoroute.evaluation import intervals
from octoroute.evaluation.intervals import poisson_weights
from tests.fakes.model_server import Exchange, FakeModelServer, Hang, Ok
from tests.process import octoroute

ROWS: list[dict[str, object]] = [
    {"prompt": "Hello!", "scores": {"fast": 1, "balanced": 1, "deep": 1}, "tier": "fast"},
    {"prompt": "Prove that 2 is prime.", "scores": {"fast": 0, "balanced": 0, "deep": 1}, "tier": "deep"},
    {"prompt": "xyzzy", "scores": {"fast": 0, "balanced": 1, "deep": 1}, "tier": "fast"},
]
CONFIG = '[[models.balanced]]\nname = "router"\nbase_url = "{url}"\n[routing]\nstrategy = "llm"\n'


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OCTOROUTE_CONFIG", raising=False)
    write("data.jsonl", ROWS)


def write(name: str, rows: list[dict[str, object]]) -> None:
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def configure(fake: FakeModelServer) -> None:
    Path("config.toml").write_text(CONFIG.format(url=fake.base_url), encoding="utf-8")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["eval", *arguments])


def test_the_table_needs_no_configuration() -> None:
    result = run("data.jsonl", "--resamples", "50")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    assert result.stdout.startswith("data.jsonl: 3 rows, strategy rule; in brackets 95 % intervals of 50")
    for expected in ("random, same mix", "APGR", "CPT(80 %)", "expected \\ chosen", "decision latency"):
        assert expected in result.stdout


def test_json_and_html() -> None:
    result = run("data.jsonl", "--json", "--html", "page.html", "--resamples", "0")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["labels"]["confusion"]["fast"]["balanced"] == 1
    assert Path("page.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    result = run("data.jsonl", "--html", "absent/page.html", "--resamples", "0")
    assert result.exit_code == 1
    assert "Can't write absent/page.html" in result.stderr


def test_interrupted_in_the_bootstrap_it_reports_without_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = 0

    def interrupted(size: int, random: Random) -> bytes:
        nonlocal drawn
        drawn += 1
        if drawn == 3:
            raise KeyboardInterrupt
        return poisson_weights(size, random)

    monkeypatch.setattr(intervals, "poisson_weights", interrupted)
    result = run("data.jsonl", "--resamples", "50")
    assert result.exit_code == 0, result.output
    assert result.stderr == "Interrupted: the figures are without intervals.\n"
    assert result.stdout.startswith("data.jsonl: 3 rows, strategy rule")
    assert "APGR" in result.stdout


def test_the_configuration_counts() -> None:
    Path("config.toml").write_text(
        '[[models.fast]]\nname = "a"\nbase_url = "http://a.invalid/v1"\n[routing]\nstrategy = "rule"\ndefault_tier = "fast"\n',
        encoding="utf-8",
    )
    result = run("data.jsonl", "--json", "--resamples", "0")
    assert json.loads(result.stdout)["labels"]["confusion"]["fast"]["fast"] == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["absent.jsonl"], "absent.jsonl"),
        (["bad.jsonl"], "bad.jsonl:1: prompt: must be a string."),
        (["data.jsonl", "--strategy", "llm"], "there is no configuration"),
        (["data.jsonl", "--strategy", "magic"], "magic"),
        (["data.jsonl", "--resamples", "-1"], "resamples"),
        (["data.jsonl", "--config", "absent.toml"], "absent.toml"),
        ([], "DATA"),
    ],
)
def test_bad_usage(arguments: list[str], told: str) -> None:
    write("bad.jsonl", [{"prompt": 7, "tier": "fast"}])
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert told in result.stderr
    assert "Traceback" not in result.stderr


def test_the_other_commands_start_without_it() -> None:
    code = (
        "import sys, octoroute.cli; print([name for name in sys.modules if 'octoroute.evaluation' in name])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


async def test_the_fleet_is_asked_and_an_interruption_reports_what_there_is(tmp_path: Path) -> None:
    write("many.jsonl", [{"prompt": f"xyzzy {number}", "tier": "deep"} for number in range(100)])
    seven = trio.Event()

    async def seven_answers(exchange: Exchange) -> None:
        if len(fake.chats) <= 7:
            await Ok(["DEEP"])(exchange)
        else:
            seven.set()
            await Hang()(exchange)

    async with FakeModelServer("router") as fake:
        fake.behaviour = seven_answers
        configure(fake)
        arguments = ("eval", "many.jsonl", "--concurrency", "1", "--json", "--resamples", "10")
        async with octoroute(*arguments, cwd=tmp_path) as process:
            with trio.fail_after(20):
                await seven.wait()
            process.send(signal.SIGINT)
            assert await process.ended() == 0
    assert process.stderr == "Interrupted: 7 of 100 rows were decided.\n"
    answer = json.loads(process.stdout)
    assert (answer["decided"], answer["rows"], answer["stopped"]) == (7, 100, True)
    assert answer["labels"]["confusion"]["deep"]["deep"] == 7
    assert answer["reasons"] == {"llm": 7}


async def test_interrupted_before_anything(tmp_path: Path) -> None:
    async with FakeModelServer("router") as fake:
        fake.behaviour = Hang()
        configure(fake)
        async with octoroute("eval", "data.jsonl", cwd=tmp_path) as process:
            await fake.wait_for(1)
            process.send(signal.SIGINT)
            assert await process.ended() == 1
    assert process.stdout == ""
    assert process.stderr == "Interrupted before anything was decided.\n"

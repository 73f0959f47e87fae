"""The commands as a user runs them: what goes to stdout, what to stderr, and with which exit code they end."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
import trio

from octoroute import __version__
from tests.fakes.model_server import FakeModelServer, loading, model_list
from tests.process import config_text, octoroute, serving
from tests.serving import SECONDS, chat

ROOT = Path(__file__).parent.parent.parent


class Result:
    """How a command ended."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.code, self.stdout, self.stderr = done.returncode, done.stdout, done.stderr
        assert "Traceback" not in self.stderr, self.stderr


def run(cwd: Path, *arguments: str, stdin: str = "", env: Mapping[str, str] | None = None) -> Result:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OCTOROUTE_")}
    command = [sys.executable, "-m", "octoroute", *arguments]
    environment = {**kept, "PYTHONPATH": str(ROOT), **(env or {})}
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Result(done)


async def run_async(cwd: Path, *arguments: str) -> Result:
    """As `run`, while the fakes of the test go on."""
    return await trio.to_thread.run_sync(lambda: run(cwd, *arguments))


def test_version_and_help(tmp_path: Path) -> None:
    version = run(tmp_path, "--version")
    assert (version.code, version.stderr) == (0, "")
    assert re.search(rf"\b{re.escape(__version__)} \(Python 3\.", version.stdout)
    helped = run(tmp_path, "--help")
    assert (helped.code, helped.stderr) == (0, "")
    for command in ("check", "config", "demo", "eval", "route"):
        assert re.search(rf"^  {command} ", helped.stdout, re.MULTILINE)


@pytest.mark.parametrize("arguments", [["nonsense"], ["--nonsense"], ["route"], ["demo", "--port", "x"]])
def test_bad_usage(tmp_path: Path, arguments: list[str]) -> None:
    result = run(tmp_path, *arguments)
    assert (result.code, result.stdout) == (2, "")
    assert "Usage:" in result.stderr


# The server


async def test_the_server_starts_says_so_and_serves(tmp_path: Path) -> None:
    async with FakeModelServer("small") as fake, serving(tmp_path, fake) as daemon:
        for expected in (f"listens on {daemon.url}", "small", "answers", f"{daemon.url}/metrics"):
            assert expected in daemon.stderr
        async with httpx.AsyncClient(base_url=daemon.url, trust_env=False, timeout=SECONDS) as http:
            answer = await http.post("/v1/chat/completions", json=chat("auto", "Hi there!"))
        assert answer.status_code == 200
        assert answer.headers["x-octoroute-tier"] == "fast"
        daemon.send(signal.SIGTERM)
        assert await daemon.ended() == 0
        assert daemon.stdout == ""
        (told,) = (line for line in daemon.log if line["event"] == "request")
        assert told["status"] == 200
        assert "Hi there!" not in daemon.stderr


async def test_the_configuration_is_found_by_the_environment_and_the_option(tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    async with FakeModelServer() as fake:
        other.write_text(config_text(fake))
        for arguments, env in (
            (["--config", str(other)], {}),
            ([], {"OCTOROUTE_CONFIG": str(other)}),
            (["-c", str(other)], {"OCTOROUTE_CONFIG": str(tmp_path / "absent.toml")}),
        ):
            async with octoroute(*arguments, cwd=tmp_path, env=env) as daemon:
                await daemon.says("/metrics")
                daemon.send(signal.SIGTERM)
                assert await daemon.ended() == 0


def test_a_port_that_is_taken_is_one_paragraph(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        (tmp_path / "config.toml").write_text(
            f'[server]\nhost = "127.0.0.1"\nport = {port}\n[[models.fast]]\nname = "a"\nbase_url = "http://127.0.0.1:9/v1"\n'
        )
        served, demonstrated = run(tmp_path), run(tmp_path, "demo", "--port", str(port))
    assert (served.code, served.stdout) == (1, "")
    (line,) = (line for line in served.stderr.splitlines() if not line.startswith("{"))
    assert line.startswith(f"Can't listen on 127.0.0.1:{port}: another program uses that port")
    assert (demonstrated.code, demonstrated.stdout) == (1, "")
    assert f"Can't listen on 127.0.0.1:{port}" in demonstrated.stderr
    assert "octoroute demo --port" in demonstrated.stderr


BAD = """\
[server]
port = 99999
[[models.fast]]
name = "a"
base-url = "http://localhost/v1"
[auth]
api_keys = ["a-secret-key"]
api_kees = ["another-secret"]
"""


@pytest.mark.parametrize("command", [[], ["check"], ["route", "Hello"]])
def test_a_bad_configuration_is_told_whole(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "config.toml").write_text(BAD)
    result = run(tmp_path, *command)
    assert (result.code, result.stdout) == (2, "")
    for expected in ("port", "99999", "base-url", "did you mean `base_url`", "api_kees"):
        assert expected in result.stderr
    assert "secret" not in result.stderr
    assert len(result.stderr.splitlines()) >= 3


@pytest.mark.parametrize("command", [[], ["check"]])
def test_a_missing_configuration_says_how_to_make_one(tmp_path: Path, command: list[str]) -> None:
    result = run(tmp_path, *command)
    assert (result.code, result.stdout) == (2, "")
    assert "octoroute config -o config.toml" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_bad_log_level_in_the_environment(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[[models.fast]]\nname = "a"\nbase_url = "http://127.0.0.1:9/v1"\n')
    for arguments in ([], ["demo", "--port", "0"]):
        result = run(tmp_path, *arguments, env={"OCTOROUTE_LOG": "info,octoroute=nonsense"})
        assert (result.code, result.stdout) == (2, "")
        assert "$OCTOROUTE_LOG" in result.stderr
        assert "nonsense" in result.stderr


# check


async def test_check_says_what_answers(tmp_path: Path) -> None:
    async with FakeModelServer("up") as up, FakeModelServer("down") as down, FakeModelServer("late") as late:
        up.models = model_list("something-else")
        (tmp_path / "config.toml").write_text(config_text(up))
        result = await run_async(tmp_path, "check")
        assert (result.code, result.stderr) == (0, "")
        assert "The configuration is valid." in result.stdout
        assert re.search(r"✓ .*up.*answers", result.stdout)
        assert "something-else" in result.stdout  # it does not list the model: told, and no failure

        await down.stop()
        late.models = loading()
        models = "".join(
            f'[[models.deep]]\nname = "{fake.name}"\nbase_url = "{fake.base_url}"\n' for fake in (down, late)
        )
        (tmp_path / "two.toml").write_text(config_text(up) + models)
        result = await run_async(tmp_path, "check", "--config", "two.toml")
        assert (result.code, result.stderr) == (1, "")
        assert re.search(r"✓ .*up.*answers", result.stdout)
        assert re.search(r"✗ .*down.*refused", result.stdout)
        assert re.search(r"✗ .*late.*loading", result.stdout)
        assert "balanced" in result.stdout  # has no endpoint


# route


def test_route_explains_without_a_server_or_a_file(tmp_path: Path) -> None:
    result = run(tmp_path, "route", "Hi there!")
    assert (result.code, result.stderr) == (0, "")
    assert re.search(r"^tier +fast$", result.stdout, re.MULTILINE)
    assert re.search(r"^reason +casual_chat$", result.stdout, re.MULTILINE)
    assert re.search(r"^rule +1: ", result.stdout, re.MULTILINE)


def test_route_as_json(tmp_path: Path) -> None:
    result = run(
        tmp_path, "route", "-", "--importance", "HIGH", "--task-type", "code", "--json", stdin="Fix this"
    )
    assert (result.code, result.stderr) == (0, "")
    answer = json.loads(result.stdout)
    assert list(answer) == ["tier", "strategy", "reason", "rule", "facts"]
    assert (answer["tier"], answer["strategy"], answer["reason"]) == ("deep", "rule", "important")
    assert (answer["facts"]["importance"], answer["facts"]["task_type"]) == ("high", "code")


@pytest.mark.parametrize(
    ("strategy", "prompt", "expected"),
    [
        ("hybrid", "xyzzy", (None, "llm", "no_evidence", 5)),
        ("hybrid", "Hi there!", ("fast", "rule", "casual_chat", 1)),
        ("llm", "Hi there!", (None, "llm", None, None)),
        ("rule", "xyzzy", ("balanced", "rule", "no_evidence", 5)),
    ],
)
def test_route_says_where_a_model_would_decide(
    tmp_path: Path, strategy: str, prompt: str, expected: tuple[object, ...]
) -> None:
    endpoint = '[[models.fast]]\nname = "a"\nbase_url = "http://a.invalid/v1"\n'
    (tmp_path / "config.toml").write_text(f'{endpoint}[routing]\nstrategy = "{strategy}"\n')
    answer = json.loads(run(tmp_path, "route", prompt, "--json").stdout)
    assert tuple(answer[key] for key in ("tier", "strategy", "reason", "rule")) == expected
    text = run(tmp_path, "route", prompt).stdout
    asks = f"a model of tier balanced decides ([routing] strategy = {strategy})"
    assert f"tier             {asks if expected[0] is None else expected[0]}\n" in text


@pytest.mark.parametrize("option", [["--importance", "urgent"], ["--task-type", "poetry"]])
def test_route_with_a_value_that_is_none(tmp_path: Path, option: list[str]) -> None:
    result = run(tmp_path, "route", "Hello", *option)
    assert (result.code, result.stdout) == (2, "")
    assert option[1] in result.stderr


# demo


async def test_the_demo_routes_its_own_examples(tmp_path: Path) -> None:
    async with octoroute("demo", "--port", "0", cwd=tmp_path) as demo:
        await demo.says("/metrics\n")
        await demo.says(f"curl {demo.url}/metrics")
        assert demo.stderr.startswith("DEMO: the three model servers are simulated")
        shown = re.findall(r"# (\w+)\n +curl (\S+/chat) -d '(.*)'", demo.stderr)
        assert [tier for tier, _, _ in shown] == ["fast", "balanced", "deep"]
        async with httpx.AsyncClient(trust_env=False, timeout=SECONDS) as http:

            async def ask(tier: str, url: str, body: str) -> None:
                answer = await http.post(url, content=body.replace("'\"'\"'", "'"))
                assert answer.status_code == 200
                assert answer.json()["model_tier"] == tier
                assert "simulated" in answer.json()["content"]

            async with trio.open_nursery() as nursery:
                for example in shown:
                    nursery.start_soon(ask, *example)
        demo.send(signal.SIGINT)
        assert await demo.ended() == 0
        assert demo.stdout == ""
        assert "Traceback" not in demo.stderr

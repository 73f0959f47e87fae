"""The admin socket, and the commands that use it: reload, drain, enable, status."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio

from octoroute import admin
from octoroute.errors import AdminError
from tests.fakes.model_server import FakeModelServer, Ok, internal_error
from tests.process import DaemonProcess, config_text, octoroute
from tests.serving import chat, client, endpoint, running, until

CHAT = "/v1/chat/completions"


@asynccontextmanager
async def serving(tmp_path: Path, fake: FakeModelServer) -> AsyncGenerator[DaemonProcess]:
    """The daemon as a process; its admin socket is in `tmp_path / "run"`."""
    (tmp_path / "config.toml").write_text(config_text(fake))
    async with octoroute(cwd=tmp_path, env={"RUNTIME_DIRECTORY": str(tmp_path / "run")}) as daemon:
        await daemon.says("/metrics")
        yield daemon


async def command(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What a user types in another terminal."""
    result = await trio.run_process(
        [sys.executable, "-m", "octoroute", *arguments],
        env={**os.environ, "RUNTIME_DIRECTORY": str(tmp_path / "run")},
        capture_stdout=True,
        capture_stderr=True,
        check=False,
    )
    return subprocess.CompletedProcess(
        arguments, result.returncode, result.stdout.decode(), result.stderr.decode()
    )


async def test_only_the_owner_may_speak_with_it_and_it_goes_with_the_daemon(tmp_path: Path) -> None:
    async with FakeModelServer("qwen") as fake, serving(tmp_path, fake) as daemon:
        port = daemon.url.rpartition(":")[2]
        (path,) = (tmp_path / "run").iterdir()
        assert path.name == f"{port}.sock"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        daemon.send(signal.SIGTERM)
        assert await daemon.ended() == 0
        assert list(path.parent.iterdir()) == []


async def test_status_tells_the_daemon_and_each_endpoint(tmp_path: Path) -> None:
    async with FakeModelServer("qwen") as fake, serving(tmp_path, fake) as daemon:
        told = await command(tmp_path, "status")
        assert (told.returncode, told.stderr) == (0, "")
        assert f"is running: {daemon.url}, pid {daemon.process.pid}" in told.stdout
        header, row = told.stdout.splitlines()[-2:]
        assert header.split() == ["TIER", "ENDPOINT", "STATE", "IN", "FLIGHT", "LAST", "CHECK"]
        assert row.split()[:4] == ["fast", "qwen", "healthy", "0"]
        value = json.loads((await command(tmp_path, "status", "--json")).stdout)
        assert value["pid"] == daemon.process.pid
        assert [each["id"] for each in value["endpoints"]] == ["qwen"]


async def test_status_tells_what_is_wrong_with_an_endpoint(tmp_path: Path) -> None:
    async with FakeModelServer("qwen") as fake:
        fake.models = internal_error()
        async with serving(tmp_path, fake):
            assert (await command(tmp_path, "drain", "qwen")).returncode == 0
            told = await command(tmp_path, "status")
    assert "healthy, drained, 1 failed" in told.stdout.splitlines()[-1]


async def test_reload_returns_once_the_new_configuration_is_in_effect(tmp_path: Path) -> None:
    async with FakeModelServer("qwen") as fake, serving(tmp_path, fake):
        config = tmp_path / "config.toml"
        config.write_text(config.read_text().replace("[routing]", "weight = 2.5\n[routing]"))
        told = await command(tmp_path, "reload")
        assert told.returncode == 0, told.stderr
        assert "weight: 1.0 -> 2.5" in told.stdout
        status = json.loads((await command(tmp_path, "status", "--json")).stdout)
        assert status["endpoints"][0]["weight"] == 2.5


async def test_a_reload_of_an_invalid_file_says_what_is_wrong_and_changes_nothing(tmp_path: Path) -> None:
    async with FakeModelServer("qwen") as fake, serving(tmp_path, fake):
        config = tmp_path / "config.toml"
        config.write_text(config.read_text().replace("[routing]", "wieght = 2.5\n[routing]"))
        told = await command(tmp_path, "reload")
        assert (told.returncode, told.stdout) == (1, "")
        assert "did you mean `weight`" in told.stderr
        status = json.loads((await command(tmp_path, "status", "--json")).stdout)
        assert status["endpoints"][0]["weight"] == 1.0


async def test_without_a_daemon_every_command_says_so(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    for arguments in (["status"], ["reload"], ["drain", "qwen"], ["enable", "qwen"]):
        told = await command(tmp_path, *arguments, "--socket", str(tmp_path / "run" / "3000.sock"))
        assert (told.returncode, told.stdout) == (1, "")
        assert told.stderr == f"No daemon answers at {tmp_path}/run/3000.sock: No such file or directory.\n"


async def test_what_a_killed_daemon_left_is_nobodys(tmp_path: Path) -> None:
    async with FakeModelServer("qwen") as fake:
        async with serving(tmp_path, fake) as daemon:
            daemon.send(signal.SIGKILL)
            await daemon.ended()
            (left,) = (tmp_path / "run").iterdir()
        environ = {"RUNTIME_DIRECTORY": str(tmp_path / "run")}
        with pytest.raises(AdminError, match="No running daemon was found"):
            admin.find_socket(environ)
        with admin.listening(tmp_path / "run", int(left.stem)) as listener:
            assert listener is not None
            assert admin.find_socket(environ) == left


async def test_of_several_daemons_one_must_be_named(tmp_path: Path) -> None:
    with admin.listening(tmp_path, 3000) as one, admin.listening(tmp_path, 3001) as other:
        assert one is not None
        assert other is not None
        with pytest.raises(AdminError, match=r"--socket: \S+/3000\.sock, \S+/3001\.sock\."):
            admin.find_socket({"RUNTIME_DIRECTORY": str(tmp_path)})


async def test_a_directory_that_others_write_to_is_not_used(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    with admin.listening(shared, 3000) as listener:
        assert listener is None
    assert list(shared.iterdir()) == []
    with admin.listening(tmp_path / "absent" / "deeper", 3000) as listener:
        assert listener is None


async def test_a_drained_endpoint_finishes_what_runs_and_gets_nothing_new() -> None:
    slow = Ok(["a"] * 10, between=0.05)
    async with (
        FakeModelServer("one", behaviour=slow) as one,
        FakeModelServer("two") as two,
        running({"fast": one, "deep": two}) as daemon,
        client(daemon) as http,
    ):
        async with http.stream("POST", CHAT, json=chat(stream=True)) as answer:
            await one.wait_for(1)
            changed = await daemon.obey(admin.Drain("one"))
            assert isinstance(changed, admin.Changed)
            (report,) = changed.endpoints
            assert (report.id, report.drained, report.in_flight, report.healthy) == ("one", True, 1, True)
            instead = await http.post(CHAT, json=chat())
            assert instead.headers["x-octoroute-endpoint"] == "two"
            assert instead.headers["x-octoroute-reason"] == "fallback_up"
            assert (await answer.aread()).decode().endswith("data: [DONE]\n\n")
        assert (await http.get("/health/ready")).json()["tiers"]["fast"] is False
        (shown, _) = (await http.get("/models")).json()["models"]
        assert (shown["drained"], shown["state"], shown["in_flight"]) == (True, "healthy", 0)
        named = await http.post(CHAT, json=chat("one"))
        assert named.status_code == 503

        await daemon.apply(daemon.service.config)
        assert (await http.post(CHAT, json=chat())).headers["x-octoroute-endpoint"] == "two"

        await daemon.obey(admin.Enable("one"))
        assert (await http.post(CHAT, json=chat())).headers["x-octoroute-endpoint"] == "one"


async def test_who_waits_for_an_endpoint_that_is_drained_goes_on_elsewhere() -> None:
    slow = Ok(["a"] * 40, between=0.05)
    async with (
        FakeModelServer("one", behaviour=slow) as one,
        FakeModelServer("two") as two,
        running({"fast": endpoint(one, max_concurrent=1), "deep": two}) as daemon,
        client(daemon) as http,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(partial(http.post, CHAT, json=chat(stream=True)))
        await one.wait_for(1)
        nursery.start_soon(partial(http.post, CHAT, json=chat()))
        await until(lambda: daemon.service.fleet.admission["fast"].waiting == 1)
        await daemon.obey(admin.Drain("one"))
        await two.wait_for(1)
        nursery.cancel_scope.cancel("seen")


async def test_an_endpoint_that_is_not_there_is_refused_with_what_there_is() -> None:
    async with FakeModelServer("qwen") as fake, running(fake) as daemon:
        answer = await daemon.obey(admin.Drain("gwen"))
    assert answer == admin.Refused(['There is no endpoint "gwen". There are: qwen.'])


async def test_a_name_drains_all_its_endpoints_and_an_id_one() -> None:
    async with (
        FakeModelServer("qwen") as one,
        FakeModelServer("qwen") as other,
        running({"fast": [one, other]}) as daemon,
    ):
        all_, single = await daemon.obey(admin.Drain("qwen")), next(iter(daemon.service.fleet)).id
        assert isinstance(all_, admin.Changed)
        assert [endpoint.drained for endpoint in all_.endpoints] == [True, True]
        await daemon.obey(admin.Enable(single))
        assert [endpoint.drained for endpoint in daemon.service.fleet] == [False, True]


@pytest.mark.parametrize(
    "line",
    [b"status\n", b'{"command": "stop"}\n', b'{"command": "drain"}\n', b"\xff\n", b"[]", b"1" * 70_000],
)
async def test_what_is_no_command_is_refused(tmp_path: Path, line: bytes) -> None:
    async with FakeModelServer("qwen") as fake, serving(tmp_path, fake):
        (path,) = (tmp_path / "run").iterdir()
        stream = await trio.open_unix_socket(path)
        async with stream:
            await stream.send_all(line)
            await stream.send_eof()
            answer = json.loads(await stream.receive_some())
    assert answer["answer"] == "refused"
    assert answer["problems"][0].startswith("This is no command: ")


async def test_a_client_that_says_nothing_or_leaves_disturbs_nobody(tmp_path: Path) -> None:
    async with FakeModelServer("qwen") as fake, serving(tmp_path, fake):
        (path,) = (tmp_path / "run").iterdir()
        silent = await trio.open_unix_socket(path)
        with socket.socket(socket.AF_UNIX) as leaving:
            leaving.connect(str(path))
            leaving.sendall(b'{"command": "status"}\n')
        async with silent:
            assert (await command(tmp_path, "status")).returncode == 0

"""What systemd is told: through a socket like its own."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import httpx
import pytest
import trio

from octoroute import systemd
from tests.fakes.model_server import FakeModelServer, Ok
from tests.process import config_text, octoroute
from tests.serving import SECONDS, chat

Listener = trio.socket.SocketType


@pytest.fixture
async def service_manager(tmp_path: Path) -> AsyncGenerator[Listener]:
    """systemd's end of `$NOTIFY_SOCKET`, which is `tmp_path / "notify"`."""
    with trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_DGRAM) as listener:
        await listener.bind(str(tmp_path / "notify"))
        yield listener


async def told(listener: Listener, wanted: Callable[[dict[str, str]], bool]) -> dict[str, str]:
    """The first message from now on that is wanted."""
    with trio.fail_after(SECONDS):
        while True:
            message = (await listener.recv(4096)).decode()
            fields = dict(line.split("=", 1) for line in message.splitlines())
            if wanted(fields):
                return fields


async def test_ready_after_the_first_sweep_and_signs_of_life_until_the_end(
    service_manager: Listener, tmp_path: Path
) -> None:
    environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "400000"}
    async with FakeModelServer("qwen", behaviour=Ok(["a"] * 20, between=0.1)) as fake:
        (tmp_path / "config.toml").write_text(config_text(fake))
        async with octoroute(cwd=tmp_path, env=environ) as daemon:
            # The very first word is about the sweep: nothing said "ready" before it.
            assert await told(service_manager, lambda _: True) == {"STATUS": "Probing the endpoints"}
            ready = await told(service_manager, lambda _: True)
            assert ready["READY"] == "1"
            assert ready["STATUS"].endswith("1 of 1 endpoints answer")
            alive = trio.current_time()
            for _ in range(5):
                await told(service_manager, lambda fields: fields.get("WATCHDOG") == "1")
            assert trio.current_time() - alive > 0.5

            daemon.send(signal.SIGHUP)
            reloading = await told(service_manager, lambda fields: "RELOADING" in fields)
            assert int(reloading["MONOTONIC_USEC"]) > 0
            await told(service_manager, lambda fields: "READY" in fields)

            async with (
                httpx.AsyncClient(base_url=daemon.url, trust_env=False, timeout=SECONDS) as http,
                http.stream("POST", "/v1/chat/completions", json=chat(stream=True)),
            ):
                daemon.send(signal.SIGTERM)
                stopping = await told(service_manager, lambda fields: "STOPPING" in fields)
                assert stopping["STATUS"] == "Draining: 1 requests still run"
                # drain_timeout_seconds, and 15 until what hangs is ended
                assert stopping["EXTEND_TIMEOUT_USEC"] == "45000000"
                await told(service_manager, lambda fields: fields.get("WATCHDOG") == "1")
            assert await daemon.ended() == 0


async def test_the_status_follows_the_fleet(service_manager: Listener, tmp_path: Path) -> None:
    environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
    async with FakeModelServer("qwen") as fake:
        text = config_text(fake) + "[health]\ninterval_seconds = 0.1\nunhealthy_after = 1\n"
        (tmp_path / "config.toml").write_text(text)
        async with octoroute(cwd=tmp_path, env=environ):
            await told(service_manager, lambda fields: "1 of 1" in fields.get("STATUS", ""))
            await fake.stop()
            await told(service_manager, lambda fields: "0 of 1" in fields.get("STATUS", ""))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the abstract namespace")
async def test_a_socket_in_the_abstract_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"octoroute-test-{os.getpid()}"
    with trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_DGRAM) as listener:
        await listener.bind(f"\0{name}")
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        systemd.notify("READY=1")
        assert await listener.recv(100) == b"READY=1"


def test_what_can_not_be_told_stops_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "absent"))
    systemd.ready("words")
    monkeypatch.delenv("NOTIFY_SOCKET")
    systemd.ready("words")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_signs_of_life_come_twice_as_often_as_they_are_due(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], expected: float | None
) -> None:
    for name in ("WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert systemd.watchdog_seconds() == expected

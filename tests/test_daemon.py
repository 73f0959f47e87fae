"""The daemon's background work: what it says at its start, and the watch over the fleet, which survives anything."""

from __future__ import annotations

import pytest
import structlog
import trio

from octoroute import daemon as daemon_module
from octoroute import supervision
from octoroute.daemon import Daemon
from octoroute.fleet import monitor, probe
from tests.fakes.model_server import FakeModelServer, loading, unauthorized
from tests.serving import SECONDS, Models, chat, client, config_for, endpoint, running, until

CHAT = "/v1/chat/completions"
SOON = {"interval_seconds": 0.05, "timeout_seconds": 5}


async def test_it_says_where_it_listens_and_who_answers() -> None:
    said: list[str] = []
    async with (
        FakeModelServer("small") as small,
        FakeModelServer("large") as large,
        FakeModelServer("off") as off,
    ):
        await large.stop()
        off.models = unauthorized()
        models: Models = {
            "fast": [small, off],
            "deep": [large, endpoint(small, name="unwatched", health_path="")],
        }
        async with trio.open_nursery() as nursery:
            with trio.fail_after(SECONDS):
                daemon: Daemon = await nursery.start(daemon_module.run, config_for(models), said.append)
            nursery.cancel_scope.cancel("the test is over")
    (text,) = said
    assert f"listens on {daemon.url}" in text
    lines = {line.split()[1]: line for line in text.splitlines() if line.startswith("  ") and "http" in line}
    assert lines["small"].endswith("answers")
    assert "fast" in lines["small"]
    assert "Connection refused" in lines["large"]
    assert "401" in lines["off"]
    assert lines["unwatched"].endswith("not probed")
    assert f"{daemon.url}/metrics" in text


async def test_the_first_request_knows_what_the_first_sweep_found() -> None:
    async with FakeModelServer("down") as down, FakeModelServer("up") as up:
        down.models = loading()
        async with running([endpoint(down, priority=2), up]) as daemon, client(daemon) as http:
            assert (await http.post(CHAT, json=chat())).headers["x-octoroute-endpoint"] == "up"
    assert down.chats == []


async def test_an_endpoint_goes_down_after_three_failed_probes_and_comes_back_by_itself() -> None:
    seen: list[tuple[int, bool]] = []
    async with FakeModelServer() as fake, running(fake, health=SOON) as daemon, client(daemon) as http:

        async def state() -> dict[str, object]:
            (one,) = (await http.get("/models")).json()["models"]
            seen.append((one["consecutive_failures"], one["healthy"]))
            return dict(one)

        with structlog.testing.capture_logs() as log, trio.fail_after(SECONDS):
            await fake.stop()
            while (await state())["state"] != "unhealthy":
                pass
            assert (await http.get("/health/ready")).status_code == 503
            assert (await http.post(CHAT, json=chat())).status_code == 503
            await fake.restart()
            while (await state())["state"] != "healthy":
                pass
            assert (await http.get("/health/ready")).status_code == 200
            assert (await http.post(CHAT, json=chat())).status_code == 200
        assert all(healthy == (failures < 3) for failures, healthy in seen)
        assert (await state())["consecutive_failures"] == 0
        assert [line["new"] for line in log if "endpoint" in line["event"]] == ["unhealthy", "healthy"]
        metrics = (await http.get("/metrics")).text
        assert (
            'octoroute_health_tracking_failures_total{endpoint="fake-model",error_type="connect"}' in metrics
        )
        assert 'octoroute_endpoint_healthy{endpoint="fake-model",tier="fast"} 1.0' in metrics


async def test_a_monitor_that_crashes_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "FIRST_PAUSE_SECONDS", 1)
    async with FakeModelServer() as fake, running(fake, health=SOON) as daemon, client(daemon) as http:
        assert (await http.get("/health")).json()["background_task_failures"] == 0

        async def crash(*_: object) -> None:
            await trio.lowlevel.checkpoint()
            monkeypatch.setattr(monitor, "probe", probe.probe)
            raise RuntimeError("a defect")

        with structlog.testing.capture_logs() as log, trio.fail_after(SECONDS):
            monkeypatch.setattr(monitor, "probe", crash)
            await until(lambda: daemon.service.supervisor.failures)
            health = (await http.get("/health")).json()
            assert health["background_task_status"] == "restarting"
            assert health["background_task_failures"] == 1
            assert (await http.post(CHAT, json=chat())).status_code == 200
            probes = len(fake.probes)
            await until(lambda: len(fake.probes) > probes + 1)
        assert (await http.get("/health")).json()["background_task_status"] == "operational"
        assert "octoroute_background_health_task_failures_total 1.0" in (await http.get("/metrics")).text
        (told,) = (line for line in log if line["log_level"] == "error")
        assert "a defect" in told["error"]

"""What was down is back in seconds: nobody waits for the next interval, nor for a request to try it."""

from __future__ import annotations

from itertools import pairwise

import pytest
import trio

from octoroute.daemon import Daemon
from octoroute.fleet.endpoint import Endpoint
from tests.fakes.model_server import FakeModelServer, Status, internal_error, loading, model_missing
from tests.serving import Place, chat, client, endpoint, running, until

NEVER = {"interval_seconds": 3600}


def only(daemon: Daemon) -> Endpoint:
    (endpoint,) = daemon.service.fleet
    return endpoint


@pytest.mark.parametrize("reset", [False, True])
async def test_a_server_that_restarts_is_back_by_itself(reset: bool) -> None:
    health = NEVER | {"unhealthy_after": 1}
    async with FakeModelServer("m") as m, running(m, health=health) as daemon, client(daemon) as http:
        await m.stop(reset=reset)
        assert (await http.post("/v1/chat/completions", json=chat())).status_code == 502
        assert only(daemon).health.state == "unhealthy"
        await m.restart()
        await until(lambda: only(daemon).health.state == "healthy")
        assert len(m.chats) == 0


async def test_a_server_that_loads_is_ready_as_soon_as_it_is() -> None:
    async with FakeModelServer("m") as server:
        server.models = loading()
        async with running(server, health=NEVER) as daemon:
            assert only(daemon).health.state == "warming"
            server.models = None
            await until(lambda: only(daemon).health.state == "healthy")


async def test_a_dead_server_is_probed_ever_more_rarely() -> None:
    async with FakeModelServer("m") as server:
        server.models = internal_error()
        async with running(server, health=NEVER | {"unhealthy_after": 1}):
            times: list[float] = []

            def more() -> bool:
                if len(server.probes) > len(times):
                    times.append(trio.current_time())
                return len(times) == 4

            await until(more)
            pauses = [later - earlier for earlier, later in pairwise(times)]
            assert pauses[0] > 0.7
            assert pauses[1] > 1.5
            assert pauses[2] > 3


async def test_an_unprobed_server_is_tried_by_a_request_again() -> None:
    async with FakeModelServer("m") as server, FakeModelServer("spare") as spare:
        places: list[Place] = [endpoint(server, health_path="", priority=2), spare]
        async with running(places, health=NEVER | {"unhealthy_after": 1}) as daemon, client(daemon) as http:
            server.queue(internal_error())
            assert (await http.post("/v1/chat/completions", json=chat())).status_code == 200
            answered: list[str] = []
            with trio.fail_after(20):
                while "m" not in answered:
                    answer = await http.post("/v1/chat/completions", json=chat())
                    answered.append(answer.headers["x-octoroute-endpoint"])
                    await trio.sleep(0.05)
            assert answered.count("spare") >= 1
            assert len(server.chats) == 2  # not one request more than its failure and its trial


async def test_a_server_without_a_list_of_models_does_not_flap() -> None:
    """It answers requests, and 404 to its probe: one good request settles it."""
    async with FakeModelServer("m") as server:
        server.models = model_missing()
        async with running(server, health={"interval_seconds": 0.1}) as daemon, client(daemon) as http:
            assert only(daemon).health.state == "misconfigured"
            assert (await http.post("/v1/chat/completions", json=chat())).status_code == 200
            probes = len(server.probes)
            await until(lambda: len(server.probes) > probes + 2)
            assert only(daemon).health.state == "healthy"
            # A key that is refused is another matter.
            server.queue(Status(401))
            assert (await http.post("/v1/chat/completions", json=chat())).status_code == 502
            assert only(daemon).health.state == "misconfigured"

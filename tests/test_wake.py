"""A request that needs a sleeping machine has it woken, and waits; everybody else goes elsewhere."""

from __future__ import annotations

import errno
from typing import Any

import httpx
import pytest
import structlog
import trio

from octoroute.daemon import Daemon
from octoroute.fleet import wake
from octoroute.fleet.endpoint import Endpoint
from octoroute.fleet.transport import Transport
from octoroute.fleet.wire import Connection, Origin
from tests.fakes.model_server import FakeModelServer, loading
from tests.serving import Models, chat, client, config_for, endpoint, running, until

MAC = "aa:bb:cc:dd:ee:ff"


class Machine:
    """The machine of a fake. Asleep it answers nothing at all; after `packets` of them it boots, then serves."""

    def __init__(self, server: FakeModelServer, *, packets: int | None = 1, boots: float = 0.2) -> None:
        self.server = server
        self.asleep = True
        self.packets = packets
        self.boots = boots
        self.received: list[tuple[bytes, str]] = []
        self.connects = 0

    async def receive(self, packet: bytes, host: str) -> None:
        self.received.append((packet, host))
        if self.asleep and self.packets is not None and len(self.received) >= self.packets:
            await self.server.stop()  # it is up, but its server isn't: connections are refused
            self.asleep = False

    async def boot(self) -> None:
        """Start the model server a moment after the machine woke up."""
        await until(lambda: not self.asleep)
        await trio.sleep(self.boots)
        await self.server.restart()


class Network:
    """What the daemon's packets and connections go through."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.machines: dict[int, Machine] = {}
        real = Transport.connect

        async def connect(transport: Transport, origin: Origin) -> Connection:
            machine = self.machines.get(origin.port)
            if machine is not None:
                machine.connects += 1
                if machine.asleep:
                    await trio.sleep(0.05)
                    reason = OSError(errno.EHOSTUNREACH, "No route to host")
                    raise httpx.ConnectError(f"cannot connect to {origin}: No route to host") from reason
            return await real(transport, origin)

        async def send(packet: bytes, host: str) -> None:
            for machine in self.machines.values():
                await machine.receive(packet, host)

        patch.setattr(Transport, "connect", connect)
        patch.setattr(wake, "send", send)
        patch.setattr(wake, "LOOK_SECONDS", 0.05)
        patch.setattr(wake, "PACKET_SECONDS", 0.3)

    def sleeping(self, server: FakeModelServer, **how: Any) -> Machine:
        return self.machines.setdefault(server.port, Machine(server, **how))


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    return Network(monkeypatch)


def named(daemon: Daemon, endpoint_id: str) -> Endpoint:
    return next(endpoint for endpoint in daemon.service.fleet if endpoint.id == endpoint_id)


def sleeper(server: FakeModelServer, **settings: Any) -> Any:
    return endpoint(server, wake_mac=MAC, **{"wake_timeout_seconds": 10, **settings})


QUICK = {"health": {"timeout_seconds": 1}}


@pytest.mark.parametrize("known_down", [False, True])
@pytest.mark.parametrize("attempts", [1, 3])
async def test_a_request_wakes_the_machine_that_it_needs(
    network: Network, known_down: bool, attempts: int
) -> None:
    """Whether probes have found out already that it is down, or the request does."""
    async with FakeModelServer("big") as server, trio.open_nursery() as nursery:
        machine = network.sleeping(server, packets=2)
        nursery.start_soon(machine.boot)
        health = {"timeout_seconds": 1, "unhealthy_after": 1 if known_down else 3}
        async with running(sleeper(server), health=health, retry={"max_attempts": attempts}) as daemon:
            assert (named(daemon, "big").health.state == "unhealthy") is known_down
            async with client(daemon) as http:
                answer = await http.post("/v1/chat/completions", json=chat())
            assert answer.status_code == 200
            assert answer.headers["x-octoroute-endpoint"] == "big"
            assert len(machine.received) >= 2
            packet, host = machine.received[0]
            assert (packet, host) == (b"\xff" * 6 + bytes.fromhex("aabbccddeeff") * 16, "127.0.0.1")
            assert len(server.chats) == 1


async def test_it_is_woken_before_another_tier_is_asked(network: Network) -> None:
    async with (
        FakeModelServer("big") as big,
        FakeModelServer("small") as small,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(network.sleeping(big).boot)
        async with running({"deep": sleeper(big), "fast": small}, **QUICK) as daemon, client(daemon) as http:
            answer = await http.post("/v1/chat/completions", json=chat("deep"))
            assert (answer.status_code, answer.headers["x-octoroute-tier"]) == (200, "deep")
            assert "x-octoroute-warning" not in answer.headers


async def test_an_awake_tier_stands_in_before_a_sleeping_one_is_woken_for_that(network: Network) -> None:
    async with FakeModelServer("near") as near, FakeModelServer("far") as far:
        machine = network.sleeping(near)
        models: Models = {"balanced": sleeper(near), "deep": far}
        async with running(models, **QUICK) as daemon, client(daemon) as http, trio.open_nursery() as nursery:
            answer = await http.post("/v1/chat/completions", json=chat("fast"))
            assert (answer.status_code, answer.headers["x-octoroute-endpoint"]) == (200, "far")
            assert machine.received == []
            await far.stop()
            nursery.start_soon(machine.boot)
            answer = await http.post("/v1/chat/completions", json=chat("fast"))
            assert (answer.status_code, answer.headers["x-octoroute-endpoint"]) == (200, "near")


async def test_another_endpoint_of_the_tier_comes_before_waking_one(network: Network) -> None:
    async with FakeModelServer("big") as big, FakeModelServer("spare") as spare:
        machine = network.sleeping(big)
        places = [sleeper(big, priority=2), endpoint(spare, priority=-1)]
        async with running(places, **QUICK) as daemon, client(daemon) as http:
            for _ in range(5):
                answer = await http.post("/v1/chat/completions", json=chat())
                assert (answer.status_code, answer.headers["x-octoroute-endpoint"]) == (200, "spare")
            assert machine.received == []


async def test_a_request_for_another_name_wakes_nobody(network: Network) -> None:
    async with FakeModelServer("big") as big, FakeModelServer("other") as other:
        machine = network.sleeping(big)
        async with running([sleeper(big), other], **QUICK) as daemon, client(daemon) as http:
            await other.stop()
            assert (await http.post("/v1/chat/completions", json=chat("other"))).status_code == 502
            assert machine.received == []


async def test_many_requests_share_one_wake(network: Network) -> None:
    async with FakeModelServer("big") as server, trio.open_nursery() as nursery:
        machine = network.sleeping(server, packets=3)
        nursery.start_soon(machine.boot)
        async with running(sleeper(server), **QUICK) as daemon, client(daemon) as http:
            statuses: list[int] = []

            async def ask() -> None:
                statuses.append((await http.post("/v1/chat/completions", json=chat())).status_code)

            async with trio.open_nursery() as clients:
                for _ in range(20):
                    clients.start_soon(ask)
            assert statuses == [200] * 20
            assert len(machine.received) < 3 + 5  # not 20 of each


async def test_a_stream_is_kept_alive_while_the_machine_wakes_up(network: Network) -> None:
    async with FakeModelServer("big") as server, trio.open_nursery() as nursery:
        nursery.start_soon(network.sleeping(server, boots=1.0).boot)
        settings: dict[str, Any] = {"server": {"keepalive_seconds": 0.2}, **QUICK}
        async with running(sleeper(server), **settings) as daemon, client(daemon) as http:
            answer = await http.post("/v1/chat/completions", json=chat(stream=True))
        assert answer.status_code == 200
        assert answer.text.startswith(":")
        assert "[DONE]" in answer.text


async def test_who_does_not_wake_up_is_not_waited_for_again(network: Network) -> None:
    async with FakeModelServer("big") as big, FakeModelServer("small") as small:
        machine = network.sleeping(big, packets=None)
        models: Models = {"deep": sleeper(big, wake_timeout_seconds=1), "fast": small}
        async with running(models, **QUICK) as daemon, client(daemon) as http:
            started = trio.current_time()
            answer = await http.post("/v1/chat/completions", json=chat("deep"))
            assert (answer.status_code, answer.headers["x-octoroute-tier"]) == (200, "fast")
            assert trio.current_time() - started >= 1
            sent = len(machine.received)
            answer = await http.post("/v1/chat/completions", json=chat("deep"))
            assert (answer.status_code, answer.headers["x-octoroute-tier"]) == (200, "fast")
            assert len(machine.received) == sent > 0
            # After a while it is tried again: somebody may have switched it on.
            named(daemon, "big").woken_in_vain = trio.current_time() - wake.AGAIN_SECONDS
            await http.post("/v1/chat/completions", json=chat("deep"))
            assert len(machine.received) > sent


async def test_alone_and_not_waking_up_it_could_not_be_reached(network: Network) -> None:
    async with FakeModelServer("big") as server:
        network.sleeping(server, packets=None)
        async with (
            running(sleeper(server, wake_timeout_seconds=0.5), **QUICK) as daemon,
            client(daemon) as http,
        ):
            answer = await http.post("/v1/chat/completions", json=chat())
            assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_failed")
            assert "No route to host" in answer.json()["error"]["message"]


async def test_a_machine_that_refuses_is_awake(network: Network) -> None:
    async with FakeModelServer("big") as server:
        machine = network.sleeping(server)
        machine.asleep = False
        async with running(sleeper(server), **QUICK) as daemon, client(daemon) as http:
            await server.stop()
            answer = await http.post("/v1/chat/completions", json=chat())
            assert answer.status_code == 502
            assert machine.received == []


async def test_a_machine_whose_model_loads_after_it_woke_up_is_waited_for(network: Network) -> None:
    async with FakeModelServer("big") as server, trio.open_nursery() as nursery:
        machine = network.sleeping(server)
        server.models = loading()
        server.queue(loading())
        nursery.start_soon(machine.boot)
        async with running(sleeper(server), **QUICK) as daemon, client(daemon) as http:

            async def load() -> None:
                await server.wait_for(1)
                server.models = None

            nursery.start_soon(load)
            assert (await http.post("/v1/chat/completions", json=chat())).status_code == 200


async def test_a_client_that_leaves_leaves_the_others_waiting(network: Network) -> None:
    async with FakeModelServer("big") as server, trio.open_nursery() as nursery:
        machine = network.sleeping(server, packets=None)
        async with running(sleeper(server), **QUICK) as daemon, client(daemon) as http:
            admission = daemon.service.fleet.admission["fast"]
            async with trio.open_nursery() as first:
                first.start_soon(lambda: http.post("/v1/chat/completions", json=chat()))
                await until(lambda: admission.waiting == 1)
                first.cancel_scope.cancel()
            await until(lambda: admission.waiting == 0)
            machine.packets = 1
            nursery.start_soon(machine.boot)
            assert (await http.post("/v1/chat/completions", json=chat())).status_code == 200
            assert not named(daemon, "big").waking


async def test_the_end_of_the_daemon_ends_the_wait(network: Network) -> None:
    async with FakeModelServer("big") as server:
        network.sleeping(server, packets=None)
        async with running(sleeper(server), **QUICK) as daemon, client(daemon) as http:
            answers: list[httpx.Response] = []

            async def ask() -> None:
                answers.append(await http.post("/v1/chat/completions", json=chat()))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask)
                await until(lambda: daemon.service.fleet.admission["fast"].waiting == 1)
                daemon.drain("test")
            assert (answers[0].status_code, answers[0].json()["error"]["code"]) == (503, "shutting_down")


async def test_the_total_limit_of_a_request_holds_for_waking_too(network: Network) -> None:
    async with FakeModelServer("big") as server:
        network.sleeping(server, packets=None)
        settings: dict[str, Any] = {"server": {"max_request_seconds": 0.5}, **QUICK}
        async with running(sleeper(server), **settings) as daemon, client(daemon) as http:
            assert (await http.post("/v1/chat/completions", json=chat())).status_code == 504


@pytest.mark.parametrize("stays", [True, False])
async def test_a_reload_while_a_machine_wakes_up(network: Network, stays: bool) -> None:
    """What waits goes on waiting, also for an endpoint that is gone from the file; without its MAC there is an end."""
    async with FakeModelServer("big") as server, trio.open_nursery() as nursery:
        machine = network.sleeping(server, packets=None)
        config = config_for(sleeper(server), **QUICK)
        async with running(config) as daemon, client(daemon) as http:
            answers: list[int] = []

            async def ask() -> None:
                answers.append((await http.post("/v1/chat/completions", json=chat())).status_code)

            async with trio.open_nursery() as clients:
                clients.start_soon(ask)
                await until(lambda: named(daemon, "big").waking)
                await daemon.apply(config if stays else config_for(server, **QUICK))
                if stays:
                    machine.packets = 1
                    nursery.start_soon(machine.boot)
            assert answers == ([200] if stays else [502])


async def test_what_happens_is_told(network: Network) -> None:
    with structlog.testing.capture_logs() as lines:
        async with FakeModelServer("big") as server, trio.open_nursery() as nursery:
            nursery.start_soon(network.sleeping(server).boot)
            async with running(sleeper(server), **QUICK) as daemon, client(daemon) as http:
                await http.post("/v1/chat/completions", json=chat())
    told = [line for line in lines if line["event"] in {"endpoint waking", "endpoint woke"}]
    assert [(line["event"], line["endpoint"]) for line in told] == [
        ("endpoint waking", "big"),
        ("endpoint woke", "big"),
    ]
    assert 0 < told[1]["seconds"] < 10

"""A model server dies while a hundred clients are at it: none of them notices, and it comes back by itself."""

from __future__ import annotations

from collections import Counter
from typing import Any

import httpx
import pytest
import trio

from octoroute.daemon import Daemon
from tests.fakes.model_server import FakeModelServer, Ok
from tests.serving import chat, client, endpoint, running, until

CLIENTS = 100
HEALTH = {"interval_seconds": 0.2, "timeout_seconds": 2, "unhealthy_after": 3, "healthy_after": 1}


class Crowd:
    """Clients that ask at once. `answered` counts who answered them; anything but a whole answer is in `errors`."""

    def __init__(self, http: httpx.AsyncClient, *, stream: bool, model: str = "fast") -> None:
        self._http = http
        self._request = chat(model, stream=stream)
        self._ending = "data: [DONE]\n\n" if stream else "}"
        self.answered: Counter[str] = Counter()
        self.attempts: Counter[str] = Counter()
        self.errors: list[str] = []

    async def ask(self) -> None:
        try:
            answer = await self._http.post("/v1/chat/completions", json=self._request)
        except httpx.HTTPError as error:
            self.errors.append(repr(error))
            return
        if answer.status_code == 200 and answer.text.endswith(self._ending) and "model" in answer.text:
            self.answered[answer.headers["x-octoroute-endpoint"]] += 1
            self.attempts[answer.headers["x-octoroute-attempts"]] += 1
        else:
            self.errors.append(f"{answer.status_code} {answer.text}")


def healthy(daemon: Daemon, endpoint_id: str) -> bool:
    return next(each for each in daemon.service.fleet if each.id == endpoint_id).health.state == "healthy"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("reset", [False, True])
async def test_killed_under_load_and_back_again(stream: bool, reset: bool) -> None:
    slow = Ok(first_after=0.4)  # so that all of them wait for a first byte when it dies
    async with (
        FakeModelServer("doomed", behaviour=slow) as doomed,
        FakeModelServer("other", behaviour=slow) as other,
    ):
        limits: Any = httpx.Limits(max_connections=None)
        async with (
            running([doomed, other], health=HEALTH) as daemon,
            client(daemon, limits=limits) as http,
        ):
            crowd = Crowd(http, stream=stream)
            with trio.fail_after(20):
                async with trio.open_nursery() as nursery:
                    for _ in range(CLIENTS):
                        nursery.start_soon(crowd.ask)
                    await doomed.wait_for(20)
                    await doomed.stop(reset=reset)
            assert crowd.errors == []
            assert crowd.answered["other"] >= 20
            assert sum(crowd.answered.values()) == CLIENTS
            assert crowd.attempts["2"] >= 20
            assert not healthy(daemon, "doomed")
            asked = len(doomed.chats)
            doomed.behaviour = other.behaviour = Ok()
            again = Crowd(http, stream=stream)
            for _ in range(5):
                await again.ask()
            assert again.answered == {"other": 5}
            assert again.attempts == {"1": 5}
            metrics = (await http.get("/metrics")).text
            assert 'octoroute_endpoint_healthy{endpoint="doomed",tier="fast"} 0.0' in metrics
            assert f'octoroute_responses_total{{status="200",tier="fast"}} {CLIENTS + 5}.0' in metrics
            assert 'octoroute_failovers_total{cause="' in metrics
            await doomed.restart()
            await until(lambda: healthy(daemon, "doomed"))
            back = Crowd(http, stream=stream)
            with trio.fail_after(10):
                while len(doomed.chats) == asked:
                    await back.ask()
            assert back.errors == []
            await until(lambda: all(each.in_flight == 0 for each in daemon.service.fleet))


async def test_three_failures_make_an_endpoint_unhealthy_and_one_success_ends_it() -> None:
    async with (
        FakeModelServer("a") as a,
        FakeModelServer("b") as b,
        running([endpoint(a, priority=2), b]) as daemon,
        client(daemon) as http,
    ):
        crowd = Crowd(http, stream=False)
        await a.stop()
        for number in range(1, 6):
            await crowd.ask()
            assert healthy(daemon, "a") is (number < 3)
        assert crowd.errors == []
        assert crowd.attempts == {"2": 3, "1": 2}
        await a.restart()
        await daemon.service.monitor.sweep()
        assert healthy(daemon, "a")
        await crowd.ask()
        assert crowd.answered["a"] == 1


async def test_who_waits_for_a_dead_tier_goes_to_another_one() -> None:
    """A queue in front of endpoints of which none takes requests any more is no place to wait in."""
    async with (
        FakeModelServer("doomed", behaviour=Ok(first_after=20)) as doomed,
        FakeModelServer("deep") as deep,
        running({"fast": endpoint(doomed, max_concurrent=2), "deep": deep}) as daemon,
        client(daemon) as http,
    ):
        crowd = Crowd(http, stream=True)
        with trio.fail_after(15):
            async with trio.open_nursery() as nursery:
                for _ in range(30):
                    nursery.start_soon(crowd.ask)
                await until(lambda: daemon.service.fleet.admission["fast"].waiting == 28)
                await doomed.stop()
        assert crowd.errors == []
        assert crowd.answered == {"deep": 30}
        assert crowd.attempts["1"] >= 20
        await until(lambda: all(each.in_flight == 0 for each in daemon.service.fleet))


async def test_who_waits_goes_on_at_the_endpoint_that_is_left() -> None:
    async with (
        FakeModelServer("doomed", behaviour=Ok(first_after=20)) as doomed,
        FakeModelServer("other") as other,
    ):
        other.behaviour = Ok(first_after=0.02)
        places = [endpoint(doomed, max_concurrent=5), endpoint(other, max_concurrent=5)]
        async with running({"fast": places}) as daemon, client(daemon) as http:
            crowd = Crowd(http, stream=False)
            with trio.fail_after(15):
                async with trio.open_nursery() as nursery:
                    for _ in range(60):
                        nursery.start_soon(crowd.ask)
                    await doomed.wait_for(5)
                    await doomed.stop()
            assert crowd.errors == []
            assert crowd.answered == {"other": 60}
            await until(lambda: all(each.in_flight == 0 for each in daemon.service.fleet))

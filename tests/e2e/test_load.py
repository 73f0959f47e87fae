"""The real llama.cpp tells its load, and new requests go where they need not wait."""

from __future__ import annotations

import httpx
import trio

from demo.llama_server import LlamaServer
from octoroute.config.model import Endpoint
from octoroute.daemon import Daemon
from octoroute.fleet.load import READING_SECONDS, LoadReport
from tests.serving import chat, client, running

REQUESTS = 12
SECONDS = 60


def place(server: LlamaServer, weight: float) -> Endpoint:
    return Endpoint(name="smollm2", model=server.alias, base_url=server.base_url, weight=weight)


def told(daemon: Daemon, server: LlamaServer) -> LoadReport | None:
    """What is known of a server's load."""
    reports = [endpoint.report(trio.current_time()) for endpoint in daemon.service.fleet]
    return next(report.load for report in reports if report.endpoint == server.base_url)


async def fill(server: LlamaServer, filled: trio.Event) -> None:
    """A stream of somebody else's, that goes on and on."""
    body = chat(server.alias, stream=True, max_tokens=1500, ignore_eos=True)
    async with (
        httpx.AsyncClient(timeout=SECONDS, trust_env=False) as http,
        http.stream(
            "POST", f"{server.base_url}/chat/completions", json=body
        ),  # answered once it is worked on
    ):
        filled.set()
        await trio.sleep_forever()


async def test_a_server_that_others_have_filled_comes_after_the_idle_one(
    fleet: dict[str, LlamaServer],
) -> None:
    full, idle = fleet["fast"], fleet["balanced"]
    with trio.fail_after(3 * SECONDS):
        async with running([place(full, weight=1000), place(idle, weight=1)]) as daemon:
            before = told(daemon, full)
            assert before is not None
            assert (before.running, before.slots, before.loaded) == (0, full.parallel, True)
            async with trio.open_nursery() as strangers:
                for _ in range(full.parallel):
                    filled = trio.Event()
                    strangers.start_soon(fill, full, filled)
                    await filled.wait()
                await trio.sleep(READING_SECONDS)
                await daemon.service.monitor.sweep()
                busy = told(daemon, full)
                assert busy is not None
                assert busy.running == full.parallel
                async with client(daemon, timeout=SECONDS) as http:
                    answered = [
                        (await http.post("/v1/chat/completions", json=chat(max_tokens=2))).headers
                        for _ in range(REQUESTS)
                    ]
                strangers.cancel_scope.cancel()
            port = idle.base_url.split(":")[-1].split("/")[0]
            assert all(headers["x-octoroute-endpoint"].endswith(port) for headers in answered)
            # Once the strangers have gone, it is as it was: by weight.
            await trio.sleep(READING_SECONDS + 1)
            await daemon.service.monitor.sweep()
            after = told(daemon, full)
            assert after is not None
            assert after.running == 0

"""What the tests of the running daemon share: the daemon on a loopback port, in front of scripted model servers.

async with FakeModelServer("qwen-8b") as server, running(server) as daemon, client(daemon) as http:
    answer = await http.post("/v1/chat/completions", json=chat("fast", stream=True))
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx
import msgspec
import trio

from octoroute import daemon as daemon_module
from octoroute.config.model import Config, Endpoint, Health, Retry, Routing, Server, Tier
from octoroute.daemon import Daemon
from tests.fakes.model_server import FakeModelServer

Place = FakeModelServer | Endpoint
Models = Place | Sequence[Place] | Mapping[Tier, Place | Sequence[Place]]

SECONDS = 20
"""The bound of whatever waits for the daemon: far more than it takes, for a machine that is busy."""


def endpoint(fake: FakeModelServer, **settings: Any) -> Endpoint:
    """The `[[models.…]]` table of a fake; its name unless `settings` has another."""
    return Endpoint(**{"name": fake.name, "base_url": fake.base_url, **settings})


def config_for(models: Models, **tables: Mapping[str, Any]) -> Config:
    """A configuration: `models` (of tier fast where they are no mapping), and other tables by name.

    config_for({"fast": small, "deep": [one, two]}, server={"max_body_bytes": 100}, retry={"max_attempts": 1})
    """
    by_tier: Mapping[Tier, Place | Sequence[Place]]
    by_tier = models if isinstance(models, Mapping) else {"fast": models}
    config = Config(
        models={tier: _endpoints(places) for tier, places in by_tier.items()},
        server=Server(host="127.0.0.1", port=0, drain_timeout_seconds=5),
        routing=Routing(strategy="rule"),
        health=Health(interval_seconds=3600),
        retry=Retry(backoff_ms=0),
    )
    changes = {name: msgspec.structs.replace(getattr(config, name), **keys) for name, keys in tables.items()}
    return msgspec.structs.replace(config, **changes)


def _endpoints(places: Place | Sequence[Place]) -> tuple[Endpoint, ...]:
    if isinstance(places, FakeModelServer | Endpoint):
        places = [places]
    return tuple(endpoint(place) if isinstance(place, FakeModelServer) else place for place in places)


@asynccontextmanager
async def running(models: Models | Config, **tables: Mapping[str, Any]) -> AsyncGenerator[Daemon]:
    """The started daemon; leaving the context ends it at once, with whatever still runs."""
    config = models if isinstance(models, Config) else config_for(models, **tables)
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        with trio.fail_after(SECONDS):
            daemon: Daemon = await nursery.start(partial(daemon_module.run, config, lambda _: None))
        try:
            yield daemon
        except Exception as error:  # noqa: BLE001  # raised again below, outside of an exception group
            failure = error
        nursery.cancel_scope.cancel("the test is over")
    if failure is not None:
        raise failure


def client(daemon: Daemon, **options: Any) -> httpx.AsyncClient:
    """A client of the daemon, bounded."""
    return httpx.AsyncClient(base_url=daemon.url, **{"trust_env": False, "timeout": SECONDS, **options})


def chat(model: str = "fast", text: str = "Hello", **fields: Any) -> dict[str, Any]:
    """A chat completion request."""
    return {"model": model, "messages": [{"role": "user", "content": text}], **fields}


async def connect(daemon: Daemon) -> trio.SocketStream:
    """A bare connection to the daemon."""
    url = httpx.URL(daemon.url)
    assert url.port is not None
    return await trio.open_tcp_stream(url.host, url.port)


async def until(condition: Callable[[], object]) -> None:
    """Wait until something holds; bounded."""
    with trio.fail_after(SECONDS):
        while not condition():  # noqa: ASYNC110  # other code's state has no event to wait for
            await trio.sleep(0.005)


def connection_tasks() -> int:
    """How many connections of clients the daemons of this process serve now, by their tasks."""
    found = 0
    root = trio.lowlevel.current_root_task()
    waiting = [] if root is None else [root]
    while waiting:
        task = waiting.pop()
        children = [child for nursery in task.child_nurseries for child in nursery.child_tasks]
        if task.name == "server":
            found += sum(child.name.endswith("_run_handler") for child in children)
        waiting += children
    return found

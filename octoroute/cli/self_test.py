"""`octoroute --self-test`: does this installation work? Requests through a router of its own, to simulated servers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import click
import trio

from octoroute import daemon
from octoroute.cli.demo import simulated_fleet
from octoroute.cli.options import EXIT_FAILED, fail
from octoroute.cli.serve import configure_logs
from octoroute.config.model import Endpoint, Observability, Server
from octoroute.errors import StartError, UpstreamError
from octoroute.fleet.upstream import Upstream
from octoroute.telemetry import logs

log = logs.get_logger("octoroute.cli")

LIMIT_SECONDS = 10.0
"""It takes one second, and four where another machine's processor is emulated."""


class _Failed(Exception):
    """Something was not as it should be: what, for the user."""


def self_test_option(context: click.Context, _: click.Parameter, asked: bool) -> None:
    """Run the self-test, say what it saw, and exit: 0, or 1 with what failed."""
    if not asked or context.resilient_parsing:
        return
    configure_logs(Observability(log_level="warning"))
    try:
        problem = trio.run(_run)
    except Exception as error:  # a defect of our own: the log gets its traceback, the user one line
        log.error("the self-test crashed", exc_info=error)
        fail("The self-test crashed; the log above has the details.", EXIT_FAILED)
    if problem is not None:
        fail(f"The self-test failed: {problem}", EXIT_FAILED)
    click.echo("The self-test passed.")
    context.exit()


async def _run() -> str | None:
    """Start everything on loopback, ask, stop. What went wrong, if anything."""
    problem = None
    with trio.move_on_after(LIMIT_SECONDS) as limit:
        async with trio.open_nursery() as nursery:
            try:
                config = await simulated_fleet(nursery, Server(host="127.0.0.1", port=0))
                running: daemon.Daemon = await nursery.start(
                    partial(daemon.run, config, lambda _: None), name="daemon"
                )
                click.echo(f"{running.url} is ready, in front of three simulated model servers.")
                await _ask(running.url)
                running.drain("the self-test is over")
                await running.served.wait()
            except (StartError, UpstreamError, _Failed) as error:
                problem = str(error)
            nursery.cancel_scope.cancel("the self-test is over")
    return f"it did not end within {LIMIT_SECONDS:g} s." if limit.cancelled_caught else problem


async def _ask(url: str) -> None:
    """One request of each kind, over the transport that model servers are asked with."""
    client = Upstream(Endpoint(name="octoroute", base_url=f"{url}/v1"), connect_timeout=5, ssl_context=None)
    try:
        await _look(client, "/health/ready", '"ready":true')
        events = (await _chat(client, "streamed", {"stream": True})).split(b"\n\n")
        _expect(events[-2:] == [b"data: [DONE]", b""], "the stream did not end with [DONE]")
        text = "".join(_content(event.removeprefix(b"data: "), "delta") for event in events[:-2])
        _expect("simulated" in text, f"the stream said {text!r}")
        text = _content(await _chat(client, "buffered", {"max_tokens": 5}), "message")
        _expect("simulated" in text, f"the answer was {text!r}")
        await _look(client, "/metrics", 'octoroute_responses_total{status="200",tier="fast"} 2.0')
    finally:
        await client.aclose()


async def _chat(client: Upstream, kind: str, fields: Mapping[str, Any]) -> bytes:
    """The answer to small talk, which the rules route to the fast tier."""
    body = {"model": "auto", "messages": [{"role": "user", "content": "Hi there!"}], **fields}
    response = await client.chat(json.dumps(body).encode(), [(b"content-type", b"application/json")])
    answer = b"".join([part async for part in response])
    _expect(response.status == 200, f"the {kind} request was answered {response.status}: {answer.decode()}")
    told = {
        name: response.header(f"x-octoroute-{name}") for name in ("tier", "strategy", "reason", "endpoint")
    }
    expected = {"tier": "fast", "strategy": "rule", "reason": "casual_chat", "endpoint": "simulated-fast"}
    _expect(told == expected, f"the {kind} request was routed {told}, not {expected}")
    click.echo(
        f"A {kind} request was answered by {told['endpoint']}, with {len(answer)} bytes ({told['reason']})."
    )
    return answer


async def _look(client: Upstream, path: str, expected: str) -> None:
    response = await client.get(path)
    text = b"".join([part async for part in response]).decode()
    _expect(response.status == 200, f"GET {path} was answered {response.status}")
    _expect(expected in text, f"GET {path} did not say {expected}")
    click.echo(f"GET {path} answers.")


def _content(answer: bytes, part: str) -> str:
    """The text in an answer, or in an event of a stream."""
    text: str = json.loads(answer)["choices"][0][part].get("content", "")
    return text


def _expect(condition: bool, otherwise: str) -> None:
    if not condition:
        raise _Failed(f"{otherwise}.")

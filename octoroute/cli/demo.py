"""`octoroute demo`: a simulated fleet and the router in front of it, so that the main job shows at once."""

from __future__ import annotations

import shlex
from functools import partial

import click
import trio

from octoroute import daemon
from octoroute.cli.options import EXIT_FAILED, fail
from octoroute.cli.serve import configure_logs
from octoroute.config.model import TIERS, Config, Endpoint, Observability, Routing, Server, Tier
from octoroute.errors import StartError
from octoroute.simulation import serve_simulated

EXAMPLES = (
    ("fast", {"message": "What's the weather like?"}),
    ("balanced", {"message": "Explain quantum computing in simple terms", "task_type": "question_answer"}),
    ("deep", {"message": "Design a distributed consensus algorithm", "importance": "high"}),
)
"""One request for each tier, as the rules route them."""


@click.command("demo")
@click.option(
    "--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="Address to listen on."
)
@click.option(
    "--port",
    metavar="PORT",
    default=3000,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 takes any free one.",
)
def demo_command(host: str, port: int) -> None:
    """Start a simulated fleet of three tiers, and the router in front of it.

    No model is needed: every answer is made up, and says so.
    """
    configure_logs(Observability())
    click.echo("DEMO: the three model servers are simulated; their answers are made up and say so.", err=True)
    try:
        trio.run(_run, host, port)
    except StartError as error:
        fail(f"{error} (`octoroute demo --port …` chooses another port.)", EXIT_FAILED)


async def _run(host: str, port: int) -> None:
    failure: StartError | None = None
    async with trio.open_nursery() as nursery:
        config = await simulated_fleet(nursery, Server(host=host, port=port))
        try:
            running: daemon.Daemon = await nursery.start(
                partial(daemon.run, config, partial(click.echo, err=True))
            )
        except StartError as error:
            failure = error
        else:
            click.echo(_try_these(running.url), err=True)
            await running.served.wait()
        nursery.cancel_scope.cancel("the demo's router has stopped")
    if failure is not None:
        raise failure  # outside of the nursery's exception group


async def simulated_fleet(nursery: trio.Nursery, server: Server) -> Config:
    """Start three simulated model servers in `nursery`; the configuration of a router in front of them."""
    models: dict[Tier, tuple[Endpoint, ...]] = {}
    for tier in TIERS:
        name = f"simulated-{tier}"
        base_url = await nursery.start(serve_simulated, tier, name, name=name)
        models[tier] = (Endpoint(name=name, base_url=base_url),)
    return Config(models=models, server=server, routing=Routing(strategy="rule"))


def _try_these(url: str) -> str:
    lines = ["\nTry these in another terminal; Ctrl-C stops the demo:"]
    for tier, body in EXAMPLES:
        text = ", ".join(f'"{key}": "{value}"' for key, value in body.items())
        lines.append(f"  # {tier}\n  curl {url}/chat -d {shlex.quote('{' + text + '}')}")
    lines.append(f"  curl {url}/metrics")
    return "\n".join(lines)

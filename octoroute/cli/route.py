"""`octoroute route`: explain, without a server, which tier a prompt would go to."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import get_args

import click
import msgspec

from octoroute.cli.options import DEFAULT_FILE, config_option, load_or_exit
from octoroute.config.model import Importance, Routing
from octoroute.openai.request import Message, TaskType
from octoroute.routing import rules
from octoroute.routing.facts import Facts, gather
from octoroute.routing.route import Route
from octoroute.routing.router import by_rules


@click.command("route")
@click.argument("prompt")
@click.option("--importance", type=click.Choice(get_args(Importance), case_sensitive=False))
@click.option("--task-type", type=click.Choice(get_args(TaskType), case_sensitive=False))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@config_option
@click.pass_obj
def route_command(  # noqa: PLR0917  # click passes them by name
    outer: Path | None,
    prompt: str,
    importance: Importance | None,
    task_type: TaskType | None,
    as_json: bool,
    config: Path | None,
) -> None:
    """Explain which tier PROMPT would go to, by which rule, and from which facts. "-" reads it from stdin."""
    settings = _routing(config or outer)
    text = sys.stdin.read() if prompt == "-" else prompt
    facts = gather(
        [Message("user", text)],
        importance=importance,
        task_type=task_type,
        default_importance=settings.default_importance,
        has_tools=False,
    )
    route = by_rules(facts, settings.default_tier)
    if as_json:
        answer = {
            "tier": route.tier,
            "strategy": route.strategy,
            "reason": route.reason,
            "rule": route.rule,
            "facts": facts,
        }
        click.echo(msgspec.json.format(msgspec.json.encode(answer), indent=2).decode())
    else:
        click.echo(_explanation(route, facts))


def _routing(path: Path | None) -> Routing:
    """The configured `[routing]`; its defaults where no file is named and none is there."""
    if path is None and "OCTOROUTE_CONFIG" not in os.environ and not DEFAULT_FILE.exists():
        return Routing()
    return load_or_exit(path).routing


def _explanation(route: Route, facts: Facts) -> str:
    lines = [
        f"tier             {route.tier}",
        f"reason           {route.reason}",
        f"rule             {route.rule}: {rules.RULES[route.rule or 0]}",
    ]
    lines += [f"{name:<16} {_shown(value)}" for name, value in msgspec.to_builtins(facts).items()]
    return "\n".join(lines)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return "unknown" if value is None else str(value)

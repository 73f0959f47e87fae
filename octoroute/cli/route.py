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
from octoroute.routing.router import by_rules, needs_model


@click.command("route")
@click.argument("prompt")
@click.option(
    "--importance",
    type=click.Choice(get_args(Importance), case_sensitive=False),
    help="How much it matters (default: [routing] default_importance).",
)
@click.option(
    "--task-type",
    type=click.Choice(get_args(TaskType), case_sensitive=False),
    help="What kind of task it is; else it is read from PROMPT.",
)
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
    asks = needs_model(settings.strategy, facts)
    # Under "llm" the rules were not asked, whatever they would have said.
    by_rule = None if settings.strategy == "llm" else route
    if as_json:
        answer = {
            "tier": None if asks else route.tier,
            "strategy": "llm" if asks else route.strategy,
            "reason": by_rule and by_rule.reason,
            "rule": by_rule and by_rule.rule,
            "facts": facts,
        }
        click.echo(msgspec.json.format(msgspec.json.encode(answer), indent=2).decode())
        return
    tier = f"a model of tier {settings.router_tier} decides ([routing] strategy = {settings.strategy})"
    click.echo(_explanation(tier if asks else route.tier, by_rule, facts))


def _routing(path: Path | None) -> Routing:
    """The configured `[routing]`; its defaults where no file is named and none is there."""
    if path is None and "OCTOROUTE_CONFIG" not in os.environ and not DEFAULT_FILE.exists():
        return Routing()
    return load_or_exit(path).routing


def _explanation(tier: str, by_rule: Route | None, facts: Facts) -> str:
    lines = [f"tier             {tier}"]
    if by_rule is not None:
        lines.append(f"reason           {by_rule.reason}")
        lines.append(f"rule             {by_rule.rule}: {rules.RULES[by_rule.rule or 0]}")
    lines += [f"{name:<16} {_shown(value)}" for name, value in msgspec.to_builtins(facts).items()]
    return "\n".join(lines)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return "unknown" if value is None else str(value)

"""`octoroute eval`: what the configured strategy is worth on requests whose answers were judged."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, get_args

import click
import trio
from msgspec.structs import replace

from octoroute.cli.options import DEFAULT_FILE, EXIT_FAILED, EXIT_INVALID, config_option, fail, load_or_exit
from octoroute.config.model import Config, Routing, Strategy

if TYPE_CHECKING:
    from octoroute.evaluation.dataset import Row
    from octoroute.evaluation.result import Result

_TERMINAL_SECONDS, _LOG_SECONDS = 0.2, 10.0
"""How often progress is told: on a terminal in one line that changes, elsewhere in lines of their own."""


@click.command("eval")
@click.argument("data", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--strategy",
    type=click.Choice(get_args(Strategy)),
    help="Instead of the configured one (rule, where there is no configuration).",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--html",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Also write a page to this file.",
)
@click.option(
    "--concurrency",
    metavar="N",
    type=click.IntRange(1, 256),
    default=4,
    show_default=True,
    help="How many rows may ask a router model at once.",
)
@click.option(
    "--resamples",
    metavar="N",
    type=click.IntRange(0, 100_000),
    default=1000,
    show_default=True,
    help="Of the bootstrap that the 95 % intervals come from; 0 for none.",
)
@config_option
@click.pass_obj
def eval_command(  # noqa: PLR0917  # click passes them by name
    outer: Path | None,
    data: Path,
    strategy: Strategy | None,
    as_json: bool,
    html: Path | None,
    concurrency: int,
    resamples: int,
    config: Path | None,
) -> None:
    """Measure the configured strategy on DATA, JSON lines (also gzipped).

    \b
    A row is a request and what it is judged by:
      {"prompt": "…", "scores": {"fast": 0, "balanced": 1, "deep": 1}}
      {"messages": […], "importance": "high", "task_type": "code", "tier": "deep"}

    Strategy rule works offline; llm and hybrid ask the configured router models. Ctrl-C stops, and reports what
    was decided so far.
    """
    # Imported when needed, so that other commands start no slower.
    from octoroute.evaluation import dataset, page, report  # noqa: PLC0415  # late: others start faster

    settings = _settings(config or outer, strategy)
    try:
        rows = dataset.read(data)
    except dataset.DatasetError as error:
        fail(str(error), EXIT_INVALID)
    found = _evaluated(data, rows, settings, concurrency, resamples)
    if html is not None:
        try:
            html.write_text(page.to_html(found), encoding="utf-8")
        except OSError as error:
            fail(f"Can't write {html}: {error.strerror}.", EXIT_FAILED)
    click.echo(report.to_json(found) if as_json else report.to_text(found))


def _settings(path: Path | None, strategy: Strategy | None) -> Config:
    if path is None and "OCTOROUTE_CONFIG" not in os.environ and not DEFAULT_FILE.exists():
        if strategy not in {None, "rule"}:
            fail(
                f"Strategy {strategy} asks a model, and there is no configuration: name one with --config.",
                EXIT_INVALID,
            )
        return Config(models={}, routing=Routing(strategy="rule"))
    config = load_or_exit(path)
    return config if strategy is None else replace(config, routing=replace(config.routing, strategy=strategy))


def _evaluated(data: Path, rows: list[Row], settings: Config, concurrency: int, resamples: int) -> Result:
    from octoroute.evaluation.result import result  # noqa: PLC0415  # as above
    from octoroute.evaluation.run import Run  # noqa: PLC0415  # as above

    run = Run(rows, settings, concurrency=concurrency)
    trio.run(run.run, _progress(len(rows)))
    if not run.decided:
        fail("Interrupted before anything was decided.", EXIT_FAILED)
    if run.stopped:
        click.echo("\n" if sys.stderr.isatty() else "", err=True, nl=False)  # below the line of progress
        click.echo(f"Interrupted: {len(run.decided):,} of {len(rows):,} rows were decided.", err=True)
    measured = partial(
        result,
        str(data),
        settings.routing.strategy,
        len(rows),
        run.decided,
        stopped=run.stopped,
        tier_fallback=settings.routing.tier_fallback,
    )
    try:
        return measured(resamples=resamples)
    except KeyboardInterrupt:
        click.echo("Interrupted: the figures are without intervals.", err=True)
        return measured(resamples=0)


def _progress(total: int) -> Callable[[], None]:
    """To be called after every row; tells seldom, on stderr, and nothing of a run that is over at once."""
    terminal = sys.stderr.isatty()
    pause = _TERMINAL_SECONDS if terminal else _LOG_SECONDS
    done, told, start = 0, monotonic(), monotonic()

    def step() -> None:
        nonlocal done, told
        done += 1
        now = monotonic()
        if now - told < pause and not (terminal and done == total):
            return
        told = now
        left = (now - start) / done * (total - done)
        line = f"{done:,} of {total:,} rows, {left:.0f} s left"
        click.echo(f"\r{line}\x1b[K" if terminal else line, err=True, nl=not terminal or done == total)

    return step

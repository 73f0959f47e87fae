"""One command that measures Octoroute, its stack's floor and LiteLLM under the same load (see README.md)."""

import argparse
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, NoReturn

import msgspec

from benchmarks import procfs, targets
from benchmarks.load import Figures, Job
from benchmarks.report import Outcome, Verdict, table, verdicts

_NAMES = ("direct", "floor", "octoroute", "litellm")
_SETTLE_SECONDS = 10.0
_LOAD_MARGIN = 30.0  # beyond warm-up and window, before a stuck load generator is killed


class _Plan(NamedTuple):
    """How long and how often; times in seconds."""

    rounds: int
    seconds: float
    warmup: float
    paced_seconds: float
    starts: int
    connections: int
    streams: int

    def job(self, scenario: str, server: targets.Server, upstream: targets.Server, *, exact: bool) -> Job:
        paced = scenario == "paced"
        return Job(
            port=server.port,
            kind="paced" if paced else "stream" if scenario.startswith("stream") else "buffered",
            connections=self.streams if paced else self.connections if scenario.endswith("many") else 1,
            warmup=1.5 if paced else self.warmup,
            seconds=self.paced_seconds if paced else self.seconds,
            exact=exact,
            server_pid=server.pid,
            upstream_pid=upstream.pid,
        )


class _Measured(NamedTuple):
    target: targets.Target
    server: targets.Server
    outcome: Outcome


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="few and short rounds: a look, no figures to quote"
    )
    parser.add_argument("--rounds", type=int, help="rounds over all targets (default 5, quick 2)")
    parser.add_argument("--seconds", type=float, help="length of each measured window (default 3, quick 1)")
    parser.add_argument("--connections", type=int, default=16, help="clients of the closed loop (default 16)")
    parser.add_argument("--streams", type=int, default=60, help="streams at 100 tokens/s each (default 60)")
    parser.add_argument(
        "--targets",
        default=",".join(_NAMES),
        metavar="LIST",
        help=f"which of {','.join(_NAMES)}; direct always is",
    )
    parser.add_argument(
        "--litellm-venv",
        type=Path,
        default=targets.REPOSITORY / ".venv-litellm",
        metavar="DIR",
        help="LiteLLM's own virtual environment, made where it is missing (default: .venv-litellm)",
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write every figure of every round there, too"
    )
    arguments = parser.parse_args()
    arguments.chosen = {name.strip() for name in arguments.targets.split(",") if name.strip()} | {"direct"}
    if unknown := arguments.chosen - set(_NAMES):
        parser.error(f"unknown target {', '.join(sorted(unknown))}: choose from {', '.join(_NAMES)}")
    for name in ("rounds", "seconds", "connections", "streams"):
        if (value := getattr(arguments, name)) is not None and value <= 0:
            parser.error(f"--{name} must be above 0")
    return arguments


def _plan(arguments: argparse.Namespace) -> _Plan:
    quick: bool = arguments.quick
    return _Plan(
        rounds=arguments.rounds or (2 if quick else 5),
        seconds=arguments.seconds or (1.0 if quick else 3.0),
        warmup=0.3 if quick else 0.5,
        paced_seconds=2.0 if quick else 5.0,
        starts=1 if quick else 3,
        connections=arguments.connections,
        streams=arguments.streams,
    )


def _machine() -> dict[str, object]:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": model,
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_average_before": round(os.getloadavg()[0], 2),
    }


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _measure(job: Job) -> Figures:
    """Run the load generator once, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.load", msgspec.json.encode(job).decode()]
    limit = job.warmup + job.seconds + _LOAD_MARGIN
    try:
        done = subprocess.run(
            command,
            cwd=targets.REPOSITORY,
            check=True,
            capture_output=True,
            timeout=limit,
            start_new_session=True,  # a Ctrl-C reaches us alone; run() kills it on the way out
        )
    except subprocess.TimeoutExpired:
        return Figures(errors=[f"the load generator did not end within {limit:g} s"])
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="replace").strip().splitlines()
        return Figures(errors=[f"the load generator failed: {lines[-1] if lines else error}"])
    return msgspec.json.decode(done.stdout, type=Figures)


def _settle(pid: int) -> None:
    """Wait until the server rests, so that one target's backlog is not in another one's figures."""
    deadline = time.perf_counter() + _SETTLE_SECONDS
    while time.perf_counter() < deadline:
        before = procfs.cpu_seconds(pid)
        time.sleep(0.3)
        if procfs.cpu_seconds(pid) - before <= 0.03:
            return


def _remember_memory(measured: _Measured, when: str) -> None:
    used = procfs.memory(measured.server.pid)
    measured.outcome.memory_mib.update({f"rss_{when}": used.rss, f"pss_{when}": used.pss})


def _start(
    target: targets.Target,
    outcome: Outcome,
    *,
    starts: int,
    upstream_port: int,
    folder: Path,
    stack: ExitStack,
) -> _Measured | None:
    """Start the target as often as its start is to be timed; the last one stays up, on the stack."""
    _say(f"starting {target.name}")
    try:
        for _ in range(starts - 1):
            with targets.running(target, upstream_port, folder) as server:
                outcome.startup_seconds.append(server.startup)
        server = stack.enter_context(targets.running(target, upstream_port, folder))
    except targets.TargetError as error:
        outcome.note = f"FAILED to start: {error}"
        outcome.startup_seconds.clear()
        return None
    outcome.startup_seconds.append(server.startup)
    measured = _Measured(target, server, outcome)
    _settle(server.pid)
    _remember_memory(measured, "idle")
    return measured


def _warm_up(plan: _Plan, running: list[_Measured], upstream: targets.Server) -> None:
    """A discarded run of each kind: imports on first use, pools and caches are nobody's running cost."""
    for target, server, outcome in running:
        _say(f"warming up {target.name}")
        for scenario in ("many", "stream_many"):
            figures = _measure(plan.job(scenario, server, upstream, exact=target.exact))
            if figures.errors and not outcome.note:
                outcome.note = f"FAILED while warming up: {figures.errors[0]}"
        _settle(server.pid)


def _phase(plan: _Plan, scenarios: Sequence[str], running: list[_Measured], upstream: targets.Server) -> None:
    """All rounds of these scenarios; each target in turn, a different one first in every round."""
    for number in range(plan.rounds):
        for scenario in scenarios:
            _say(f"round {number + 1} of {plan.rounds}: {scenario}")
            turn = number % len(running)
            for measured in running[turn:] + running[:turn]:
                target, server, outcome = measured
                if outcome.note:
                    continue
                figures = _measure(plan.job(scenario, server, upstream, exact=target.exact))
                outcome.rounds[number][scenario] = figures
                if figures.errors:
                    outcome.note = f"FAILED in {scenario!r}: {figures.errors[0]}"
                _settle(server.pid)


def _bottlenecks(running: Sequence[_Measured]) -> list[str]:
    """Where the load generator or the model server was busy too, so that the target was not alone to blame."""
    notes: set[str] = set()
    for target, _, outcome in running:
        for round_ in outcome.rounds:
            for scenario, figures in round_.items():
                for who, used in (
                    ("load generator", figures.load_cpu),
                    ("model server", figures.upstream_cpu),
                ):
                    if target.name != "direct" and figures.window and used / figures.window > 0.85:
                        notes.add(f"note: in {scenario!r} of {target.name} the {who} was at its limit")
    return sorted(notes)


def _overload(outcome: Outcome) -> str:
    unfinished = max(
        (round_["paced"].unfinished for round_ in outcome.rounds if "paced" in round_), default=0
    )
    return (
        f"{unfinished} paced streams had not ended 5 s after their last token was due" if unfinished else ""
    )


def _evidence(measured: _Measured) -> str:
    """That logs and metrics were really on while Octoroute was measured."""
    url = f"http://127.0.0.1:{measured.server.port}/metrics"
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            lines = response.read().decode().splitlines()
    except OSError as error:
        return f"octoroute: /metrics did not answer: {error}"
    counted = sum(float(line.split()[-1]) for line in lines if line.startswith("octoroute_requests_total{"))
    with measured.server.log.open("rb") as log:
        logged = sum(1 for line in log if line.startswith(b"{"))
    return f"octoroute wrote {logged:,} JSON log lines and counted {counted:,.0f} requests in its metrics"


def _run(plan: _Plan, chosen: set[str], litellm_venv: Path, outcomes: dict[str, Outcome]) -> list[str]:
    """Measure all targets into `outcomes`; gives the remarks to print under the table."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="octoroute-benchmark-")))
        kinds = [targets.direct()]
        if "floor" in chosen:
            kinds.append(targets.floor())
        if "octoroute" in chosen:
            kinds.append(targets.octoroute())
        outcomes.update({kind.name: Outcome() for kind in kinds})
        if "litellm" in chosen:
            try:
                outcomes["litellm"] = Outcome(version=targets.install_litellm(litellm_venv))
                kinds.append(targets.litellm(litellm_venv))
            except targets.TargetError as error:
                outcomes["litellm"] = Outcome(note=f"SKIPPED, it cannot be installed: {error}")
        running: list[_Measured] = []
        for kind in kinds:
            # "direct" comes first, and is the others' model server.
            port = running[0].server.port if running else 0
            measured = _start(
                kind, outcomes[kind.name], starts=plan.starts, upstream_port=port, folder=folder, stack=stack
            )
            if measured is not None:
                measured.outcome.rounds += [{} for _ in range(plan.rounds)]
                running.append(measured)
            elif not running:
                raise targets.TargetError(f"the model server: {outcomes['direct'].note}")
        upstream = running[0].server
        _warm_up(plan, running, upstream)
        _phase(plan, ("one", "many", "stream_one", "stream_many"), running, upstream)
        for measured in running:
            _remember_memory(measured, "loaded")
        # Last: who can't keep up with it is left with a backlog.
        _phase(plan, ("paced",), running, upstream)
        remarks = [f"{m.target.name}: {text}" for m in running if (text := _overload(m.outcome))]
        remarks += [_evidence(m) for m in running if m.target.name == "octoroute"]
        return remarks + _bottlenecks(running)


def _not_quiet(load_average: float) -> list[str]:
    if load_average < 0.5:
        return []
    return [
        f"note: the load average was {load_average:.1f} before the start: on a quiet machine figures are better"
    ]


def _print(outcomes: dict[str, Outcome], plan: _Plan, remarks: list[str], judged: list[Verdict]) -> None:
    spread = f"medians of {plan.rounds} rounds of {plan.seconds:g} s, ± half the range between rounds"
    print(f"\n{spread}\n\n{table(outcomes, connections=plan.connections, streams=plan.streams)}\n")
    print("\n".join(remarks))
    for verdict in judged:
        word = {True: "PASS", False: "MISS", None: "----"}[verdict.passed]
        print(f"{word}  {verdict.text}")


def _terminated(signum: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + signum)


def main() -> int:
    """Exit code 0 when all that was started could be measured, whatever the figures; 1 when not; 130 on Ctrl-C."""
    arguments = _arguments()
    if not Path("/proc/self/stat").exists():
        _say("the benchmark reads CPU times and memory from /proc, so it needs Linux")
        return 1
    signal.signal(signal.SIGTERM, _terminated)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a shell started us with it ignored
    plan, machine, busy = _plan(arguments), _machine(), _not_quiet(os.getloadavg()[0])
    print(", ".join(f"{key.replace('_', ' ')} {value}" for key, value in machine.items()), flush=True)
    outcomes: dict[str, Outcome] = {}
    try:
        remarks = busy + _run(plan, arguments.chosen, arguments.litellm_venv.absolute(), outcomes)
    except targets.TargetError as error:
        _say(str(error))
        return 1
    except KeyboardInterrupt:
        _say("interrupted; all servers are stopped")
        return 130
    judged = verdicts(outcomes, streams=plan.streams)
    _print(outcomes, plan, remarks, judged)
    if arguments.json:
        everything = {
            "machine": machine,
            "plan": plan._asdict(),
            "targets": outcomes,
            "verdicts": [verdict._asdict() for verdict in judged],
            "remarks": remarks,
        }
        arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(everything)) + b"\n")
    return 1 if any(outcome.note.startswith("FAILED") for outcome in outcomes.values()) else 0


if __name__ == "__main__":
    sys.exit(main())

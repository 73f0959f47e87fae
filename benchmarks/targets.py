"""The servers that are measured: how each is started, when it counts as started, and how it is stopped."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from benchmarks import payloads

REPOSITORY = Path(__file__).resolve().parent.parent
_STOP_SECONDS = 5.0
_INSTALL_SECONDS = 900.0


class TargetError(Exception):
    """A server did not start, or LiteLLM could not be installed; the message says why."""


class Target(NamedTuple):
    """A kind of server. `prepare` gets its port, the model server's and a folder, and gives its command line.

    `exact`: its answers must be the model server's bytes, not only their meaning.
    """

    name: str
    prepare: Callable[[int, int, Path], list[str]]
    exact: bool = True
    start_seconds: float = 30.0
    environment: tuple[tuple[str, str], ...] = ()


class Server(NamedTuple):
    """A running server; `startup` is the time in seconds from its spawn to its first right answer."""

    pid: int
    port: int
    startup: float
    log: Path


def direct() -> Target:
    """The model server itself: what an answer costs with nothing in between."""
    return Target("direct", lambda port, _upstream, _folder: _module("benchmarks.upstream", str(port)))


def floor() -> Target:
    return Target("floor", lambda port, _upstream, _folder: _module("benchmarks.floor", str(port)))


def octoroute() -> Target:
    """Everything on: rules over three tiers, probes, metrics, a JSON line per request into a file."""

    def prepare(port: int, upstream: int, folder: Path) -> list[str]:
        tiers = "".join(
            f'[[models.{tier}]]\nname = "bench-{tier}"\nmodel = "bench"\n'
            f'base_url = "http://127.0.0.1:{upstream}/v1"\n'
            for tier in ("fast", "balanced", "deep")
        )
        path = folder / "octoroute.toml"
        path.write_text(
            f'[server]\nhost = "127.0.0.1"\nport = {port}\n{tiers}'
            '[routing]\nstrategy = "rule"\n'
            '[observability]\nlog_level = "info"\nlog_format = "json"\n'
        )
        return _module("octoroute", "--config", str(path))

    return Target("octoroute", prepare)


def litellm(venv: Path) -> Target:
    """LiteLLM's proxy as lean as it goes: one worker, no database, no keys, no callbacks, errors logged only."""

    def prepare(port: int, upstream: int, folder: Path) -> list[str]:
        path = folder / "litellm.yaml"
        path.write_text(
            "model_list:\n"
            "  - model_name: auto\n"
            "    litellm_params:\n"
            "      model: openai/bench\n"
            f"      api_base: http://127.0.0.1:{upstream}/v1\n"
            "      api_key: none\n"
            "litellm_settings:\n"
            "  telemetry: false\n"
        )
        where = ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
        return [str(venv / "bin" / "litellm"), "--config", str(path), *where]

    environment = {
        "LITELLM_LOG": "ERROR",
        "LITELLM_TELEMETRY": "False",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it fetches a price list from the internet
        # It starts without a key only when told so; open, as Octoroute is here.
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
        "NO_DOCS": "True",
    }
    return Target(
        "litellm", prepare, exact=False, start_seconds=120.0, environment=tuple(environment.items())
    )


def install_litellm(venv: Path) -> str:
    """Make LiteLLM's virtual environment where it is missing; gives its version, or raises TargetError."""
    python = venv / "bin" / "python"
    try:
        if not (venv / "bin" / "litellm").exists():
            print(f"installing litellm[proxy] into {venv} (some 750 MB; once)", file=sys.stderr)
            _quietly([sys.executable, "-m", "venv", str(venv)])
            _quietly([str(python), "-m", "pip", "install", "--quiet", "litellm[proxy]"])
        return _quietly([str(python), "-c", "from importlib.metadata import *; print(version('litellm'))"])
    except (OSError, subprocess.SubprocessError) as error:
        lines = str(getattr(error, "stderr", None) or error).strip().splitlines()
        raise TargetError(lines[-1] if lines else repr(error)) from error


def _quietly(command: list[str]) -> str:
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=_INSTALL_SECONDS)
    return done.stdout.strip()


def _module(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", name, *arguments]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(target: Target, upstream_port: int, folder: Path) -> Iterator[Server]:
    """Start the server, wait for its first right answer, and stop it, with all its children, at the end.

    `upstream_port` is unused by who answers by itself. Raises TargetError where it does not come up in time.
    """
    port = _free_port()
    command = target.prepare(port, upstream_port, folder)
    # Nothing of the user's: no proxies, no keys, no settings from a home folder.
    environment = {"PATH": os.defpath, "HOME": str(folder), "LC_ALL": "C.UTF-8", **dict(target.environment)}
    log = folder / f"{target.name}.log"
    with log.open("ab") as sink:
        spawned = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,  # a Ctrl-C reaches us alone, and a group can be killed whole
        )
    try:
        _wait_for_answer(process, port, target, spawned + target.start_seconds, log)
        yield Server(process.pid, port, time.perf_counter() - spawned, log)
    finally:
        _stop(process)


def _wait_for_answer(
    process: subprocess.Popen[bytes], port: int, target: Target, deadline: float, log: Path
) -> None:
    fault = "no connection"
    while time.perf_counter() < deadline:
        if process.poll() is not None:
            tail = log.read_text(errors="replace").strip().splitlines()[-3:]
            raise TargetError(f"ended with code {process.returncode}: " + " | ".join(tail))
        try:
            status, body = _post(port)
        except (OSError, http.client.HTTPException) as error:
            fault = str(error)
        else:
            wrong = payloads.check_buffered(body, exact=target.exact)
            if status == 200 and wrong is None:
                return
            fault = wrong if status == 200 and wrong else f"status {status}: {body[:200]!r}"
        time.sleep(0.005)
    raise TargetError(f"no right answer within {target.start_seconds:g} s; the last: {fault}")


def _post(port: int) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        headers = {"content-type": "application/json"}
        connection.request("POST", "/v1/chat/completions", payloads.BUFFERED_REQUEST, headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # itself, if it did not listen, and its children
        process.wait()

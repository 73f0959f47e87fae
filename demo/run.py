"""The demo: three real llama.cpp servers as the fast, balanced and deep tier, and Octoroute in front.

    python -m demo.run             start it, say what to try, stay until Ctrl-C
    python -m demo.run --once      send one request for each tier; exit 0 if each tier answered its own

All three run the same small model (SmolLM2-135M), each in a process of its own, so that the demo needs
about a gigabyte of memory and no download. `octoroute demo` shows the routing without any model.
"""

from __future__ import annotations

import argparse
import json
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import httpx

from demo.llama_server import ROOT, LlamaServer, LlamaServerError, missing

CONTEXTS = {"fast": 1024, "balanced": 2048, "deep": 4096}
"""The tiers, and the context window of each one's server."""


@dataclass(frozen=True)
class Example:
    """A request under `model: "auto"` that the rules route to one tier."""

    tier: str
    why: str
    prompt: str
    fields: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """Return the request's JSON body."""
        messages = [{"role": "user", "content": self.prompt}]
        return {"model": "auto", "messages": messages, "max_tokens": 40, **self.fields}

    def curl(self, url: str) -> str:
        """Return the request as a shell command."""
        headers = [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in self.headers.items()]
        return " ".join(
            ["curl -i", f"{url}/v1/chat/completions", *headers, "-d", shlex.quote(json.dumps(self.body()))]
        )


EXAMPLES = (
    Example("fast", "small talk", "Hello, how are you?"),
    Example(
        "balanced",
        "code, as the request's metadata says",
        "Write a Python function that reverses a string.",
        {"metadata": {"task_type": "code"}},
    ),
    Example(
        "deep",
        "important, as a header says",
        "Explain why the sky is blue.",
        headers={"X-Octoroute-Importance": "high"},
    ),
)


def configuration(servers: dict[str, LlamaServer], port: int) -> str:
    """Return the configuration file for this fleet. The values here need no TOML escapes beyond JSON's."""
    lines = ["[server]", 'host = "127.0.0.1"', f"port = {port}"]
    for tier, server in servers.items():
        lines += ["", f"[[models.{tier}]]"]
        values = {"name": server.alias, "base_url": server.base_url, "context_window": server.ctx}
        lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    return "\n".join([*lines, ""])


def free_port(first: int) -> int:
    """Return the first free port from `first` on, of the loopback interface."""
    for port in range(first, min(first + 100, 65536)):
        with socket.socket() as trial, suppress(OSError):
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(("127.0.0.1", port))
            return port
    return _fail(f"no free port from {first} on")


@contextmanager
def models() -> Iterator[dict[str, LlamaServer]]:
    """Run one llama.cpp server for each tier, started together."""
    servers = {tier: LlamaServer(f"smollm2-{tier}", ctx=ctx) for tier, ctx in CONTEXTS.items()}
    with ExitStack() as stack:
        for server in servers.values():
            stack.callback(server.kill)
            server.launch()
        for server in servers.values():
            server.wait_ready()
        yield servers


@contextmanager
def router(config: Path, url: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run `octoroute` with this configuration file; it is ready when this yields, and stopped afterwards.

    In a session of its own, Ctrl-C reaches only us: we stop it, while its models are still there.
    """
    command = [sys.executable, "-m", "octoroute", "--config", str(config)]
    process = subprocess.Popen(command, cwd=ROOT, start_new_session=True)  # our own program
    try:
        _await_ready(process, url)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(40)  # it drains for at most 30 s
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_ready(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + 30
    with httpx.Client(trust_env=False, timeout=5) as client:
        while time.monotonic() < deadline:
            if process.poll() is not None:
                _fail(f"octoroute ended while starting, with exit code {process.returncode}")
            with suppress(httpx.HTTPError):
                if client.get(f"{url}/health/ready").status_code == httpx.codes.OK:
                    return
            time.sleep(0.1)
    _fail(f"octoroute was not ready within 30 s: see {url}/health/ready")


def ask_each(url: str) -> bool:
    """Send the three requests and print what became of them; tell whether each went to its tier."""
    good = True
    with httpx.Client(trust_env=False, timeout=120) as client:
        for example in EXAMPLES:
            answer = client.post(f"{url}/v1/chat/completions", json=example.body(), headers=example.headers)
            route = {key: answer.headers.get(f"x-octoroute-{key}") for key in ("tier", "model", "reason")}
            good = good and answer.status_code == httpx.codes.OK and route["tier"] == example.tier
            _say(f"\n{example.prompt}  ({example.why})")
            _say(f"  status {answer.status_code}, " + ", ".join(f"{k} {v}" for k, v in route.items()))
            _say(f"  {_text(answer)}")
        _say("\nmetrics:")
        for line in client.get(f"{url}/metrics").text.splitlines():
            if line.startswith(("octoroute_requests_total{", "octoroute_model_invocations_total{")):
                _say(f"  {line}")
    return good


def _text(answer: httpx.Response) -> str:
    with suppress(ValueError, LookupError, TypeError):
        return " ".join(str(answer.json()["choices"][0]["message"]["content"]).split())
    return answer.text[:500]


def introduce(url: str) -> None:
    """Print the commands to try."""
    _say(f"\nOctoroute is at {url}, in front of three llama.cpp servers. Try in another terminal:")
    for example in EXAMPLES:
        _say(f"\n  # {example.why}: {example.tier} (see x-octoroute-tier)\n  {example.curl(url)}")
    _say(f"\n  # what it has counted\n  curl {url}/metrics\n\nCtrl-C stops it all.")


def _say(text: str) -> None:
    print(text, flush=True)  # a program for people


def _fail(message: str) -> NoReturn:
    sys.exit(f"demo: {message}")


def main() -> None:
    """Start everything, show it, stop everything."""
    parser = argparse.ArgumentParser(prog="python -m demo.run", description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=3000, help="or the next free one (default: %(default)s)")
    parser.add_argument("--once", action="store_true", help="send one request for each tier, then stop")
    options = parser.parse_args()
    if problem := missing():
        _fail(problem)
    if find_spec("octoroute") is None:
        _fail("octoroute is not installed: pip install .")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stops everything as Ctrl-C does
    good = True
    try:
        _say("starting three llama.cpp servers …")
        with models() as servers, tempfile.TemporaryDirectory(prefix="octoroute-demo-") as folder:
            port = free_port(options.port)
            url = f"http://127.0.0.1:{port}"
            config = Path(folder) / "config.toml"
            config.write_text(configuration(servers, port), encoding="utf-8")
            with router(config, url) as process:
                if options.once:
                    good = ask_each(url)
                else:
                    introduce(url)
                    _fail(f"octoroute ended, with exit code {process.wait()}")
    except LlamaServerError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        _say("\nstopped")
    if not good:
        _fail("not every request was answered by its tier")


if __name__ == "__main__":
    main()

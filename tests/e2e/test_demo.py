"""The demo does what it says: real models, three tiers, and nothing left behind."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys

import httpx
import pytest

from demo.llama_server import ROOT
from demo.run import EXAMPLES, free_port

RUN = [sys.executable, "-m", "demo.run", "--port"]


def test_once_gets_three_answers_from_three_tiers() -> None:
    done = subprocess.run(
        [*RUN, str(free_port(3400)), "--once"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for example in EXAMPLES:
        assert f"tier {example.tier}, model smollm2-{example.tier}" in done.stdout
    assert "octoroute_requests_total{" in done.stdout


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_stays_until_interrupted_and_leaves_nothing(how: signal.Signals) -> None:
    port = free_port(3400)
    with subprocess.Popen([*RUN, str(port)], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = []
            for line in process.stdout:
                said.append(line)
                if "Ctrl-C" in line:
                    break
            url = f"http://127.0.0.1:{port}"
            listed = httpx.get(f"{url}/models", timeout=10, trust_env=False).json()
            servers = [model["endpoint"] for model in listed["models"]]
            assert len(servers) == 3
            process.send_signal(how)
            assert process.wait(60) == 0
        finally:
            process.kill()
    for gone in (url, *servers):
        with pytest.raises(httpx.ConnectError):
            httpx.get(gone, timeout=5, trust_env=False)
    assert sum("curl" in line for line in said) == 4


def test_the_commands_are_ones_a_shell_understands() -> None:
    for example in EXAMPLES:
        words = shlex.split(example.curl("http://127.0.0.1:3000"))
        assert words[:3] == ["curl", "-i", "http://127.0.0.1:3000/v1/chat/completions"]
        assert json.loads(words[-1])["model"] == "auto"

"""A built binary does what the program does from source, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import requires
from pathlib import Path

import httpx
import pytest
import trio
from packaging.requirements import Requirement

from demo.llama_server import LlamaServer, missing
from octoroute import __version__
from octoroute.cli.config import template
from tests.binary.conftest import BINARIES, ROOT, SECONDS, Binary
from tests.fakes.model_server import FakeModelServer, Ok
from tests.process import DaemonProcess, config_text, octoroute
from tests.raw_client import raw_client, request
from tests.serving import chat
from tests.test_stopping import Held, refused

CHAT = "/v1/chat/completions"
EMULATED = platform.machine() not in BINARIES.name


def started(binary: Binary, path: str) -> AbstractAsyncContextManager[DaemonProcess]:
    """The daemon, which unpacks itself into the test's folder: killed, as most are here, it leaves that behind."""
    env = {"TMPDIR": str(binary.inside), "RUNTIME_DIRECTORY": str(binary.inside / "run")}
    return octoroute("--config", path, cwd=binary.folder, command=binary.command, env=env)


@asynccontextmanager
async def serving(binary: Binary, fake: FakeModelServer, tables: str = "") -> AsyncGenerator[DaemonProcess]:
    """The daemon, in front of a fake."""
    path = binary.configure(config_text(fake) + tables)
    async with started(binary, path) as daemon:
        await daemon.says("/metrics")
        yield daemon


def client(daemon: DaemonProcess) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=daemon.url, trust_env=False, timeout=SECONDS)


# Commands


def test_it_tells_its_version(binary: Binary) -> None:
    done = binary.run("--version")
    assert (done.returncode, done.stderr) == (0, "")
    machine = BINARIES.name.rpartition("-")[2]
    assert re.fullmatch(
        rf"octoroute {re.escape(__version__)} \((commit [0-9a-f]{{12}}(-dirty)?, )?Python 3\.11\.\d+, Linux {machine}\)\n",
        done.stdout,
    )


def test_it_passes_its_self_test(binary: Binary) -> None:
    done = binary.run("--self-test")
    assert (done.returncode, done.stderr) == (0, ""), done
    assert done.stdout.endswith("The self-test passed.\n")


def test_it_has_the_template(binary: Binary) -> None:
    done = binary.run("config")
    assert (done.returncode, done.stdout) == (0, template())
    assert binary.run("config", "-o", str(binary.inside / "new.toml")).returncode == 0
    assert (binary.folder / "new.toml").read_text() == template()


async def test_it_checks_a_configuration(binary: Binary) -> None:
    async with FakeModelServer("small") as fake:
        path = binary.configure(config_text(fake))
        done = await trio.to_thread.run_sync(binary.run, "check", "--config", path)
        assert (done.returncode, done.stderr) == (0, "")
        assert re.search("✓ .*small.*answers", done.stdout)
        path = binary.configure(config_text(fake).replace("base_url", "base-url"))
        done = await trio.to_thread.run_sync(binary.run, "check", "--config", path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "did you mean `base_url`" in done.stderr


def test_it_explains_a_route(binary: Binary) -> None:
    answer = json.loads(binary.run("route", "Schreibe mir ein Gedicht über den Herbst", "--json").stdout)
    assert (answer["tier"], answer["facts"]["task_type"]) == ("deep", "creative_writing")


def test_it_measures_a_strategy(binary: Binary) -> None:
    (binary.folder / "data.jsonl").write_text('{"prompt": "Hi there!", "tier": "fast"}\n')
    done = binary.run("eval", str(binary.inside / "data.jsonl"), "--html", str(binary.inside / "page.html"))
    assert done.returncode == 0, done
    assert (binary.folder / "page.html").read_text().startswith("<!DOCTYPE html>")


# Requests


async def test_a_stream_passes_unchanged(binary: Binary) -> None:
    async with FakeModelServer("small", behaviour=Ok(["Hel", "lo"])) as fake:
        async with serving(binary, fake) as daemon, client(daemon) as http:
            answer = await http.post(CHAT, json=chat("auto", "Hi there!", stream=True))
            metrics = (await http.get("/metrics")).text
        async with httpx.AsyncClient(trust_env=False, timeout=SECONDS) as http:
            direct = await http.post(f"{fake.base_url}/chat/completions", json=chat("small", stream=True))
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = {
        name: answer.headers[f"x-octoroute-{name}"] for name in ("tier", "strategy", "reason", "endpoint")
    }
    assert told == {"tier": "fast", "strategy": "rule", "reason": "casual_chat", "endpoint": "small"}
    assert answer.text.endswith("data: [DONE]\n\n")
    assert len(answer.text) == len(direct.text)
    assert 'octoroute_responses_total{status="200",tier="fast"} 1.0' in metrics


async def test_a_real_model_answers_through_it(binary: Binary) -> None:
    if problem := missing():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(problem)
    with LlamaServer("real") as server:
        path = binary.configure(
            '[server]\nhost = "127.0.0.1"\nport = 0\n'
            f'[[models.fast]]\nname = "real"\nbase_url = "{server.base_url}"\n[routing]\nstrategy = "rule"\n'
        )
        async with started(binary, path) as daemon:
            await daemon.says("/metrics")
            async with client(daemon) as http:
                answer = await http.post(CHAT, json=chat("auto", "Hi there!", stream=True, max_tokens=20))
    assert answer.status_code == 200
    assert answer.headers["x-octoroute-endpoint"] == "real"
    *events, done, end = answer.text.split("\n\n")
    assert (done, end) == ("data: [DONE]", "")
    deltas = [json.loads(event.removeprefix("data: "))["choices"][0]["delta"] for event in events]
    assert "".join(delta.get("content") or "" for delta in deltas).strip()


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A key, and a certificate that it signed itself."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*make.split(), *names, *files], check=True, capture_output=True)
    return key, certificate


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")
async def test_it_speaks_tls_on_both_sides(binary: Binary) -> None:
    key, certificate = make_certificate(binary.folder)
    tls = f'tls_key = "{binary.inside / key.name}"\ntls_cert = "{binary.inside / certificate.name}"\n'
    async with FakeModelServer("small") as fake:
        path = binary.configure(config_text(fake, tls))
        async with started(binary, path) as daemon:
            await daemon.says("/metrics")
            # A second one asks the first: an OpenAI-compatible server like any other.
            path = binary.configure(f'[[models.fast]]\nname = "small"\nbase_url = "{daemon.url}/v1"\n')

            async def check(**env: str) -> subprocess.CompletedProcess[str]:
                return await trio.to_thread.run_sync(lambda: binary.run("check", "--config", path, **env))

            trusting = await check(SSL_CERT_FILE=str(binary.inside / certificate.name))
            doubting = await check()
    assert (trusting.returncode, doubting.returncode) == (0, 1), (trusting, doubting)
    assert "certificate: self-signed certificate" in doubting.stdout


# Signals


def processes(daemon: DaemonProcess) -> list[int]:
    """The process that was started, and what it started: the one file's loader waits for the program."""
    pid = daemon.process.pid
    return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


@pytest.mark.parametrize("told", ["the first", "all"])
async def test_a_signal_to_stop_lets_requests_finish(binary: Binary, told: str) -> None:
    # A terminal and systemd tell all; the loader then hands on what the program got already.
    held = Held()
    async with FakeModelServer(behaviour=held) as fake, serving(binary, fake) as daemon:
        async with raw_client(daemon.url) as http:
            await http.send(request("POST", CHAT, chat(stream=True)))
            with trio.fail_after(SECONDS):
                await http.body_has(b"first")
                for pid in processes(daemon)[: 1 if told == "the first" else None]:
                    os.kill(pid, signal.SIGTERM)
                    await trio.sleep(0.1)  # so that they are two, not one that is still pending
                await refused(daemon.url)
                held.go.set()
                assert (await http.answer()).body.endswith(b"[DONE]\n\n")
        assert await daemon.ended() == 0


async def test_a_hangup_reloads(binary: Binary) -> None:
    tables = '[observability]\nlog_format = "console"\n'
    async with FakeModelServer() as fake, serving(binary, fake, tables) as daemon:
        binary.configure(config_text(fake) + tables + "[queue]\nmax_waiting = 7\n")
        daemon.send(signal.SIGHUP)
        await daemon.says("queue.max_waiting")
        assert daemon.process.poll() is None


async def test_nothing_goes_on_after_it_was_killed(binary: Binary) -> None:
    async with FakeModelServer() as fake, serving(binary, fake) as daemon:
        running = processes(daemon)
        try:
            daemon.send(signal.SIGKILL)
            await refused(daemon.url)
        finally:
            for pid in running:  # one that goes on would hold its end of the pipes, and this test up
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


async def test_nothing_stays_in_the_temporary_folder(binary: Binary) -> None:
    async with FakeModelServer() as fake, serving(binary, fake) as daemon:
        daemon.send(signal.SIGTERM)
        assert await daemon.ended() == 0
    left = {path.name for path in await trio.Path(binary.folder).iterdir()}
    assert left <= {"config.toml", "run"}  # "run" is the admin socket's


# What is in it


def requirements(package: str) -> Iterator[str]:
    """Every package that `package` needs here, itself too."""
    yield re.sub("[-_.]+", "-", package).lower()
    for line in requires(package) or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield from requirements(requirement.name)


def parts() -> list[dict[str, str]]:
    bom = json.loads((BINARIES / "octoroute.cdx.json").read_text())
    assert (bom["bomFormat"], bom["metadata"]["component"]["version"]) == ("CycloneDX", __version__)
    found: list[dict[str, str]] = bom["components"]
    return found


def test_it_has_in_it_what_it_needs_and_nothing_else() -> None:
    python = {part["name"] for part in parts() if part.get("purl", "").startswith("pkg:pypi/")}
    needed = set(requirements("octoroute")) - {"octoroute", "anyio"} | {"pyinstaller"}
    assert python - needed == set()
    assert {"hypercorn", "msgspec", "trio"} <= python
    assert all("purl" in part for part in parts()), "a file that belongs to no package"
    assert not [part["name"] for part in parts() if "readline" in part["name"]]


def test_every_part_has_its_licence_in_it(installed: Path) -> None:
    text = (BINARIES / "THIRD_PARTY_LICENSES").read_text()
    assert (installed / "octoroute-folder/_internal/THIRD_PARTY_LICENSES").read_text() == text
    headings = ", ".join(re.findall(r"^=+\n(.+)\n=+$", text, re.MULTILINE)).split(", ")
    assert {part["name"] for part in parts()} <= set(headings)


# What it costs


def mebibytes_of(pid: int) -> float:
    (kibibytes,) = re.findall(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(kibibytes) / 1024


def bytes_of(binary: Binary) -> int:
    return sum(path.stat().st_size for path in [binary.path, *binary.path.parent.glob("_internal/**/*")])


@pytest.mark.skipif(EMULATED or ROOT is not None, reason="figures of another machine")
async def test_it_is_small_and_starts_soon(binary: Binary, capsys: pytest.CaptureFixture[str]) -> None:
    size = bytes_of(binary)
    starts, memory = [], 0.0
    async with FakeModelServer() as fake:
        for _ in range(5):
            began = time.perf_counter()
            async with serving(binary, fake) as daemon:
                starts.append(time.perf_counter() - began)
                memory = sum(map(mebibytes_of, processes(daemon)))
    with capsys.disabled():
        print(  # noqa: T201  # figures to be read
            f"\n{size / 1e6:.1f} MB, listens after {min(starts):.2f} s, takes {memory:.0f} MiB: ", end=""
        )
    assert size < 35e6
    assert min(starts) < 0.8
    assert memory < 64

"""The life of the packages on a real Debian, from `apt install` to `apt purge`, told step by step.

    python -m tests.packaging.lifecycle [--suite trixie]

installs what `packaging/package.sh` put into dist/ in a booted container, in front of scripted model servers. The first
thing that is not as it should be ends it, with exit code 1. It takes about three minutes, and wants root.
"""

from __future__ import annotations

import argparse
import random
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import trio

from tests.fakes.model_server import Delay, FakeModelServer, Ok, model_list
from tests.packaging.container import PROJECT, Container, booted
from tests.serving import chat

CONFIG = "/etc/octoroute/config.toml"
WORDS = tuple(f" word{number}" for number in range(40))
KEY_OF_A, KEY_OF_B, CLIENTS_KEY = "the-key-of-model-a", "the-key-of-model-b", "the-key-of-clients"


def check(condition: object, what: str) -> None:
    """Say what holds; where it does not, that is the end."""
    if not condition:
        raise AssertionError(f"NOT SO: {what}")
    print(f"    {what}", flush=True)


@dataclass
class Stage:
    """What the steps act on."""

    container: Container
    model_a: FakeModelServer
    model_b: FakeModelServer
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def config(self) -> Path:
        """The configuration as the host reaches it."""
        return self.container.root / CONFIG.lstrip("/")

    def client(self) -> httpx.AsyncClient:
        key = {"authorization": f"Bearer {CLIENTS_KEY}"}
        return httpx.AsyncClient(base_url=self.url, headers=key, trust_env=False, timeout=120)

    async def ask(self) -> httpx.Response:
        """One request, routed."""
        async with self.client() as http:
            return await http.post(
                "/v1/chat/completions", json=chat("auto", "How do I sort a list in Python?")
            )

    def write_config(self, *, weight_of_b: float = 1.0, strategy: str = "rule") -> None:
        """Edit the configuration in place, as an editor would, so that owner and mode stay."""
        self.config.write_text(f"""# edited by the owner of this machine
[server]
host = "127.0.0.1"
port = {self.port}

[routing]
strategy = "{strategy}"

[[models.balanced]]
name = "model"
base_url = "{self.model_a.base_url}"
api_key_file = "/run/credentials/octoroute.service/model-a"

[[models.balanced]]
name = "model"
base_url = "{self.model_b.base_url}"
api_key_env = "KEY_OF_B"
weight = {weight_of_b}

[auth]
api_keys_env = "KEYS_OF_CLIENTS"
""")

    async def is_active(self) -> str:
        return await self.container.run("systemctl is-active octoroute || true")

    async def started_again(self, times: int) -> None:
        """Wait until systemd has started it again for so many times, and it is ready."""
        with trio.fail_after(90):
            for what, wanted in {"NRestarts": str(times), "ActiveState": "active"}.items():
                while await self.container.property(what) != wanted:  # noqa: ASYNC110  # systemd has no event for us
                    await trio.sleep(0.1)


class Stream:
    """A streamed answer on its way."""

    def __init__(self) -> None:
        self.text = ""
        self.begun = trio.Event()
        self.ended = False
        self.problem = ""

    async def read(self, stage: Stage) -> None:
        """Read it to its end."""
        request = chat("auto", "How do I sort a list in Python?", stream=True)
        try:
            async with (
                stage.client() as http,
                http.stream("POST", "/v1/chat/completions", json=request) as answer,
            ):
                async for text in answer.aiter_text():
                    self.text += text
                    self.begun.set()
        except httpx.HTTPError as error:
            self.problem = repr(error)
        self.begun.set()
        self.ended = True

    @property
    def whole(self) -> bool:
        return not self.problem and WORDS[-1] in self.text and self.text.endswith("data: [DONE]\n\n")


@asynccontextmanager
async def streaming(stage: Stage, seconds: float) -> AsyncGenerator[Stream]:
    """A stream of about so many seconds; it runs when the context is entered, and has ended when it is left."""
    stream = Stream()
    stage.model_a.behaviour = stage.model_b.behaviour = Ok(WORDS, between=seconds / len(WORDS))
    with trio.fail_after(seconds + 60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.read, stage)
            await stream.begun.wait()
            stage.model_a.behaviour = stage.model_b.behaviour = Ok()
            yield stream


# The steps, in their order


async def install(stage: Stage) -> None:
    """apt install: the files, the account, and nothing started"""
    said = await stage.container.run("apt-get install --yes --quiet /packages/first.deb")
    check("it is not started" in said and f"sudoedit {CONFIG}" in said, "apt tells what to do next")
    check(await stage.is_active() == "inactive", "the service does not run")
    enabled = await stage.container.run("systemctl is-enabled octoroute || true")
    check(enabled == "disabled", "and is not enabled")
    account = await stage.container.run("getent passwd octoroute")
    check(account.endswith("/nonexistent:/usr/sbin/nologin"), f"the account: {account}")
    for path, wanted in {"/etc/octoroute": "750 root:octoroute", CONFIG: "640 root:octoroute"}.items():
        check(await stage.container.run(f"stat --format '%a %U:%G' {path}") == wanted, f"{path} is {wanted}")
    check("octoroute " in (version := await stage.container.run("octoroute --version")), version)
    security = await stage.container.run(
        "systemd-analyze security --no-pager --threshold=20 octoroute | tail -1"
    )
    check(security, security)
    warned = await stage.container.run("systemd-analyze verify --man=no octoroute.service")
    check(not warned, "systemd-analyze verify has nothing to say")


async def refuse_what_is_broken(stage: Stage) -> None:
    """a broken configuration: the start fails once, and says why"""
    stage.write_config(strategy="guess")
    said = await stage.container.run("systemctl start octoroute", fails=True)
    check("failed" in said, said.splitlines()[0])
    check(await stage.container.property("ExecMainStatus") == "2", "exit code 2")
    check(await stage.container.property("NRestarts") == "0", "it is not tried again")
    log = await stage.container.run("journalctl --unit octoroute --output cat")
    check(line := next((line for line in log.splitlines() if '"guess"' in line), ""), f"the log: {line}")
    await stage.container.run("systemctl reset-failed octoroute")


async def start_when_ready(stage: Stage) -> None:
    """enable --now: active when it is really ready, with keys from a credential and the environment"""
    for name, text in {"model-a.key": KEY_OF_A, "environment": f"KEY_OF_B={KEY_OF_B}"}.items():
        file = stage.container.root / "etc/octoroute" / name
        file.write_text(f"{text}\n")
        file.chmod(0o600)
    drop_in = stage.container.root / "etc/systemd/system/octoroute.service.d/keys.conf"
    drop_in.parent.mkdir()
    drop_in.write_text(
        "[Service]\nLoadCredential=model-a:/etc/octoroute/model-a.key\n"
        f'Environment="KEYS_OF_CLIENTS=another one, {CLIENTS_KEY}"\n'
    )
    await stage.container.run("systemctl daemon-reload")
    stage.write_config()
    # A slow first probe: until its answer there is nothing to route by.
    stage.model_b.models = Delay(3, model_list("model"))
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stage.container.run, "systemctl enable --quiet --now octoroute")
        await trio.sleep(2)
        check((state := await stage.is_active()) == "activating", f"while the probes run: {state}")
    took = trio.current_time() - began
    stage.model_b.models = None
    check(took > 3, f"systemctl came back after {took:.1f} s")
    check((await stage.ask()).status_code == 200, "and the first request after that is answered")
    check(await stage.container.run("systemctl is-enabled octoroute") == "enabled", "it is enabled")
    check(status := await stage.container.property("StatusText"), f"systemctl status: {status}")
    await stage.container.run("systemctl restart octoroute")
    since = "systemctl show -P ActiveEnterTimestampMonotonic octoroute; systemctl show -P InactiveExitTimestampMonotonic octoroute"
    active, begun = map(int, (await stage.container.run(since)).split())
    check(active > begun, f"with quick probes, start to ready takes {(active - begun) / 1e6:.2f} s")
    memory = await stage.container.run(f"grep VmRSS /proc/{await stage.container.property('MainPID')}/status")
    check(memory, f"memory when idle: {' '.join(memory.split()[1:])}")


async def route(stage: Stage) -> None:
    """a request is routed through it"""
    answers = [await stage.ask() for _ in range(12)]
    check({answer.status_code for answer in answers} == {200}, "12 requests answered")
    tier, reason = (answers[0].headers[f"x-octoroute-{name}"] for name in ("tier", "reason"))
    check((tier, reason) == ("balanced", "code"), f"tier {tier}, reason {reason}")
    servers = {answer.headers["x-octoroute-endpoint"] for answer in answers}
    check(len(servers) == 2, f"by {' and '.join(sorted(servers))}")
    sent = [model.chats[-1].header("authorization") for model in (stage.model_a, stage.model_b)]
    check(sent == [f"Bearer {KEY_OF_A}", f"Bearer {KEY_OF_B}"], "with the key of each server")
    said = await stage.container.run(
        "journalctl -u octoroute; systemctl show octoroute; systemctl status octoroute"
    )
    check(KEY_OF_A not in said and KEY_OF_B not in said, "which systemd and the log do not tell")


async def reload(stage: Stage) -> None:
    """systemctl reload: a weight changes under a running stream"""
    pid = await stage.container.property("MainPID")
    async with streaming(stage, seconds=6) as stream:
        stage.write_config(weight_of_b=0.000001)
        await stage.container.run("systemctl reload octoroute")
        check(not stream.ended, "the stream still runs after the reload")
        before = len(stage.model_b.chats)
        for _ in range(20):
            await stage.ask()
        check(
            len(stage.model_b.chats) == before,
            "20 more requests: none goes to the server with the new weight",
        )
    check(stream.whole, f"the stream came whole: {len(stream.text)} bytes")
    check(await stage.container.property("MainPID") == pid, "it is the same process")


async def reload_what_is_broken(stage: Stage) -> None:
    """systemctl reload with an invalid file: fails, and changes nothing"""
    stage.write_config(strategy="guess")
    said = await stage.container.run("systemctl reload octoroute", fails=True)
    check("failed" in said, said.splitlines()[0])
    log = await stage.container.run("journalctl --unit octoroute --output cat --lines 20")
    check(
        line := next((line for line in log.splitlines() if line.startswith(CONFIG)), ""), f"the log: {line}"
    )
    check(await stage.is_active() == "active", "it still runs")
    check((await stage.ask()).status_code == 200, "and answers, by the old configuration")
    stage.write_config()
    await stage.container.run("systemctl reload octoroute")
    check(True, "mended, systemctl reload succeeds")


async def survive_kill(stage: Stage) -> None:
    """kill -9: it comes back by itself"""
    pid = await stage.container.property("MainPID")
    began = trio.current_time()
    await stage.container.run(f"kill -9 {pid}")
    await stage.started_again(1)
    answer = await stage.ask()
    check(answer.status_code == 200, f"it answers again {trio.current_time() - began:.1f} s later")
    check(await stage.container.property("MainPID") != pid, "as another process")


async def survive_freeze(stage: Stage) -> None:
    """a frozen event loop: the watchdog starts it again"""
    pid = await stage.container.property("MainPID")
    began = trio.current_time()
    await stage.container.run(f"kill -STOP {pid}")
    await stage.started_again(2)
    answer = await stage.ask()
    check(answer.status_code == 200, f"it answers again {trio.current_time() - began:.1f} s later")
    log = await stage.container.run("journalctl --unit octoroute --output cat --lines 40")
    check(line := next((line for line in log.splitlines() if "Watchdog" in line), ""), f"the log: {line}")


async def upgrade(stage: Stage) -> None:
    """upgrade: the edited configuration and a running stream survive"""
    pid, edited = await stage.container.property("MainPID"), stage.config.read_text()
    async with streaming(stage, seconds=10) as stream:
        # Enter at dpkg's question: keep what is there.
        said = await stage.container.run("apt-get install --yes --quiet /packages/second.deb", stdin="\n")
    check("config.toml" in said, "dpkg asks, as the package's own configuration has changed, too")
    check(stage.config.read_text() == edited, "the edited configuration is untouched")
    check(
        await stage.container.run(f"stat --format '%a %U:%G' {CONFIG}") == "640 root:octoroute",
        "so are its rights",
    )
    check(stream.whole, "the stream that ran was finished by the old version")
    check(await stage.is_active() == "active", "the service runs")
    check(await stage.container.property("MainPID") != pid, "as another process")
    check("99.0" in (version := await stage.container.run("dpkg-query --show octoroute")), version)
    check((await stage.ask()).status_code == 200, "and answers")


async def upgrade_to_one_that_refuses(stage: Stage) -> None:
    """upgrade, when the new version does not accept the configuration: the old one goes on"""
    pid = await stage.container.property("MainPID")
    stage.write_config(strategy="guess")
    said = await stage.container.run("apt-get install --yes --quiet /packages/third.deb", stdin="\n")
    check("NOT RESTARTED" in said and '"guess"' in said, "apt says so, and why")
    check(await stage.container.property("MainPID") == pid, "the old process still runs")
    async with streaming(stage, seconds=2) as stream:
        pass
    check(stream.whole, "it streams")
    async with stage.client() as http:
        metrics = (await http.get("/metrics")).text
        missing = await http.post("/v1/chat/completions", json=chat("no-such-model"))
    check("octoroute_requests_total" in metrics and missing.status_code == 404, "tells metrics, and errors")
    stage.write_config()
    await stage.container.run("systemctl reload octoroute")
    check("running" in (status := await stage.container.run("octoroute status")), status.splitlines()[0])
    await stage.container.run("systemctl restart octoroute")
    check((await stage.ask()).status_code == 200, "mended and restarted, the new one answers")


async def stop(stage: Stage) -> None:
    """systemctl stop: a running stream is finished first, within drain_timeout_seconds"""
    # Shorter than the stream: octoroute asks for the time that it needs.
    drop_in = stage.container.root / "etc/systemd/system/octoroute.service.d/stop.conf"
    drop_in.write_text("[Service]\nTimeoutStopSec=2\n")
    await stage.container.run("systemctl daemon-reload")
    async with streaming(stage, seconds=6) as stream:
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stage.container.run, "systemctl stop octoroute")
            await trio.sleep(1)
            check((state := await stage.is_active()) == "deactivating", f"meanwhile: {state}")
            status = await stage.container.property("StatusText")
            check("Draining" in status, f"systemctl status: {status}")
            try:
                await stage.ask()
            except httpx.ConnectError:
                check(True, "new connections are refused")
            else:
                check(False, "new connections are refused")
        took = trio.current_time() - began
    check(stream.whole, "the stream came whole")
    check(took < 20, f"the stop took {took:.1f} s")
    check(await stage.container.property("Result") == "success", "and was a clean one")


async def purge(stage: Stage) -> None:
    """apt remove keeps the configuration, apt purge leaves nothing"""
    await stage.container.run("systemctl start octoroute")
    await stage.container.run("apt-get remove --yes --quiet octoroute")
    check(stage.config.exists(), "removed: the configuration stays")
    check(await stage.is_active() == "inactive", "the service was stopped")
    await stage.container.run("apt-get purge --yes --quiet octoroute")
    check(
        not await stage.container.run("getent passwd octoroute; getent group octoroute; true"),
        "purged: no account",
    )
    # Not ours: what this script put there, and dpkg's and systemd's own records of what happened.
    ours = "! -path '/packages*' ! -path '*/octoroute.service.d*' ! -path '/var/log/journal*'"
    left = await stage.container.run(
        f"find / -xdev -name '*octoroute*' {ours}; find /run /tmp /var/tmp -name '*octoroute*'"
    )
    check(not left, f"no file is left {left}")
    await stage.container.run("systemctl daemon-reload; systemctl reset-failed octoroute 2>/dev/null || true")


async def run_the_archive(stage: Stage) -> None:
    """the archive's one file, under the archive's unit"""
    await stage.container.run(
        """
        rm -rf /etc/systemd/system/octoroute.service.d
        tar -xzf /packages/archive.tar.gz -C /tmp && cd /tmp/octoroute-*/
        install octoroute /usr/local/bin/ && install -m 644 octoroute.service /etc/systemd/system/
        useradd --system --user-group --no-create-home octoroute
        install -d -g octoroute -m 750 /etc/octoroute && install -g octoroute -m 640 config.toml /etc/octoroute/
        systemctl daemon-reload
        """
    )
    stage.write_config()
    stage.config.write_text(stage.config.read_text().replace("api_key", "# api_key"))
    await stage.container.run("systemctl start octoroute")
    check((await stage.ask()).status_code == 200, "it answers")
    await stage.container.run("systemctl reload octoroute")
    await trio.sleep(35)
    check(await stage.container.property("NRestarts") == "0", "the watchdog is content after 35 s")
    async with streaming(stage, seconds=3) as stream:
        await stage.container.run("systemctl stop octoroute")
    check(stream.whole, "a stop lets a stream finish")
    check(await stage.container.property("Result") == "success", "and is a clean one")


STEPS = (
    install,
    refuse_what_is_broken,
    start_when_ready,
    route,
    reload,
    reload_what_is_broken,
    survive_kill,
    survive_freeze,
    upgrade,
    upgrade_to_one_that_refuses,
    stop,
    purge,
    run_the_archive,
)


# What is installed


def put_packages(container: Container, work: Path) -> None:
    """The .deb and the archive of dist/ into the container; and the same program as two higher versions."""
    architecture = subprocess.run(
        ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
    ).stdout.strip()
    packages = sorted((PROJECT / "dist").glob(f"octoroute_*_{architecture}.deb"))
    machine = {"amd64": "x86_64", "arm64": "aarch64"}[architecture]
    archives = sorted((PROJECT / "dist").glob(f"octoroute-*-linux-{machine}.tar.gz"))
    if len(packages) != 1 or len(archives) != 1:
        sys.exit(f"dist/ wants one .deb and one archive for {architecture}; make them with: just packages")
    place = container.root / "packages"
    place.mkdir()
    shutil.copy(packages[0], place / "first.deb")
    shutil.copy(archives[0], place / "archive.tar.gz")
    for name, version in {"second": "99.0-1", "third": "99.1-1"}.items():
        tree = work / name
        subprocess.run(["dpkg-deb", "--raw-extract", packages[0], tree], check=True)
        control = tree / "DEBIAN/control"
        lines = control.read_text().splitlines()
        control.write_text(
            "".join(f"Version: {version}\n" if line.startswith("Version:") else f"{line}\n" for line in lines)
        )
        with (tree / CONFIG.lstrip("/")).open("a") as shipped:
            shipped.write(f"# new in {version}\n")
        # Where the old version's program was is something else, as with a real new version: what runs still, and
        # would read more of its modules there, is found out.
        launcher = tree / "usr/lib/octoroute/octoroute"
        launcher.rename(launcher.with_name("octoroute-again"))
        launcher.write_text('#!/bin/sh\nexec /usr/lib/octoroute/octoroute-again "$@"\n')
        launcher.chmod(0o755)
        subprocess.run(
            ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", tree, place / f"{name}.deb"],
            check=True,
            stdout=subprocess.DEVNULL,
        )


def free_port() -> int:
    """A port that is free now, and none that the system gives to clients."""
    while True:
        port = random.randrange(20_000, 32_000)
        with suppress(OSError), socket.socket() as probing:
            probing.bind(("127.0.0.1", port))
            return port


async def live(suite: str) -> None:
    """Pass through all steps."""
    with tempfile.TemporaryDirectory() as work:
        async with (
            booted(suite) as container,
            FakeModelServer("a") as model_a,
            FakeModelServer("b") as model_b,
        ):
            put_packages(container, Path(work))
            stage = Stage(container, model_a, model_b, free_port())
            release = await container.run(
                ". /etc/os-release; echo $PRETTY_NAME; systemctl --version | head -1"
            )
            print(f"In a booted container: {', '.join(release.splitlines())}")
            for number, step in enumerate(STEPS, 1):
                print(f"{number}. {step.__doc__}", flush=True)
                try:
                    await step(stage)
                except Exception:
                    print(f"FAILED in step {number}: {step.__doc__}", flush=True)
                    state = "systemctl status octoroute; journalctl -u octoroute -n 40 -o cat; true"
                    with trio.move_on_after(30, shield=True):
                        print(await container.run(state))
                    raise
            print(f"All {len(STEPS)} steps passed.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--suite", default="bookworm", help="which Debian (default: %(default)s)")
    trio.run(live, parser.parse_args().suite)

"""nginx and Caddy in front, with what docs/deployment.md tells to write: every token at once, and no model left writing."""

from __future__ import annotations

import re
import shutil
import ssl
import subprocess
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import trio

from tests.fakes.model_server import Exchange, FakeModelServer, Ok, sse_event
from tests.packaging.lifecycle import free_port
from tests.serving import SECONDS, chat, running

GUIDE = Path(__file__).parents[2] / "docs" / "deployment.md"
TOKENS = 10


def documented(heading: str) -> str:
    """The first block of code below a heading of the guide."""
    found = re.search(rf"^### {heading}\n.*?^```\w*\n(.*?)^```", GUIDE.read_text(), re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


def with_ours(text: str, replacements: Mapping[str, str]) -> str:
    """The documented text with the test's own addresses and files; each that is replaced has to be there."""
    for documented_one, ours in replacements.items():
        assert documented_one in text
        text = text.replace(documented_one, ours)
    return text


def nginx(folder: Path, port: int, daemon: str) -> tuple[list[str], str]:
    """The command that starts it, and its address."""
    certificate, key = folder / "fullchain.pem", folder / "privkey.pem"
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "1",
                "-subj",
                "/CN=localhost",
            ),
            *("-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
    )
    live = "/etc/letsencrypt/live/llm.example.com"
    ours = {
        "127.0.0.1:3000": daemon,
        "listen 443": f"listen 127.0.0.1:{port}",
        f"{live}/fullchain.pem": str(certificate),
        f"{live}/privkey.pem": str(key),
    }
    own_files = "\n".join(
        f"{kind}_temp_path {folder / kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder / 'pid'}; events {{}}\n"
        f"http {{\naccess_log off;\n{own_files}\n{with_ours(documented('nginx'), ours)}}}\n"
    )
    return ["nginx", "-e", "stderr", "-c", str(folder / "nginx.conf")], f"https://127.0.0.1:{port}"


def caddy(folder: Path, port: int, daemon: str) -> tuple[list[str], str]:
    """The command that starts it, and its address: without TLS, as it has nobody to get a certificate from."""
    ours = {"127.0.0.1:3000": daemon, "llm.example.com": f"http://127.0.0.1:{port}"}
    (folder / "Caddyfile").write_text(f"{{\nadmin off\n}}\n{with_ours(documented('Caddy'), ours)}")
    command = ["caddy", "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]
    return command, f"http://127.0.0.1:{port}"


PROXIES = {"nginx": nginx, "caddy": caddy}


@asynccontextmanager
async def proxy(name: str, folder: Path, daemon: str) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of the proxy, which runs in front of the daemon at `daemon`."""
    command, url = PROXIES[name](folder, free_port(), daemon)
    # Trusted as it is: what is tried here is what comes through.
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    process = await trio.lowlevel.open_process(
        command, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(folder)}, stderr=subprocess.DEVNULL
    )
    try:
        async with httpx.AsyncClient(
            base_url=url, verify=context, trust_env=False, timeout=SECONDS
        ) as through:
            with trio.fail_after(SECONDS):
                while True:
                    try:
                        await through.get("/health")
                        break
                    except httpx.ConnectError:
                        assert process.poll() is None, f"{name} does not start"
                        await trio.sleep(0.05)
            yield through
    finally:
        process.terminate()
        with trio.move_on_after(5, shield=True):
            await process.wait()


class InStep:
    """A model that writes a token only once the one before has arrived at the client."""

    def __init__(self) -> None:
        self.arrived = trio.Semaphore(1)

    async def __call__(self, exchange: Exchange) -> None:
        await exchange.head(200, [("Content-Type", "text/event-stream")], framing="chunked")
        for number in range(TOKENS):
            await self.arrived.acquire()
            delta = {"content": f"token {number}"}
            event = {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta}]}
            await exchange.piece(sse_event(event))
        await self.arrived.acquire()
        await exchange.piece(b"data: [DONE]\n\n")
        await exchange.end()


every_proxy = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.skipif(shutil.which(name) is None, reason=f"{name} is not here"))
        for name in PROXIES
    ],
)


@every_proxy
async def test_each_token_passes_at_once(name: str, tmp_path: Path) -> None:
    model = InStep()
    async with (
        FakeModelServer(behaviour=model) as server,
        running(server) as daemon,
        proxy(name, tmp_path, daemon.url.removeprefix("http://")) as through,
    ):
        text = ""
        with trio.fail_after(SECONDS):  # with a proxy that gathers tokens, all would wait for ever
            async with through.stream("POST", "/v1/chat/completions", json=chat(stream=True)) as answer:
                async for data in answer.aiter_text():
                    before, text = text.count("token"), text + data
                    for _ in range(text.count("token") - before):
                        model.arrived.release()
    assert text.count("token") == TOKENS
    assert text.endswith("data: [DONE]\n\n")


@every_proxy
async def test_a_client_that_leaves_is_noticed_by_the_model_server(name: str, tmp_path: Path) -> None:
    async with (
        FakeModelServer(behaviour=Ok(["word "] * 1000, between=0.05)) as server,
        running(server) as daemon,
        proxy(name, tmp_path, daemon.url.removeprefix("http://")) as through,
    ):
        with trio.CancelScope() as leaving:
            async with through.stream("POST", "/v1/chat/completions", json=chat(stream=True)) as answer:
                async for _ in answer.aiter_text():
                    leaving.cancel("the client has seen enough")
        with trio.fail_after(SECONDS):
            await server.chats[0].disconnected.wait()

"""The listening side: sockets, slow and odd clients, TLS; whatever a client does, the others are served."""

from __future__ import annotations

import errno
import shutil
import socket
import ssl
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import httptools
import pytest
import structlog
import trio

from octoroute import server as server_module
from octoroute.config.model import Server
from octoroute.errors import StartError
from octoroute.server import listen, tls_context
from tests.fakes.model_server import Exchange, FakeModelServer, Ok
from tests.raw_client import Ended, raw_client, request
from tests.serving import SECONDS, chat, client, connection_tasks, running, until

CHAT = "/v1/chat/completions"


# Slow clients


@pytest.mark.parametrize("first", ["nothing", "a request", "a stream"])
async def test_a_head_that_does_not_arrive_in_time(monkeypatch: pytest.MonkeyPatch, first: str) -> None:
    monkeypatch.setattr(server_module, "HEAD_SECONDS", 0.3)
    async with FakeModelServer() as fake, running(fake) as daemon, raw_client(daemon) as http:
        with trio.fail_after(SECONDS):
            if first != "nothing":
                await http.send(request("POST", CHAT, chat(stream=first == "a stream")))
                assert (await http.answer()).status == 200
            start = trio.current_time()
            await http.send(b"POST /v1/chat/completions HTTP/1.1\r\n")
            for letter in b"x-slow":  # each byte of it is no new beginning
                await trio.sleep(0.03)
                await http.send(bytes([letter]))
            answer = await http.answer()
            assert (answer.status, answer.headers["connection"]) == (408, "close")
            assert answer.json()["error"]["code"] == "request_timeout"
            assert trio.current_time() - start >= 0.3
            with pytest.raises(Ended):
                await http.answer()
        await until(lambda: connection_tasks() == 0)


async def test_a_head_may_begin_late_on_an_idle_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time for a head counts from its own first byte."""
    monkeypatch.setattr(server_module, "HEAD_SECONDS", 5)
    monkeypatch.setattr(server_module, "KEEP_ALIVE_SECONDS", 0.6)
    async with FakeModelServer() as fake, running(fake) as daemon, raw_client(daemon) as http:
        with trio.fail_after(SECONDS):
            await trio.sleep(0.4)
            await http.send(b"GET /health HTTP/1.1\r\n")
            await trio.sleep(0.4)
            await http.send(b"host: localhost\r\n\r\n")
            assert (await http.answer()).status == 200


async def test_a_long_answer_is_no_slow_head(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither while it runs, nor with the next request, or half of one, waiting behind it."""
    monkeypatch.setattr(server_module, "HEAD_SECONDS", 0.2)
    monkeypatch.setattr(server_module, "KEEP_ALIVE_SECONDS", 0.2)
    whole = request("GET", "/health")
    async with (
        FakeModelServer(behaviour=Ok(["a"] * 10, between=0.1)) as fake,
        running(fake) as daemon,
        raw_client(daemon) as http,
    ):
        with trio.fail_after(SECONDS):
            head = request("POST", CHAT, chat(stream=True))
            await http.send(head[:20])
            await trio.sleep(0.1)
            await http.send(head[20:] + whole + whole[:10])
            assert (await http.answer()).body.endswith(b"[DONE]\n\n")
            assert (await http.answer()).status == 200
            await http.send(whole[10:])
            assert (await http.answer()).status == 200


async def test_a_body_that_does_not_arrive_in_time() -> None:
    async with FakeModelServer() as fake, running(fake, server={"request_timeout_seconds": 0.3}) as daemon:
        async with raw_client(daemon) as http:
            with trio.fail_after(SECONDS):
                await http.send(request("POST", CHAT, chat())[:-1])
                answer = await http.answer()
                assert (answer.status, answer.headers["connection"]) == (408, "close")
                assert answer.json()["error"]["code"] == "request_timeout"
        await until(lambda: connection_tasks() == 0)
        assert fake.chats == []


# Many requests, one connection; many connections


async def test_many_connections_at_once() -> None:
    all_here = trio.Event()

    async def together(exchange: Exchange) -> None:
        await all_here.wait()
        await Ok()(exchange)

    async with FakeModelServer(behaviour=together) as fake, running(fake) as daemon:

        async def ask() -> None:
            async with raw_client(daemon) as http:
                await http.send(request("POST", CHAT, chat(stream=True)))
                assert (await http.answer()).body.endswith(b"[DONE]\n\n")

        with trio.fail_after(2 * SECONDS):
            async with trio.open_nursery() as nursery:
                for _ in range(200):
                    nursery.start_soon(ask)
                await fake.wait_for(200)
                assert len(daemon.app.exchanges) == 200
                all_here.set()
            await until(lambda: connection_tasks() == 0)


async def test_pipelined_requests_are_answered_in_turn() -> None:
    async with FakeModelServer() as fake, running(fake) as daemon, raw_client(daemon) as http:
        with trio.fail_after(SECONDS):
            await http.send(
                request("POST", CHAT, chat(stream=True))
                + request("GET", "/health")
                + request("POST", CHAT, chat())
                + request("GET", "/nope")
            )
            answers = [await http.answer() for _ in range(4)]
        assert [answer.status for answer in answers] == [200, 200, 200, 404]
        assert answers[0].body.endswith(b"[DONE]\n\n")
        assert answers[1].json()["status"] == "OK"
        assert answers[2].json()["object"] == "chat.completion"


async def test_a_client_that_leaves_during_its_pipelined_request() -> None:
    async with FakeModelServer(behaviour=Ok(["a"] * 500, between=0.05)) as fake, running(fake) as daemon:
        fake.queue(Ok())
        async with raw_client(daemon) as http:
            with trio.fail_after(SECONDS):
                await http.send(request("POST", CHAT, chat(stream=True)) * 2)
                assert (await http.answer()).body.endswith(b"[DONE]\n\n")
                await fake.wait_for(2)
        with trio.fail_after(SECONDS):
            await fake.chats[1].disconnected.wait()
            await until(lambda: not daemon.app.exchanges and connection_tasks() == 0)


# HTTP as it comes


@pytest.mark.parametrize("stream", [False, True])
async def test_an_http_1_0_client(*, stream: bool) -> None:
    async with FakeModelServer() as fake, running(fake) as daemon, raw_client(daemon) as http:
        with trio.fail_after(SECONDS):
            await http.send(request("POST", CHAT, chat(stream=stream), version="1.0"))
            head, _, body = (await http.rest()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert b"chunked" not in head.lower()
        assert body.endswith(b"[DONE]\n\n" if stream else b"}")


async def test_head_and_options() -> None:
    async with FakeModelServer() as fake, running(fake) as daemon, client(daemon) as http:
        head, whole = await http.head("/health"), await http.get("/health")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(whole.content))
        options = await http.options(CHAT)
        assert (options.status_code, options.content) == (204, b"")
        assert "content-type" not in options.headers
        assert set(options.headers["allow"].split(", ")) == {"POST", "OPTIONS"}
        assert "access-control-allow-origin" not in options.headers


async def test_a_client_that_waits_for_100_continue() -> None:
    whole = request("POST", CHAT, chat(), headers={"expect": "100-continue"})
    head, _, body = whole.partition(b"\r\n\r\n")
    async with FakeModelServer() as fake, running(fake) as daemon, raw_client(daemon) as http:
        with trio.fail_after(SECONDS):
            await http.send(head + b"\r\n\r\n")
            assert (await http.answer()).status == 100
            await http.send(body)
            assert (await http.answer()).status == 200


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"rubbish\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),  # TLS where none is spoken
        (b"GET /health HTTP/1.1\r\n\r\n", 400),  # no host
        (b"GET /health HTTP/1.1\r\nhost: a\r\nx: " + b"y" * 200_000 + b"\r\n\r\n", 431),
        (request("POST", CHAT, headers={"transfer-encoding": "chunked"}) + b"zz\r\n", 400),
        (request("POST", CHAT, b"{}", headers={"content-length": "-1"}), 400),
        (request("POST", CHAT, b"{}", headers={"transfer-encoding": "gzip"}), 501),
        (request("GET", "/%ff%00%fe"), 404),
        (request("OPTIONS", "*"), 404),
        (request("CONNECT", "localhost:22"), 404),
        (request("INVENTED", "/health"), 405),
        (request("GET", "http://localhost/health"), 200),
    ],
)
async def test_odd_requests(sent: bytes, status: int) -> None:
    with structlog.testing.capture_logs() as log:
        async with FakeModelServer() as fake, running(fake) as daemon, raw_client(daemon) as http:
            with trio.fail_after(SECONDS):
                await http.send(sent)
                answer = await http.answer()
                assert answer.status == status
                assert answer.headers["x-request-id"]
                if status >= 400:
                    assert answer.json()["error"]["message"]
                async with client(daemon) as other:
                    assert (await other.get("/health")).status_code == 200
    assert [line for line in log if line["log_level"] == "error"] == []


async def test_http_2_is_not_spoken() -> None:
    """What it would bring, our limits and endings do not cover; an upgrade may be ignored, and so it is."""
    upgrade = {
        "connection": "Upgrade, HTTP2-Settings",
        "upgrade": "h2c",
        "http2-settings": "AAMAAABkAARAAAAA",
    }
    async with FakeModelServer() as fake, running(fake) as daemon:
        with trio.fail_after(SECONDS):
            async with raw_client(daemon) as http:
                await http.send(request("GET", "/health", headers=upgrade))
                answer = await http.answer()
                assert (answer.status, answer.json()["status"]) == (200, "OK")
            async with raw_client(daemon) as http:
                await http.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
                assert (await http.answer()).status in {400, 404, 505}


async def test_a_websocket_is_refused() -> None:
    upgrade = {
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        "sec-websocket-version": "13",
    }
    with structlog.testing.capture_logs() as log:
        async with FakeModelServer() as fake, running(fake) as daemon:
            for path in ("/health", "/nope", CHAT):
                async with raw_client(daemon) as http:
                    with trio.fail_after(SECONDS):
                        await http.send(request("GET", path, headers=upgrade))
                        assert (await http.answer()).status in {200, 400, 403, 404, 405}
            await until(lambda: connection_tasks() == 0)
    assert [line for line in log if line["log_level"] == "error"] == []


# Listening


async def test_ipv6() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 loopback")
    async with FakeModelServer() as fake, running(fake, server={"host": "::1"}) as daemon:
        assert daemon.url.startswith("http://[::1]:")
        async with client(daemon) as http:
            assert (await http.post(CHAT, json=chat())).status_code == 200


async def test_all_addresses() -> None:
    async with FakeModelServer() as fake, running(fake, server={"host": "0.0.0.0"}) as daemon:
        assert daemon.url.startswith("http://localhost:")
        async with client(daemon) as http:
            assert (await http.get("/health")).status_code == 200


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(StartError, match=rf"Can't listen on 127.0.0.1:{port}: another program uses"):
            listen(Server(host="127.0.0.1", port=port))


@pytest.mark.parametrize(
    ("host", "message"),
    [("nowhere.invalid", "the host is not known"), ("192.0.2.1", "this machine has no such address")],
)
def test_a_host_that_is_not_ours(host: str, message: str) -> None:
    with pytest.raises(StartError, match=message):
        listen(Server(host=host, port=0))


def test_a_family_of_addresses_that_is_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """localhost is ::1 in most tables of hosts, also on machines without IPv6."""
    real = socket.socket

    def without_ipv6(family: int, kind: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return real(family, kind)

    addresses = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 0, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
    monkeypatch.setattr(socket, "socket", without_ipv6)
    (listener,) = listen(Server(host="localhost", port=0))
    with listener:
        assert listener.family == socket.AF_INET


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The paths of a certificate for localhost and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl")
    folder = tmp_path_factory.mktemp("tls")
    cert, key = str(folder / "cert.pem"), str(folder / "key.pem")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", cert]
    subprocess.run([*command.split(), *names], check=True, capture_output=True)
    return cert, key


async def test_tls(certificate: tuple[str, str]) -> None:
    cert, key = certificate
    trusted = ssl.create_default_context(cafile=cert)
    async with FakeModelServer() as fake, running(fake, server={"tls_cert": cert, "tls_key": key}) as daemon:
        assert daemon.url.startswith("https://127.0.0.1:")
        async with client(daemon, verify=trusted) as http:
            assert (await http.post(CHAT, json=chat())).status_code == 200
            assert (await http.post(CHAT, json=chat(stream=True))).text.endswith("[DONE]\n\n")
            async with raw_client(daemon) as plain:
                with trio.fail_after(SECONDS):
                    await plain.send(request("GET", "/health"))
                    with pytest.raises((trio.BrokenResourceError, Ended, httptools.HttpParserError)):
                        await plain.answer()
            assert (await http.get("/health")).status_code == 200
            daemon.drain("the test says so")
            with trio.fail_after(4):  # the drain's own limit is 5 s
                await daemon.served.wait()


async def test_a_handshake_that_never_ends_does_not_hold_up_the_end(certificate: tuple[str, str]) -> None:
    tls = {"tls_cert": certificate[0], "tls_key": certificate[1], "drain_timeout_seconds": 60}
    async with FakeModelServer() as fake, running(fake, server=tls) as daemon, raw_client(daemon) as silent:
        await until(lambda: connection_tasks() == 1)
        daemon.drain("the test says so")
        with trio.fail_after(SECONDS):
            await daemon.served.wait()
            assert await silent.rest() == b""


def test_tls_files_that_hold_something_else(tmp_path: Path, certificate: tuple[str, str]) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text("nothing")
    for files in (
        (str(bad), certificate[1]),
        (certificate[0], str(bad)),
        (certificate[0], str(tmp_path / "no")),
    ):
        with pytest.raises(StartError, match=r"Can't use .server. tls_cert and tls_key"):
            tls_context(Server(tls_cert=files[0], tls_key=files[1]))


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_the_unspecified_ipv6_host_is_reached_by_ipv4_too(address: str) -> None:
    async with FakeModelServer() as fake, running(fake, server={"host": "::"}) as daemon:
        port = urlsplit(daemon.url).port
        assert port is not None
        with trio.fail_after(SECONDS):
            async with await trio.open_tcp_stream(address, port) as stream:
                await stream.send_all(b"GET /health HTTP/1.0\r\n\r\n")
                assert (await stream.receive_some()).startswith(b"HTTP/1.1 200")

"""Requests leave with the endpoint's own key and nothing of ours; errors come back in our words."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from octoroute.config import validate
from octoroute.config.model import Endpoint, Secret
from octoroute.errors import Cause, UpstreamError
from octoroute.fleet.upstream import Upstream, UpstreamResponse
from tests.fakes.model_server import Cut, FakeModelServer, Ok

Handler = Callable[[httpx.Request], httpx.Response]


def upstream(
    handler: Handler, base_url: str = "http://server.invalid:1/v1", key: str | None = None
) -> Upstream:
    settings = Endpoint(name="a", base_url=base_url, api_key=None if key is None else Secret(key))
    return Upstream(settings, connect_timeout=2.5, ssl_context=None, transport=httpx.MockTransport(handler))


async def one_request(
    path: str | None, base_url: str = "http://server.invalid:1/v1", key: str | None = None
) -> httpx.Request:
    """What goes out for a chat completion, or a GET of `path`."""
    seen: list[httpx.Request] = []

    def note(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, stream=Body([]))

    way = upstream(note, base_url, key)
    headers = [(b"Content-Type", b"application/json"), (b"x-request-id", b"r1")]
    await (way.chat(b'{"x": 1}', headers) if path is None else way.get(path))
    return seen[0]


class Body(httpx.AsyncByteStream):
    """A body of these pieces; an exception among them is raised."""

    def __init__(self, pieces: list[bytes | Exception]) -> None:
        self.pieces = pieces
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    async def aclose(self) -> None:
        self.closed = True


async def test_a_chat_completion_goes_out_as_given() -> None:
    request = await one_request(None, key="sk-é")
    assert (request.method, str(request.url)) == ("POST", "http://server.invalid:1/v1/chat/completions")
    assert request.content == b'{"x": 1}'
    names = sorted(name.lower() for name, _ in request.headers.raw)
    assert names == [
        b"accept-encoding",
        b"authorization",
        b"content-length",
        b"content-type",
        b"host",
        b"x-request-id",
    ]
    assert request.headers["host"] == "server.invalid:1"
    assert request.headers["accept-encoding"] == "identity"
    assert dict(request.headers.raw)[b"authorization"] == "Bearer sk-é".encode("latin-1")
    assert request.extensions["timeout"] == {"connect": 2.5}


async def test_without_a_key_there_is_no_authorization() -> None:
    assert "authorization" not in (await one_request(None)).headers


@pytest.mark.parametrize(
    ("base_url", "path", "url"),
    [
        ("http://x/v1", "models", "http://x/v1/models"),
        ("http://x/v1", "/health", "http://x/health"),
        ("http://x/api/v1", "health/live", "http://x/api/v1/health/live"),
        ("http://x/v1", "models?limit=1&x=%20", "http://x/v1/models?limit=1&x=%20"),
        ("http://x/v1", "/health?full", "http://x/health?full"),
        ("http://x/a%20b/v1", "models", "http://x/a%20b/v1/models"),
        ("https://[::1]:8443/v1", "models", "https://[::1]:8443/v1/models"),
    ],
)
async def test_a_path_is_below_the_base_url_or_the_host(base_url: str, path: str, url: str) -> None:
    assert str((await one_request(path, base_url)).url) == url


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=12))
async def test_every_health_path_that_the_configuration_takes_can_be_asked_for(path: str) -> None:
    """One with a query made the probe raise, which ended the daemon at its start."""
    try:
        path = validate.health_path(path)
    except ValueError:
        return
    request = await one_request(path, key="k")
    assert request.url.host == "server.invalid"
    assert request.url.port == 1


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (httpx.ConnectError("cannot connect to http://x: Connection refused"), "connect"),
        (httpx.ConnectTimeout("x"), "connect"),
        (httpx.ReadTimeout("x"), "timeout"),
        (httpx.WriteTimeout("x"), "timeout"),
        (httpx.ReadError("x"), "reset"),
        (httpx.WriteError("x"), "reset"),
        (httpx.RemoteProtocolError("x"), "broken_answer"),
        (httpx.LocalProtocolError("x"), "broken_answer"),
        (httpx.DecodingError("x"), None),
        (httpx.ReadError(""), "reset"),
    ],
)
async def test_errors_in_our_words(error: httpx.RequestError, cause: Cause | None) -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise error

    if cause is None:  # nothing is decoded: such an error would be a defect, and is left as one
        with pytest.raises(type(error)):
            await upstream(fail).get("models")
        return
    broken = UpstreamResponse(httpx.Response(200, stream=Body([b"one", error])))
    assert await broken.__anext__() == b"one"
    for attempt in (
        upstream(fail).chat(b"secret prompt", []),
        upstream(fail).get("models"),
        broken.__anext__(),
    ):
        with pytest.raises(UpstreamError) as caught:
            await attempt
        assert caught.value.cause == cause
        assert str(caught.value)
        assert "prompt" not in str(caught.value)
        assert caught.value.__cause__ is error


async def test_an_answer_is_its_head_and_its_pieces() -> None:
    body = Body([b"one", b"two"])
    answer = UpstreamResponse(httpx.Response(404, headers=[("X-A", "1"), ("x-a", "2")], stream=body))
    assert answer.status == 404
    assert list(answer.headers) == [(b"X-A", b"1"), (b"x-a", b"2")]
    assert (answer.header("X-a"), answer.header("x-b")) == ("1, 2", None)
    assert [piece async for piece in answer] == [b"one", b"two"]
    await answer.aclose()
    assert body.closed


async def test_a_redirect_is_an_answer_like_any_other() -> None:
    moved = httpx.Response(302, headers={"location": "http://elsewhere.invalid/"}, stream=Body([]))
    assert (await upstream(lambda _: moved).get("models")).status == 302


async def test_a_real_server_answers_and_breaks_off() -> None:
    with trio.fail_after(10):
        async with FakeModelServer("a") as server:
            way = Upstream(Endpoint(name="a", base_url=server.base_url), connect_timeout=5, ssl_context=None)
            server.queue(Ok(["Hello"]), Cut(Ok(["Hello", " you"]), 2))
            body = b'{"messages":[{"role":"user","content":"hi"}],"stream":true}'
            answer = await way.chat(body, [(b"content-type", b"application/json")])
            assert b"Hello" in b"".join([piece async for piece in answer])
            await answer.aclose()
            broken = await way.chat(body, [(b"content-type", b"application/json")])
            with pytest.raises(UpstreamError) as caught:
                _ = [piece async for piece in broken]
            assert caught.value.cause == "broken_answer"
            await broken.aclose()
            await way.aclose()
            assert server.chats[0].body == body


async def test_nobody_there_is_a_failure_to_connect() -> None:
    with trio.fail_after(10):
        async with FakeModelServer("a") as server:
            base_url = server.base_url
        way = Upstream(Endpoint(name="a", base_url=base_url), connect_timeout=5, ssl_context=None)
        with pytest.raises(UpstreamError) as caught:
            await way.get("models")
        assert caught.value.cause == "connect"
        assert "refused" in str(caught.value).lower()


REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
NO_ROUTE = OSError(errno.EHOSTUNREACH, "No route to host")


@pytest.mark.parametrize(
    ("reason", "unreachable"),
    [
        (REFUSED, False),
        (NO_ROUTE, True),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), True),
        (TimeoutError(errno.ETIMEDOUT, "Connection timed out"), True),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), False),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), True),
        (ssl.SSLCertVerificationError(1, "self-signed certificate"), False),
        (ExceptionGroup("all attempts", [NO_ROUTE, NO_ROUTE]), True),
        (ExceptionGroup("all attempts", [NO_ROUTE, REFUSED]), False),
    ],
)
async def test_a_machine_that_gives_no_sign_is_told_from_one_that_refuses(
    reason: Exception, unreachable: bool
) -> None:
    """It may be asleep; whoever refuses is not."""

    told = OSError("all attempts to connect to it failed")
    told.__cause__ = reason

    def fail(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("cannot connect") from told

    with pytest.raises(UpstreamError) as caught:
        await upstream(fail).get("models")
    assert (caught.value.cause, caught.value.unreachable) == ("connect", unreachable)


async def test_no_connection_in_time_is_no_sign() -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectTimeout("cannot connect in time")

    with pytest.raises(UpstreamError) as caught:
        await upstream(fail).get("models")
    assert caught.value.unreachable


@pytest.mark.parametrize(("given", "limit"), [(None, 2.5), (1.5, 1.5), (60.0, 2.5)])
async def test_a_get_may_have_less_time_to_connect(given: float | None, limit: float) -> None:
    seen: list[httpx.Request] = []

    def note(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, stream=Body([]))

    await (
        upstream(note).get("models") if given is None else upstream(note).get("models", connect_within=given)
    )
    assert seen[0].extensions["timeout"] == {"connect": limit}


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("http://h:1/v1", "http://h:1/api/ps"),
        ("http://h:1/ollama/v1", "http://h:1/ollama/api/ps"),
        ("http://h:1/other", "http://h:1/other/api/ps"),
    ],
)
async def test_a_path_beside_the_openai_api(base_url: str, url: str) -> None:
    seen: list[httpx.URL] = []

    def note(request: httpx.Request) -> httpx.Response:
        seen.append(request.url)
        return httpx.Response(200, stream=Body([]))

    await upstream(note, base_url).get_beside("api/ps")
    assert seen == [httpx.URL(url)]


def test_its_repr_has_no_key() -> None:
    way = upstream(lambda _: httpx.Response(200), key="sk-secret")
    assert "sk-secret" not in repr(way)

"""A scripted model server: it speaks real HTTP over TCP, with exact control over every byte and its time.

    async with FakeModelServer("qwen-8b") as server:       # or: await nursery.start(server.run)
        server.base_url                                    # "http://127.0.0.1:23456/v1"
        server.behaviour = Ok(["Hello", " you"])           # of every chat completion from now on
        server.queue(Reset(), loading())                   # of the next two, before `behaviour` again
        server.models = loading()                          # GET /v1/models; None answers it properly
        server.paths["/health"] = Hang()                   # any other path; unscripted ones are a 404
        ...
        await server.wait_for(2)                           # until two chat completions have come in
        server.chats[0].json()["model"]                    # what was asked: method, target, headers, body
        await server.chats[0].disconnected.wait()          # the client hung up before it had its whole answer
        await server.stop()                                # as if killed: connections die, new ones are refused
        await server.restart()                             # ... and back, on the same port

A behaviour is an async function of an `Exchange`, so a test may write its own. Those here, by what goes wrong:

  nothing            Ok(texts)                  JSON or SSE, as the request asks; see its fields for slow first
                                                tokens, comments, `data: null`, CRLF, no [DONE], no usage,
                                                wrong content types, JSON for a stream, SSE for a buffered
                                                request, close-delimited bodies, closed keep-alive connections
                     Raw([b"...", 0.1, ...])    exactly these bytes in these pieces, with pauses in seconds
                     Bytewise(inner)            what `inner` sends, one byte (or `size` bytes) at a time
                     Events([...])              an SSE stream of these events, dicts or raw bytes
  too slow           Delay(1, inner)            nothing at all for so long (slow headers)
                     Ok(first_after=1)          headers at once, the first event late (a buffered body late)
                     Ok(between=0.1)            slow tokens
                     Hang()                     takes the request, never answers
                     Cut(inner, 3, "stall")     stops in the middle of an answer, connection open
  dies               Reset(), Drop("fin")       no answer; with `part`, in the middle of the headers
                     Cut(inner, 3)              FIN after three pieces of the body (a piece of Ok is an event)
                     Cut(inner, 3, "reset")     RST there
                     Cut(inner, 3, extra=10)    ... and ten bytes of the fourth: in the middle of an event
                     Cut(inner, None)           the whole body, but not its end (the last chunk)
                     truncated_chunked(), truncated_length()
                     server.accepting = "reset" | "close" | "ignore"     already when connecting
                     server.stop()              refuses connections
                     Ok(then="stale")           closes the kept connection right after the answer
                     queue(Ok(), Drop("fin"))   closes it just when the next request arrives on it
                     Flapping(good, bad, 3)     every third request fails
  answers nonsense   garbage_json(), html_200(), html_502(), empty_200(), Ok(content_type="text/plain")
  says no            Status(418, {...})         any status, JSON or bytes, any headers
                     loading() internal_error() overloaded() rate_limited(5) unauthorized() forbidden()
                     model_missing() context_exceeded() not_implemented() image_unsupported() bad_request()
                     redirect(url)              error_first()  error_after(2)  (inside a stream)
  tells its load     models = model_list(name, owner="llamacpp"), which says what server it is, and in `paths`
                     /slots: llama_slots(2, 4)  /metrics: vllm_metrics(8, 1)  /api/ps: ollama_ps("qwen3:8b")
                     /api/v1/models: lmstudio_models("qwen3", loaded=())  lmstudio_unknown_path()

Each behaviour can be wrapped in another. With `server.early = True` a behaviour starts when the request's
headers are in, before its body is. `connect()` gives a connection in memory, which is what virtual time
(`autojump_clock`) needs. Nothing lasts longer than `limit` seconds; leaving the context leaves no task and no
socket.

As a process of its own, for load tests (`--help` lists the names of behaviours):

    python -m tests.fakes.model_server --port 9001 --name small --behaviour ok --tokens 64 --between 0.01
"""

from __future__ import annotations

import argparse
import random
from collections import deque
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Literal, Self

import httptools
import trio
import trio.testing

from tests.fakes.behaviours import (
    Behaviour,
    Bytewise,
    Cut,
    Delay,
    Drop,
    Dropped,
    Ending,
    Events,
    Exchange,
    Flapping,
    Hang,
    Ok,
    Raw,
    Recorded,
    Reset,
    Status,
    bad_request,
    context_exceeded,
    empty_200,
    error_after,
    error_first,
    forbidden,
    garbage_json,
    html_200,
    html_502,
    image_unsupported,
    internal_error,
    llama_error,
    llama_slots,
    lmstudio_models,
    lmstudio_unknown_path,
    loading,
    model_list,
    model_missing,
    not_implemented,
    ollama_ps,
    overloaded,
    rate_limited,
    redirect,
    reset_connection,
    sse_event,
    truncated_chunked,
    truncated_length,
    unauthorized,
    vllm_metrics,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, Awaitable
    from types import TracebackType

__all__ = [
    "Behaviour",
    "Bytewise",
    "Cut",
    "Delay",
    "Drop",
    "Ending",
    "Events",
    "Exchange",
    "FakeModelServer",
    "Flapping",
    "Hang",
    "Ok",
    "Raw",
    "Recorded",
    "Reset",
    "Status",
    "bad_request",
    "context_exceeded",
    "empty_200",
    "error_after",
    "error_first",
    "forbidden",
    "garbage_json",
    "html_200",
    "html_502",
    "image_unsupported",
    "internal_error",
    "llama_error",
    "llama_slots",
    "lmstudio_models",
    "lmstudio_unknown_path",
    "loading",
    "model_list",
    "model_missing",
    "not_implemented",
    "ollama_ps",
    "overloaded",
    "rate_limited",
    "redirect",
    "sse_event",
    "truncated_chunked",
    "truncated_length",
    "unauthorized",
    "vllm_metrics",
]


class FakeModelServer:
    """A model server that does as it is told. The module's documentation has the tour.

    `port` 0 takes a free one below the system's ephemeral ports, so that it is free still at `restart`.
    `keep` bounds how many requests are recorded (None: all). With an `ssl_context` it speaks TLS.
    """

    def __init__(
        self,
        name: str = "fake-model",
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        behaviour: Behaviour | None = None,
        limit: float = 60,
        keep: int | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self.name = name
        self.host = host
        self.port = port
        self.behaviour: Behaviour = behaviour or Ok()
        self.models: Behaviour | None = None
        self.paths: dict[str, Behaviour] = {}
        self.accepting: Literal["serve", "reset", "close", "ignore"] = "serve"
        self.early = False
        self.limit = limit
        self.requests: deque[Recorded] = deque(maxlen=keep)
        self.accepted = 0
        """How many connections there have been."""
        self._ssl_context = ssl_context
        self._next: deque[Behaviour] = deque()
        self._open: set[trio.abc.Stream] = set()
        self._nursery: trio.Nursery | None = None
        self._handlers: trio.Nursery | None = None
        self._down = trio.Event()
        self._news = trio.lowlevel.ParkingLot()

    def __repr__(self) -> str:
        state = "up" if self.up else "stopped"
        return f"<FakeModelServer {self.name} at {self.base_url}, {state}, {len(self.requests)} requests>"

    async def __aenter__(self) -> Self:
        self._context = self._running()
        await self._context.__aenter__()
        return self

    def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Awaitable[bool | None]:
        return self._context.__aexit__(kind, error, traceback)

    @asynccontextmanager
    async def _running(self) -> AsyncGenerator[None]:
        failure: Exception | None = None
        async with trio.open_nursery() as nursery:
            await nursery.start(self.run)
            try:
                yield
            except Exception as error:  # noqa: BLE001  # raised again below, outside of an exception group
                failure = error
            nursery.cancel_scope.cancel("the test is over")
        if failure is not None:
            raise failure

    @property
    def base_url(self) -> str:
        """What a configuration calls `base_url`, with `/v1`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http{'s' if self._ssl_context else ''}://{host}:{self.port}/v1"

    @property
    def up(self) -> bool:
        return self._handlers is not None

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._open)

    @property
    def chats(self) -> list[Recorded]:
        """The recorded chat completion requests."""
        return [request for request in self.requests if request.path.endswith("/chat/completions")]

    @property
    def probes(self) -> list[Recorded]:
        """The recorded requests for the list of models."""
        return [request for request in self.requests if request.path.endswith("/models")]

    def queue(self, *behaviours: Behaviour) -> None:
        """Use these for the next chat completions, one each, before `behaviour` is used again."""
        self._next.extend(behaviours)

    async def wait_for(self, chats: int) -> None:
        """Wait until so many chat completions have come in."""
        while len(self.chats) < chats:
            await self._news.park()

    async def run(self, *, task_status: trio.TaskStatus[Self] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; started, with itself as the value, when it listens."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                await self.restart()
                task_status.started(self)
                await trio.sleep_forever()
            finally:
                self._nursery = None

    async def restart(self) -> None:
        """Listen (again), on the same port as before."""
        assert self._nursery is not None, "run() first"
        if self._handlers is None:
            await self._nursery.start(self._listen)

    async def stop(self, *, reset: bool = False) -> None:
        """Close every connection, with `reset` by RST, and refuse new ones until `restart`."""
        if self._handlers is None:
            return
        if reset:
            for stream in self._open:
                reset_connection(stream)
        self._handlers.cancel_scope.cancel("stopped")
        await self._down.wait()

    async def connect(self) -> trio.abc.Stream:
        """Return the client's end of a new connection in memory; OSError while stopped."""
        await trio.lowlevel.checkpoint()
        if self._handlers is None:
            raise ConnectionRefusedError(f"{self.name} is stopped")
        ours, theirs = trio.testing.memory_stream_pair()
        self._handlers.start_soon(self._connection, ours)
        return theirs

    async def _bind(self) -> list[trio.SocketListener]:
        if self.port:
            return await trio.open_tcp_listeners(self.port, host=self.host)
        while True:
            port = random.randrange(20_000, 32_000)
            with suppress(OSError):
                listeners = await trio.open_tcp_listeners(port, host=self.host)
                self.port = port
                return listeners

    async def _listen(self, *, task_status: trio.TaskStatus[None]) -> None:
        listeners = await self._bind()
        self._down = trio.Event()
        try:
            async with trio.open_nursery() as self._handlers:
                await self._handlers.start(trio.serve_listeners, self._connection, listeners)
                task_status.started()
        finally:
            self._handlers = None
            self._down.set()

    async def _connection(self, stream: trio.abc.Stream) -> None:
        self.accepted += 1
        number = self.accepted
        if self._ssl_context:
            stream = trio.SSLStream(stream, self._ssl_context, server_side=True, https_compatible=True)
        self._open.add(stream)
        try:
            if self.accepting == "serve":
                await self._exchanges(stream, number)
            elif self.accepting == "reset":
                reset_connection(stream)
            elif self.accepting == "ignore":
                with trio.move_on_after(self.limit):
                    await trio.sleep_forever()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            self._open.discard(stream)
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(stream)  # closes without waiting for anyone

    async def _exchanges(self, stream: trio.abc.Stream, number: int) -> None:
        """Answer one request after the other, while a task of its own reads, and so sees the client leave."""
        incoming, exchanges = trio.open_memory_channel[Exchange](16)
        reader = _Reader(self, stream, number, incoming)
        async with trio.open_nursery() as nursery, exchanges:
            nursery.start_soon(reader.run, nursery.cancel_scope)
            async for exchange in exchanges:
                if not await self._answer(exchange):
                    break
            nursery.cancel_scope.cancel("the connection is done")

    async def _answer(self, exchange: Exchange) -> bool:
        """Act out one behaviour; tell whether the connection may be used again."""
        request = exchange.request
        self.requests.append(request)
        self._news.unpark_all()
        try:
            with trio.move_on_after(self.limit) as limit:
                await self._behaviour(request)(exchange)
        except Dropped:
            return False
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            request.hung_up()
            return False
        if limit.cancelled_caught:
            return False
        request.answered.set()
        return exchange.keep_alive and request.received.is_set()

    def _behaviour(self, request: Recorded) -> Behaviour:
        scripted = self.paths.get(request.path)
        if scripted is not None:
            return scripted
        if request.path.endswith("/chat/completions"):
            if request.method != "POST":
                return llama_error(405, "Method Not Allowed", "invalid_request_error")
            return self._next.popleft() if self._next else self.behaviour
        if request.path.endswith("/models") and request.method in {"GET", "HEAD"}:
            return self.models or model_list(self.name)
        return llama_error(404, "File Not Found", "not_found_error")


class _Reader:
    """Reads a connection to its end: makes exchanges of requests, and notes whom the client walked out on."""

    def __init__(
        self,
        server: FakeModelServer,
        stream: trio.abc.Stream,
        number: int,
        incoming: trio.MemorySendChannel[Exchange],
    ) -> None:
        self._server = server
        self._stream = stream
        self._number = number
        self._incoming = incoming
        self._parser = httptools.HttpRequestParser(self)
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._request: Recorded | None = None
        self._arrived: deque[Exchange] = deque()
        self._last: Exchange | None = None

    async def run(self, connection: trio.CancelScope) -> None:
        """Read until the client closes; then end the connection, with whatever is still being acted out."""
        with self._incoming, suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while data := await self._stream.receive_some(65536):
                try:
                    self._parser.feed_data(data)
                except httptools.HttpParserError:
                    await self._stream.send_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
                    break
                while self._arrived:
                    self._last = self._arrived.popleft()
                    await self._incoming.send(self._last)
        if self._request is not None:
            self._request.hung_up()  # before it had sent all of its body
        last = self._last
        if last is not None and not last.request.answered.is_set():
            if last.ending:
                return  # only the last bytes are being sent: let them go out
            last.request.hung_up()
        connection.cancel("the client hung up")

    def on_message_begin(self) -> None:
        self._target, self._headers, self._body = b"", [], []

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        method = self._parser.get_method().decode()
        self._request = Recorded(method, self._target.decode("latin-1"), self._headers, self._number)
        if self._server.early:
            self._arrived.append(Exchange(self._server.name, self._request, self._stream))

    def on_body(self, data: bytes) -> None:
        self._body.append(data)

    def on_message_complete(self) -> None:
        assert self._request is not None
        request, self._request = self._request, None
        request.body = b"".join(self._body)
        request.received.set()
        if not self._server.early:
            self._arrived.append(Exchange(self._server.name, request, self._stream))


def _named(tokens: int, first_after: float, between: float) -> dict[str, Behaviour]:
    """The behaviours that a command line can choose."""
    ok = Ok([" word"] * tokens, first_after=first_after, between=between)
    return {
        "ok": ok,
        "coalesced": Ok([" word"] * tokens, first_after=first_after, coalesce=True),
        "bytewise": Bytewise(ok),
        "die": Cut(ok, tokens // 2),
        "stall": Cut(ok, tokens // 2, "stall"),
        "flapping": Flapping(ok, internal_error()),
        "hang": Hang(),
        "reset": Reset(),
        "loading": loading(),
        "error": internal_error(),
        "limited": rate_limited(),
        "html": html_200(),
        "garbage": garbage_json(),
    }


def main() -> None:
    """Serve one behaviour until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.model_server")
    parser.add_argument("--name", default="fake-model")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--behaviour", choices=sorted(_named(1, 0, 0)), default="ok")
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--first-after", type=float, default=0)
    parser.add_argument("--between", type=float, default=0)
    options = parser.parse_args()
    behaviour = _named(options.tokens, options.first_after, options.between)[options.behaviour]

    async def serve() -> None:
        server = FakeModelServer(
            options.name, host=options.host, port=options.port, behaviour=behaviour, limit=3600, keep=0
        )
        async with server:
            print(f"listening on {server.base_url}", flush=True)  # noqa: T201  # that is what stdout is for
            await trio.sleep_forever()

    with suppress(KeyboardInterrupt):
        trio.run(serve)


if __name__ == "__main__":
    main()

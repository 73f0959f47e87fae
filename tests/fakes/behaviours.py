"""What a fake model server can do to a request: behaviours, from a good answer to a reset in mid-event.

`tests/fakes/model_server.py` has the list with what each is for; test authors import them from there.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import trio

Ending = Literal["fin", "reset", "stall"]
"""How a connection ends: closed, reset, or not at all, silent until the client leaves."""


class Recorded:
    """One request as it arrived, and what became of its client. Times are `trio.current_time()`."""

    def __init__(self, method: str, target: str, headers: list[tuple[bytes, bytes]], connection: int) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        """As received: order, case, repetitions."""
        self.body = b""
        """Complete once `received` is set; without `server.early` it always is."""
        self.connection = connection
        """The number of the connection it came on, from 1."""
        self.at = trio.current_time()
        self.received = trio.Event()
        self.answered = trio.Event()
        """The whole answer was sent."""
        self.disconnected = trio.Event()
        """The client hung up before it had the whole answer."""
        self.disconnected_at: float | None = None

    def __repr__(self) -> str:
        return f"<{self.method} {self.target} on connection {self.connection}, {len(self.body)} bytes>"

    def hung_up(self) -> None:
        """Note that the client has left too early."""
        if not self.disconnected.is_set():
            self.disconnected_at = trio.current_time()
            self.disconnected.set()

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    def header(self, name: str) -> str | None:
        """The value of a header, whatever its case; several are joined with commas; None where there is none."""
        wanted = name.lower().encode()
        values = [value.decode("latin-1") for key, value in self.headers if key.lower() == wanted]
        return ", ".join(values) if values else None

    def json(self) -> Any:
        return json.loads(self.body)


class Dropped(Exception):  # a signal to the connection, no error
    """The connection is to end here."""


class Exchange:
    """One request and the connection to answer it on: what a behaviour works with."""

    def __init__(self, model: str, request: Recorded, stream: trio.abc.Stream) -> None:
        self.model = model
        """The name that answers go by."""
        self.request = request
        self.keep_alive = request.header("connection") != "close"
        self.write: Callable[[bytes], Awaitable[None]] = stream.send_all
        """Sends bytes as they are. A wrapper may replace it."""
        self._stream = stream
        self._framing: Literal["chunked", "length", "close"] = "close"
        self._pieces_left: int | None = None
        self._cut: tuple[int, Ending] | None = None
        self.ending = False
        """The last bytes of the answer are on their way: a client that leaves now leaves in order."""

    @property
    def asked(self) -> dict[str, Any]:
        """The request's JSON object, or an empty one."""
        try:
            asked = json.loads(self.request.body)
        except ValueError:
            return {}
        return asked if isinstance(asked, dict) else {}

    async def head(
        self,
        status: int,
        headers: Sequence[tuple[str, str]] = (),
        *,
        framing: Literal["chunked", "length", "close"],
        body: bytes = b"",
    ) -> None:
        """Send the status line and headers, and with framing "length" the body that they measure."""
        self._framing = framing
        lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Scripted')}", "Server: fake"]
        lines += [f"{name}: {value}" for name, value in headers]
        if framing == "chunked":
            lines.append("Transfer-Encoding: chunked")
        elif framing == "length":
            lines.append(f"Content-Length: {len(body)}")
        else:
            self.keep_alive = False
        head = "\r\n".join((*lines, "", "")).encode("latin-1")
        if framing == "length":
            if self._cut is None:
                self.ending = True
                await self.write(head + body)
                return
            await self.write(head)
            await self._send(body)
            await self.end()
        else:
            await self.write(head)

    async def piece(self, data: bytes) -> None:
        """Send a piece of the body, framed as `head` said."""
        await self._send(b"%x\r\n%b\r\n" % (len(data), data) if self._framing == "chunked" else data)

    async def end(self) -> None:
        """End the body."""
        if self._cut is not None:
            self._pieces_left = 0
            await self._send(b"")
        self.ending = True
        if self._framing == "chunked":
            await self.write(b"0\r\n\r\n")

    def cut(self, pieces: int | None, extra: int, how: Ending) -> None:
        """Arrange for the connection to end after so many pieces, and `extra` bytes of the next."""
        self._pieces_left, self._cut = pieces, (extra, how)

    async def drop(self, how: Ending) -> None:
        """End the connection; does not return."""
        if how == "stall":
            await trio.sleep_forever()
        if how == "reset":
            reset_connection(self._stream)
        self.keep_alive = False
        raise Dropped

    async def _send(self, wire: bytes) -> None:
        if self._cut is not None and self._pieces_left == 0:
            extra, how = self._cut
            if extra:
                await self.write(wire[:extra])
            await self.drop(how)
        if self._pieces_left is not None:
            self._pieces_left -= 1
        await self.write(wire)


Behaviour = Callable[[Exchange], Awaitable[None]]

_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 500: "Internal Server Error", 502: "Bad Gateway"}


def reset_connection(stream: trio.abc.Stream) -> None:
    """Make closing the connection an RST; a connection in memory just breaks."""
    if isinstance(stream, trio.SSLStream):
        stream = stream.transport_stream
    if isinstance(stream, trio.SocketStream):
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        stream.socket.close()


def sse_event(payload: object) -> bytes:
    return b"data: %b\n\n" % json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass(frozen=True)
class Ok:
    """A chat completion as a good server answers it: SSE where the request says `stream`, else JSON."""

    texts: Sequence[str] = ("Hello", " from", " the", " fake", " model", ".")
    """The answer, one text a token."""
    first_after: float = 0
    """Seconds between the headers and the first event; of a buffered answer, before the headers."""
    between: float = 0
    """Seconds between two tokens."""
    prelude: Sequence[bytes | float] = ()
    """Raw pieces and pauses before the first event: `b": waiting\\n\\n"`, `b"data: null\\n\\n"`."""
    role: bool = True
    """A first event with the role and no text."""
    done: bool = True
    """`data: [DONE]` at the end."""
    finish: str | None = "stop"
    """The finish reason; None leaves its event out."""
    usage: bool | None = None
    """A usage event (`choices: []`): None where the request's `stream_options` ask for it."""
    prompt_tokens: int = 7
    crlf: bool = False
    """Lines of the stream end with CRLF."""
    coalesce: bool = False
    """The whole stream in one piece."""
    stream: bool | None = None
    """SSE or JSON whatever the request asks for."""
    content_type: str | None = None
    """Instead of the right one; "" leaves it out."""
    framing: Literal["chunked", "length", "close"] | None = None
    """Of a stream "chunked" (or "close": the end of the connection ends it), of JSON "length" (or either)."""
    then: Literal["keep", "close", "stale"] = "keep"
    """Afterwards: keep the connection; close it, and say so; or close it without having said so."""
    status: int = 200
    headers: Sequence[tuple[str, str]] = ()
    deltas: Sequence[Mapping[str, Any]] | None = None
    """Instead of one `{"content": text}` for each text: tool calls, reasoning …"""
    message: Mapping[str, Any] | None = None
    """Instead of the buffered answer's message."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """More top-level fields of the answer, or of every event: `{"timings": {…}}`."""

    async def __call__(self, exchange: Exchange) -> None:
        asked = exchange.asked
        streamed = bool(asked.get("stream")) if self.stream is None else self.stream
        headers = list(self.headers)
        content_type = self.content_type
        if content_type is None:
            content_type = "text/event-stream" if streamed else "application/json"
        if content_type:
            headers.insert(0, ("Content-Type", content_type))
        if self.then == "close":
            headers.append(("Connection", "close"))
        if self.then != "keep":
            exchange.keep_alive = False
        if streamed:
            await self._stream(exchange, asked, headers)
        else:
            await self._buffered(exchange, headers)

    def _usage(self) -> dict[str, int]:
        done = len(self.texts)
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": done,
            "total_tokens": self.prompt_tokens + done,
        }

    async def _buffered(self, exchange: Exchange, headers: list[tuple[str, str]]) -> None:
        message = self.message or {"role": "assistant", "content": "".join(self.texts)}
        answer = {
            "id": "chatcmpl-fake",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": exchange.model,
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": self.finish}],
            "usage": self._usage(),
            **self.extra,
        }
        await _pause(self.first_after + self.between * len(self.texts))
        body = json.dumps(answer, ensure_ascii=False).encode()
        framing = self.framing or "length"
        await exchange.head(self.status, headers, framing=framing, body=body)
        if framing != "length":
            await exchange.piece(body)
            await exchange.end()

    def events(self, name: str, *, usage: bool) -> list[bytes]:
        """The events of the stream, in LF form."""
        common = {
            "id": "chatcmpl-fake",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": name,
            **self.extra,
        }

        def choice(delta: Mapping[str, Any], finish: str | None = None) -> bytes:
            return sse_event({**common, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

        events = [choice({"role": "assistant", "content": ""})] if self.role else []
        events += [choice(delta) for delta in self.deltas or [{"content": text} for text in self.texts]]
        if self.finish:
            events.append(choice({}, self.finish))
        if usage:
            events.append(sse_event({**common, "choices": [], "usage": self._usage()}))
        if self.done:
            events.append(b"data: [DONE]\n\n")
        return events

    async def _stream(
        self, exchange: Exchange, asked: Mapping[str, Any], headers: list[tuple[str, str]]
    ) -> None:
        options = asked.get("stream_options")
        usage = self.usage
        if usage is None:
            usage = isinstance(options, dict) and bool(options.get("include_usage"))
        events = self.events(exchange.model, usage=usage)
        if self.crlf:
            events = [event.replace(b"\n", b"\r\n") for event in events]
        if self.coalesce:
            events = [b"".join(events)]
        if self.framing == "length":
            await _pause(self.first_after)
            await exchange.head(self.status, headers, framing="length", body=b"".join(events))
            return
        await exchange.head(self.status, headers, framing=self.framing or "chunked")
        for item in self.prelude:
            if isinstance(item, bytes):
                await exchange.piece(item)
            else:
                await _pause(item)
        await _pause(self.first_after)
        for number, event in enumerate(events):
            if number:
                await _pause(self.between)
            await exchange.piece(event)
        await exchange.end()


async def _pause(seconds: float) -> None:
    if seconds:
        await trio.sleep(seconds)


@dataclass(frozen=True)
class Events:
    """An SSE stream of exactly these events: a dict is `data: {…}`, bytes are sent as they are."""

    events: Sequence[Mapping[str, Any] | bytes]
    between: float = 0

    async def __call__(self, exchange: Exchange) -> None:
        await exchange.head(200, [("Content-Type", "text/event-stream")], framing="chunked")
        for event in self.events:
            await exchange.piece(event if isinstance(event, bytes) else sse_event(event))
            await _pause(self.between)
        await exchange.end()


@dataclass(frozen=True)
class Raw:
    """Exactly these bytes, headers and all, each in a send of its own; numbers are pauses in seconds."""

    items: Sequence[bytes | float]
    then: Literal["keep"] | Ending = "fin"

    async def __call__(self, exchange: Exchange) -> None:
        for number, item in enumerate(self.items, 1):
            if isinstance(item, bytes):
                exchange.ending = number == len(self.items) and self.then != "stall"
                await exchange.write(item)
            else:
                await trio.sleep(item)
        if self.then != "keep":
            await exchange.drop(self.then)


@dataclass(frozen=True)
class Status:
    """An answer with this status; the body is JSON, or bytes as they are."""

    status: int
    body: Mapping[str, Any] | list[Any] | bytes = b""
    headers: Sequence[tuple[str, str]] = ()
    content_type: str = "application/json"

    async def __call__(self, exchange: Exchange) -> None:
        body = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        headers = [("Content-Type", self.content_type), *self.headers]
        if exchange.request.method == "HEAD":
            await exchange.head(self.status, headers, framing="length")
        else:
            await exchange.head(self.status, headers, framing="length", body=body)


@dataclass(frozen=True)
class Delay:
    """Nothing for so many seconds, then `inner`."""

    seconds: float
    inner: Behaviour = field(default_factory=Ok)

    async def __call__(self, exchange: Exchange) -> None:
        await trio.sleep(self.seconds)
        await self.inner(exchange)


@dataclass(frozen=True)
class Hang:
    """Take the request and never say a word."""

    async def __call__(self, exchange: Exchange) -> None:
        await exchange.drop("stall")


@dataclass(frozen=True)
class Drop:
    """End the connection without an answer, or in the middle of one: `part` is sent before."""

    how: Ending = "fin"
    part: bytes = b""

    async def __call__(self, exchange: Exchange) -> None:
        if self.part:
            await exchange.write(self.part)
        await exchange.drop(self.how)


def Reset(part: bytes = b"") -> Drop:  # noqa: N802  # reads like the other behaviours
    """Reset the connection instead of answering; with `part`, after these bytes."""
    return Drop("reset", part)


@dataclass(frozen=True)
class Cut:
    """End the connection in the middle of `inner`'s body.

    After so many pieces (events of `Ok`, its prelude included; one of JSON) and `extra` bytes of the next, in
    its framing. `pieces` None lets the whole body through, but not its end.
    """

    inner: Behaviour
    pieces: int | None
    how: Ending = "fin"
    extra: int = 0

    async def __call__(self, exchange: Exchange) -> None:
        exchange.cut(self.pieces, self.extra, self.how)
        await self.inner(exchange)


@dataclass(frozen=True)
class Bytewise:
    """What `inner` sends, headers and all, `size` bytes at a time, each in a packet of its own."""

    inner: Behaviour
    size: int = 1
    pause: float = 0

    async def __call__(self, exchange: Exchange) -> None:
        write = exchange.write

        async def bytewise(data: bytes) -> None:
            for start in range(0, len(data), self.size):
                await write(data[start : start + self.size])
                await trio.sleep(self.pause)

        exchange.write = bytewise
        await self.inner(exchange)


class Flapping:
    """`bad` for every n-th request, `good` for the others."""

    def __init__(self, good: Behaviour, bad: Behaviour, every: int = 2) -> None:
        self._good, self._bad, self._every = good, bad, every
        self._count = 0

    async def __call__(self, exchange: Exchange) -> None:
        self._count += 1
        await (self._good if self._count % self._every else self._bad)(exchange)


def llama_error(status: int, message: str, kind: str, **more: object) -> Status:
    """An error in llama.cpp's form."""
    return Status(status, {"error": {"code": status, "message": message, "type": kind, **more}})


def loading() -> Status:
    """llama.cpp while it loads its model."""
    return llama_error(503, "Loading model", "unavailable_error")


def overloaded() -> Status:
    """Ollama with its queue full: a 503 that says nothing of loading."""
    return Status(503, {"error": "server busy, please try again.  maximum pending requests exceeded"})


def internal_error() -> Status:
    return llama_error(500, "something broke", "server_error")


def rate_limited(retry_after: float | str | None = 1) -> Status:
    headers = [] if retry_after is None else [("Retry-After", str(retry_after))]
    error = {"message": "Rate limit reached", "type": "rate_limit_error", "param": None, "code": "rate_limit"}
    return Status(429, {"error": error}, headers)


def unauthorized() -> Status:
    return llama_error(401, "Invalid API Key", "authentication_error")


def forbidden() -> Status:
    """Ollama on loopback, asked with a foreign Host: no body."""
    return Status(403)


def model_missing() -> Status:
    error = {"message": "model 'qwen' not found", "type": "not_found_error", "param": None, "code": None}
    return Status(404, {"error": error})


def bad_request() -> Status:
    return llama_error(400, "'messages' is required", "invalid_request_error")


def context_exceeded(n_prompt_tokens: int = 3031, n_ctx: int = 2048) -> Status:
    return llama_error(
        400,
        f"request ({n_prompt_tokens} tokens) exceeds the available context size ({n_ctx} tokens), try increasing it",
        "exceed_context_size_error",
        n_prompt_tokens=n_prompt_tokens,
        n_ctx=n_ctx,
    )


def not_implemented() -> Status:
    return llama_error(
        501, "This server does not support embeddings. Start it with `--embeddings`", "not_supported_error"
    )


def image_unsupported() -> Status:
    return llama_error(
        500,
        "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj",
        "server_error",
    )


def garbage_json() -> Status:
    return Status(200, b'{"choices": [{"message": {"role"')


def empty_200() -> Status:
    return Status(200)


def html_200() -> Status:
    """A router's or a proxy's own page, which claims success."""
    page = b"<!DOCTYPE html><html><title>Login</title><body>Please log in</body></html>"
    return Status(200, page, content_type="text/html; charset=utf-8")


def html_502() -> Status:
    page = b"<html><head><title>502 Bad Gateway</title></head><body><center>nginx</center></body></html>"
    return Status(502, page, content_type="text/html")


def redirect(location: str, status: int = 307) -> Status:
    return Status(status, headers=[("Location", location)])


def error_first() -> Events:
    """A stream whose first event is an error, as vLLM and llama.cpp send one."""
    return Events([{"error": {"code": 500, "message": "the engine died", "type": "server_error"}}])


def error_after(texts: int, *, done: bool = True) -> Events:
    """A stream that breaks off with an error event after so many texts; vLLM sends a [DONE] after it."""
    good = Ok(["word"] * texts, finish=None, done=False).events("fake", usage=False)
    error = sse_event({"error": {"code": 500, "message": "the engine died", "type": "server_error"}})
    return Events([*good, error, *([b"data: [DONE]\n\n"] if done else [])])


def truncated_chunked() -> Cut:
    """A buffered answer in chunks that ends (FIN) twenty bytes in."""
    return Cut(Ok(stream=False, framing="chunked"), 0, extra=20)


def truncated_length() -> Cut:
    """A buffered answer with a Content-Length that ends (FIN) twenty bytes in."""
    return Cut(Ok(stream=False), 0, extra=20)


def model_list(*names: str, owner: str = "fake", **fields: object) -> Status:
    """A list of models. `owner` is what servers tell themselves apart by: "llamacpp", "vllm", "library" (Ollama),
    "organization_owner" (LM Studio).
    """
    data = [{"id": name, "object": "model", "created": 0, "owned_by": owner, **fields} for name in names]
    return Status(200, {"object": "list", "data": data})


# What servers tell of their load


def llama_slots(busy: int, count: int) -> Status:
    """llama.cpp's /slots: so many of them at work."""
    slots = [{"id": number, "n_ctx": 4096, "is_processing": number < busy} for number in range(count)]
    return Status(200, slots)


def vllm_metrics(running: int, waiting: int, *, prefix: str = "vllm:num_requests_") -> Status:
    """vLLM's /metrics, as far as requests are concerned."""
    labels = '{engine="0",model_name="a {strange} name"}'
    lines = [
        f"# HELP {prefix}running Number of requests in model execution batches.",
        f"# TYPE {prefix}running gauge",
        f"{prefix}running{labels} {float(running)}",
        f"{prefix}waiting{labels} {float(waiting)}",
        f"vllm:kv_cache_usage_perc{labels} NaN",
    ]
    return Status(200, "\n".join(lines).encode(), content_type="text/plain; version=0.0.4")


def ollama_ps(*loaded: str) -> Status:
    """Ollama's /api/ps: the models that are loaded now, with their tags."""
    return Status(200, {"models": [{"name": name, "model": name, "size": 1} for name in loaded]})


def lmstudio_models(*known: str, loaded: tuple[str, ...] = ()) -> Status:
    """LM Studio's /api/v1/models: what is on its disk, and what of it is loaded."""
    models = [
        {"type": "llm", "key": key, "loaded_instances": [{"id": key, "config": {}}] if key in loaded else []}
        for key in known
    ]
    return Status(200, {"models": models})


def lmstudio_unknown_path() -> Status:
    """LM Studio's answer to a path that it doesn't know: a 200."""
    return Status(200, {"error": "Unexpected endpoint or method. (GET /api/v1/models)"})

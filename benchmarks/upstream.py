"""A model server that is never the bottleneck: precomputed bytes on a bare asyncio protocol.

`python -m benchmarks.upstream PORT`

It answers GET of anything with a list of models and POST of anything with a chat completion: buffered, as a
stream of 64 tokens sent flat out (each SSE event an HTTP chunk and a write of its own), or, where the request has
`max_tokens`, that many at 100 a second. What the target does with these bytes is what the benchmark measures.
"""

import asyncio
import json
import sys
import time

import httptools

from benchmarks import payloads

_BUFFERED_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
_END = b"0\r\n\r\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


_MODELS = _BUFFERED_HEAD % len(payloads.MODELS) + payloads.MODELS
_BUFFERED = _BUFFERED_HEAD % len(payloads.BUFFERED_ANSWER) + payloads.BUFFERED_ANSWER
_STREAM_WRITES = (_STREAM_HEAD, *(_chunk(event) for event in payloads.STREAM_EVENTS), _END)
_PACED_TAIL = _chunk(payloads.LAST_EVENT) + _chunk(payloads.DONE) + _END


class _Connection(asyncio.Protocol):
    """One connection of the target, keep-alive; requests come one after the other."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._body = b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            print(f"upstream: {error}", file=sys.stderr)
            self._transport.close()

    # httptools' callbacks

    def on_message_begin(self) -> None:
        self._body = b""

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        write = self._transport.write
        if self._parser.get_method() == b"GET":
            write(_MODELS)
            return
        request = json.loads(self._body)
        if not request.get("stream"):
            write(_BUFFERED)
        elif tokens := request.get("max_tokens"):
            write(_STREAM_HEAD)
            self._start, self._sent, self._tokens = self._loop.time(), 0, int(tokens)
            self._paced()
        else:
            for piece in _STREAM_WRITES:
                write(piece)

    def _paced(self) -> None:
        """Write the token that is due, and come again; a late one is not waited for twice."""
        if self._sent == self._tokens:
            self._transport.write(_PACED_TAIL)
            return
        self._transport.write(_chunk(payloads.paced_event(time.monotonic_ns())))
        self._sent += 1
        self._timer = self._loop.call_at(self._start + self._sent / payloads.PACED_RATE, self._paced)


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", port, backlog=1024)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))

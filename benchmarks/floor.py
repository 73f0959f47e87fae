"""The floor of the stack: a bare ASGI app under hypercorn's trio worker that answers by itself.

`python -m benchmarks.floor PORT`

No upstream, no framework, no JSON: whatever is built on this server can't be cheaper. A stream flat out is one
`send` (the least there is); a paced one is a `send` per token, as nobody can send what isn't there yet.
"""

import re
import sys
import time

import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, Scope

from benchmarks import payloads

_JSON_HEADERS = [
    (b"content-type", b"application/json"),
    (b"content-length", b"%d" % len(payloads.BUFFERED_ANSWER)),
]
_STREAM_HEADERS = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")]
_MAX_TOKENS = re.compile(rb'"max_tokens":(\d+)')


async def _send_body(send: ASGISendCallable, body: bytes, *, more: bool = False) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def _app(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])  # hypercorn goes on without lifespan events
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return  # the client went away
        body += message["body"]
        more = message["more_body"]
    streaming = b'"stream":true' in body
    headers = _STREAM_HEADERS if streaming else _JSON_HEADERS
    await send({"type": "http.response.start", "status": 200, "headers": headers, "trailers": False})
    if not streaming:
        await _send_body(send, payloads.BUFFERED_ANSWER)
    elif tokens := _MAX_TOKENS.search(body):
        await _paced(send, int(tokens[1]))
    else:
        await _send_body(send, payloads.STREAM_ANSWER)


async def _paced(send: ASGISendCallable, tokens: int) -> None:
    start = trio.current_time()
    for number in range(tokens):
        await trio.sleep_until(start + number / payloads.PACED_RATE)
        await _send_body(send, payloads.paced_event(time.monotonic_ns()), more=True)
    await _send_body(send, payloads.LAST_EVENT + payloads.DONE)


def main(port: int) -> None:
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.accesslog = None
    config.loglevel = "WARNING"
    config.include_server_header = False
    config.keep_alive_max_requests = sys.maxsize
    trio.run(serve, _app, config)


if __name__ == "__main__":
    main(int(sys.argv[1]))

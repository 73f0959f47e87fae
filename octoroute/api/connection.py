"""One HTTP request under quart-trio: opens its exchange, reads the request, and sends the answer.

quart-trio's own class has a task that waits for the client to leave and then cancels the request. hypercorn
reports a disconnect from inside the application's own last `send`, so that cancel loses keep-alive connections
(trap 1) and hangs on early refusals (trap 2); and a response whose body stopped early ends like a complete
one (trap 7). Here the TCP connection itself says when its client is gone, and no task needs to wait for it.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Any, Protocol, cast

import trio
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable
from quart.wrappers import Response
from quart.wrappers.response import ResponseBody
from quart_trio.asgi import TrioASGIHTTPConnection, TrioASGIWebsocketConnection

from octoroute.api.answers import Relayed, raw_headers
from octoroute.errors import BodyTooLarge, RequestTimeout, UpstreamFailed
from octoroute.openai.errors import error_body, server_error
from octoroute.openai.sse import comment, error_event
from octoroute.relay.body import RelayBody
from octoroute.relay.exchange import Exchange
from octoroute.relay.headers import request_id

if TYPE_CHECKING:
    from octoroute.api.app import App

BODY_ARRIVES_SECONDS = 0.1
"""A refusal waits this long for a body that is nearly here: the connection can then be kept."""
EARLY_REFUSAL_SECONDS = 2.0
"""How long the rest of a request that was refused already may keep coming."""
LAST_WORD_SECONDS = 1.0


class Wire(Protocol):
    """What the TCP connection does for the request on it."""

    corked: bool
    """While True, what is sent waits for the next send: an answer's head goes out with the first of its body."""
    on_disconnect: Callable[[], None] | None
    """Called once when the client is gone."""


class Incoming:
    """The request's body. Nothing is taken from the connection until somebody reads."""

    def __init__(self, receive: ASGIReceiveCallable, wire: Wire, announced: int | None) -> None:
        self._receive = receive
        self._wire = wire
        self._announced = announced
        self.complete = False

    async def read(self, max_bytes: int, timeout_seconds: float) -> bytes:
        """The whole body.

        Raises:
            BodyTooLarge: it exceeds `max_bytes`, or will by the length that its head announced.
            RequestTimeout: it did not arrive in time.
        """
        too_large = BodyTooLarge(f"The request body exceeds {max_bytes} bytes (server.max_body_bytes).")
        if self._announced is not None and self._announced > max_bytes:
            raise too_large
        body = bytearray()
        with trio.move_on_after(timeout_seconds):
            while not self.complete:
                body += await self._next()
                if len(body) > max_bytes:
                    raise too_large
            return bytes(body)
        raise RequestTimeout(f"The request's body did not arrive within {timeout_seconds:g} s.")

    async def discard(self, seconds: float) -> bool:
        """Read on without keeping anything, for so long at the most; whether the end has come."""
        with trio.move_on_after(seconds):
            while not self.complete:
                await self._next()
        return self.complete

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.request":
            self.complete = not message.get("more_body", False)
            return message.get("body", b"")
        # The client is gone, or what it sent was no HTTP: nothing more will come.
        self.complete = True
        if self._wire.on_disconnect is not None:
            self._wire.on_disconnect()
        await trio.lowlevel.checkpoint()  # ends here in an exchange that was cancelled by that
        return b""


class NoWebsocket(TrioASGIWebsocketConnection):
    """No path of ours speaks WebSocket: every one is refused, with 403."""

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:  # noqa: ARG002  # ASGI's signature
        """Refuse."""
        await send({"type": "websocket.close", "code": 1000, "reason": None})


class Connection(TrioASGIHTTPConnection):
    """quart's view of one request, with an exchange around it."""

    app: App

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Serve the request; whatever the ending, what the exchange holds is given back and one event published."""
        self._exchange = exchange = self._open_exchange()
        self._send = send
        self._begun = False
        self._answering = False
        self._kept_alive = False
        self._speaking = trio.Lock()
        exchange.keep_alive = self._keep_alive
        request = self._create_request_from_scope(send)
        # ASGI's own place for what belongs to a connection and a request: handlers read it from there.
        state = cast("dict[str, Any]", self.scope)["state"]
        self._wire: Wire = state["connection"]
        self._wire.on_disconnect = exchange.disconnected
        self._incoming = Incoming(receive, self._wire, request.content_length)
        state["exchange"], state["incoming"] = exchange, self._incoming
        self.app.exchanges.add(exchange)
        try:
            with exchange.scope:
                await self._answer(cast("Response | Relayed", await self.app.handle_request(request)))
            # After `[DONE]` there is nothing left to say, nor is it an interruption when the client leaves.
            if exchange.scope.cancelled_caught and not exchange.client_gone and not exchange.said_done:
                await self._say_why()
        finally:
            self._wire.on_disconnect = exchange.keep_alive = None
            self.app.exchanges.discard(exchange)
            await exchange.release()  # noqa: ASYNC102  # shields and bounds itself
            exchange.finished()

    def _open_exchange(self) -> Exchange:
        given = next((value for name, value in self.scope["headers"] if name == b"x-request-id"), None)
        client = self.scope.get("client")
        return Exchange(
            request_id=request_id(given.decode("latin-1") if given is not None else None),
            method=self.scope["method"],
            path=self.app.known_path(self.scope["path"]),
            client=client[0] if client else "local",
            publish=self.app.publish,
        )

    async def _keep_alive(self) -> None:
        """Send a comment, after the head of a stream if that is not out yet: no client or proxy gives up then."""
        async with self._speaking:
            if self._answering or self._exchange.scope.cancel_called:
                return
            if not self._begun:
                self._begun = self._kept_alive = True
                self._exchange.answered_status = 200
                headers = [
                    (b"content-type", b"text/event-stream"),
                    (b"cache-control", b"no-cache"),
                    (b"x-request-id", self._exchange.id.encode()),
                ]
                await self._send({"type": "http.response.start", "status": 200, "headers": headers})
            await self._send_part(comment("waiting"))

    async def _answer(self, response: Response | Relayed) -> None:
        self._answering = True
        self._exchange.silent_since = inf
        if self._kept_alive:
            async with self._speaking:
                await self._go_on(response)
        else:
            await self._respond(response)

    async def _go_on(self, response: Response | Relayed) -> None:
        """Answer after the head is out: with the stream that was waited for, or with why there is none."""
        exchange, body = self._exchange, _body(response)
        if isinstance(body, RelayBody) and body.events:
            assert exchange.endpoint is not None
            exchange.committed()
            # What the headers would have said.
            await self._send_part(
                comment(f"octoroute tier={exchange.endpoint.tier} endpoint={exchange.endpoint.id}")
            )
            async for data in body:
                exchange.bytes_out += len(data)
                await self._send_part(data)
            if not exchange.broken:
                self._wire.on_disconnect = None
                await self._send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        async with body as parts:
            refusal = server_error(b"".join([part async for part in parts]))
        if refusal is None:
            refusal = error_body(
                UpstreamFailed(
                    "The model server answered without a stream, after others had kept it waiting."
                )
            )
        exchange.broken = True
        await self._send_part(error_event(refusal))

    async def _send_part(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def _respond(self, response: Response | Relayed) -> None:
        exchange, send = self._exchange, self._send
        headers = [*raw_headers(response), (b"x-request-id", exchange.id.encode())]
        early = not (self._incoming.complete or await self._incoming.discard(BODY_ARRIVES_SECONDS))
        # Early: the rest of the request is still on its way; a kept connection would take it for the next one.
        if (early or self.app.service.draining) and not any(name == b"connection" for name, _ in headers):
            headers.append((b"connection", b"close"))
        exchange.answered_status = response.status_code
        if exchange.endpoint is not None:
            exchange.committed()
        self._begun = True
        self._wire.corked = True
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        length = response.content_length
        async with _body(response) as parts:
            async for data in parts:
                self._wire.corked = False
                exchange.bytes_out += len(data)
                # With the last byte the client has all it waits for, and may leave.
                last = exchange.bytes_out == length and not early
                if last:
                    self._wire.on_disconnect = None
                await send({"type": "http.response.body", "body": data, "more_body": not last})
                if last:
                    return
        self._wire.corked = False
        if exchange.broken:
            return  # without the final message the client sees that the answer is cut short (trap 7)
        if early:
            # The answer is out. Closing now, with unread data, would reset the connection and could take the
            # answer with it, so the rest is read for a moment. The client has its answer and may leave.
            self._wire.on_disconnect = None
            await self._incoming.discard(EARLY_REFUSAL_SECONDS)
        self._wire.on_disconnect = None
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _say_why(self) -> None:
        """The exchange was cancelled, not by its client: tell that one, briefly."""
        exchange = self._exchange
        error = exchange.interruption()
        with trio.move_on_after(LAST_WORD_SECONDS):
            if not self._begun:
                exchange.endpoint = None  # no answer of its is relayed
                response = self.app.error_response(error, self.scope["path"])
                response.headers["connection"] = "close"
                await self._respond(response)
            else:
                exchange.broken = True
                if exchange.stream:
                    await self._send_part(error_event(error_body(error)))


def _body(response: Response | Relayed) -> ResponseBody | RelayBody:
    """Entered and iterated, it gives the body's bytes."""
    return response.body if isinstance(response, Relayed) else response.response

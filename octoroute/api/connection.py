"""One HTTP request under quart-trio: opens its exchange, notices a disconnect, and sends the answer.

quart-trio's own class loses keep-alive connections and hangs on early refusals (traps 1 and 2), and ends a
response whose body stopped early like a complete one (trap 7); this one takes its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

import trio
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable
from quart.utils import encode_headers
from quart.wrappers import Request, Response
from quart_trio.asgi import TrioASGIHTTPConnection

from octoroute.openai.errors import error_body
from octoroute.openai.sse import error_event
from octoroute.relay.exchange import Exchange
from octoroute.relay.headers import request_id

if TYPE_CHECKING:
    from octoroute.api.app import App


class Wire(Protocol):
    """What the server's connection lets an answer decide."""

    corked: bool

BODY_ARRIVES_SECONDS = 0.1
"""A refusal waits this long for a body that is nearly here: the connection can then be kept."""
EARLY_REFUSAL_SECONDS = 2.0
"""How long the rest of a request that was refused already may keep coming."""
LAST_WORD_SECONDS = 1.0


class Connection(TrioASGIHTTPConnection):
    """quart's view of one request, with an exchange around it."""

    app: App

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Serve the request; whatever the ending, what the exchange holds is given back and one event published."""
        exchange = self._open_exchange()
        # ASGI's own place for what belongs to a request; handlers read it from there.
        cast("dict[str, Any]", self.scope)["state"]["exchange"] = exchange
        self._exchange = exchange
        self._received = trio.Event()
        self._begun = False
        self._handed_over = False
        request = self._create_request_from_scope(send)
        self.app.exchanges.add(exchange)
        try:
            with exchange.scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._listen, request, receive)
                    await self._respond(send, cast("Response", await self.app.handle_request(request)))
                    nursery.cancel_scope.cancel()
            # After `[DONE]` there is nothing left to say, nor is it an interruption when the client leaves.
            if exchange.scope.cancelled_caught and not exchange.client_gone and not exchange.said_done:
                await self._say_why(send)
        finally:
            self.app.exchanges.discard(exchange)
            await exchange.release()
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

    async def _listen(self, request: Request, receive: ASGIReceiveCallable) -> None:
        """Take the body, then wait for the client to go away.

        hypercorn reports a disconnect from inside our own last `send`, too. Cancelling that one would keep it
        from setting the connection up for its next request (trap 1), so from then on nothing is cancelled.
        """
        while True:
            message = await receive()
            if message["type"] == "http.request":
                request.body.append(message.get("body", b""))
                if not message.get("more_body", False):
                    request.body.set_complete()
                    self._received.set()
            elif message["type"] == "http.disconnect":
                if not self._handed_over:
                    self._exchange.disconnected()
                self._received.set()  # whatever has not arrived will not
                return

    async def _refused_early(self) -> bool:
        """Whether the answer is ready before the whole request is here."""
        if not self._received.is_set():
            with trio.move_on_after(BODY_ARRIVES_SECONDS):
                await self._received.wait()
        return not self._received.is_set()

    async def _respond(self, send: ASGISendCallable, response: Response) -> None:
        exchange = self._exchange
        headers = [*encode_headers(response.headers), (b"x-request-id", exchange.id.encode())]
        early = await self._refused_early()
        # Early: the rest of the request is still on its way; a kept connection would take it for the next one.
        if (early or self.app.service.draining) and "connection" not in response.headers:
            headers.append((b"connection", b"close"))
        exchange.answered_status = response.status_code
        if exchange.endpoint is not None:
            exchange.committed()
        self._begun = True
        # The head waits for the first of the body.
        wire = cast("Wire", cast("dict[str, Any]", self.scope)["state"]["connection"])
        wire.corked = True
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        length = response.content_length
        async with response.response as body:
            async for data in body:
                wire.corked = False
                exchange.bytes_out += len(data)
                if exchange.bytes_out == length and not early:
                    # The client has all it waits for and may leave at once, which is no disconnect.
                    self._handed_over = True
                    await send({"type": "http.response.body", "body": data, "more_body": False})
                    return
                await send({"type": "http.response.body", "body": data, "more_body": True})
        if exchange.broken:
            return  # without the final message the client sees that the answer is cut short (trap 7)
        if early:
            # The answer is out. Closing now, with unread data, would reset the connection and could take the
            # answer with it, so the rest is read for a moment. The client has its answer and may leave.
            self._handed_over = True
            with trio.move_on_after(EARLY_REFUSAL_SECONDS):
                await self._received.wait()
        self._handed_over = True
        wire.corked = False
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _say_why(self, send: ASGISendCallable) -> None:
        """The exchange was cancelled, not by its client: tell that one, briefly."""
        exchange = self._exchange
        error = exchange.interruption()
        with trio.move_on_after(LAST_WORD_SECONDS):
            if not self._begun:
                exchange.endpoint = None  # no answer of its is relayed
                response = self.app.error_response(error, self.scope["path"])
                response.headers["connection"] = "close"
                await self._respond(send, response)
            elif exchange.stream:
                event = error_event(error_body(error))
                await send({"type": "http.response.body", "body": event, "more_body": True})
        exchange.broken = self._begun and not self._handed_over

"""Many clients at once, while model servers die and return: what the chaos suite and `just soak` send through a daemon.

    async with Storm(clients=200).servers_up() as storm:
        config = storm.configuration(0)             # TOML; other numbers are other configurations of the same servers
        ...                                         # start the daemon
        await storm.run(url, seconds)
        storm.outcomes                              # what became of each request, by its id

Of the servers that every configuration has, at least `ALWAYS_UP` live at any moment, so every request can be served: by its
tier, or by one that stands in. `broken_by_death` are the ids of requests that were at a server when it died.
"""

from __future__ import annotations

import json
import random
import uuid
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Literal, Self

import trio

from tests.fakes.behaviours import Behaviour, Dropped, Exchange
from tests.fakes.model_server import (
    Cut,
    FakeModelServer,
    Ok,
    garbage_json,
    internal_error,
    overloaded,
    rate_limited,
    sse_event,
)
from tests.raw_client import Ended, RawClient, raw_client, request
from tests.serving import chat

Outcome = Literal["answered", "broken", "left", "refused", "lost"]
"""Of a request: a whole answer; one that broke off after it had begun; its client left; a refusal; none of these."""

Kind = Literal["stream", "buffered", "leaves"]

TOKENS = 12
BETWEEN = 0.15
"""Seconds between two tokens: a stream lasts about two seconds."""
ALWAYS_UP = 2
MAX_CONCURRENT = 80
"""Two servers have not quite room for 200 clients: some of them queue."""
FLOOD = "without end"
CHAT = "/v1/chat/completions"
MODELS = ("auto", "fast", "balanced", "deep")
TIER_OF = {
    "fast-1": "fast",
    "fast-2": "fast",
    "balanced-1": "balanced",
    "balanced-2": "balanced",
    "deep-1": "deep",
    "deep-2": "deep",
}
COMES_AND_GOES = "balanced-2"
"""Some configurations lack it."""


class Storm:
    """The servers and the clients.

    `faults` is the part of the requests that a living server does not answer well, `between_deaths` how many seconds pass
    between two servers' deaths or returns: at least, and at most.
    """

    def __init__(
        self,
        *,
        clients: int,
        faults: float = 0.0,
        between_deaths: tuple[float, float] = (0.8, 2),
        seed: int = 1,
    ) -> None:
        self._clients = clients
        self._between_deaths = between_deaths
        self._faults = faults
        self._random = random.Random(seed)
        self.servers = [FakeModelServer(name, behaviour=self._behave, keep=0) for name in TIER_OF]
        self.outcomes: dict[str, Outcome] = {}
        self.details: list[str] = []
        """What the refused and the lost ones got."""
        self.broken_by_death: set[str] = set()
        self.deaths = 0
        self._serving: dict[str, set[str]] = {name: set() for name in TIER_OF}

    @property
    def counts(self) -> Counter[Outcome]:
        return Counter(self.outcomes.values())

    @asynccontextmanager
    async def servers_up(self) -> AsyncGenerator[Self]:
        async with AsyncExitStack() as stack:
            for server in self.servers:
                await stack.enter_async_context(server)  # type: ignore[arg-type]  # __aexit__ is a plain function
            yield self

    def configuration(self, number: int) -> str:
        """The `number`th configuration: weights and limits differ, and now and then an endpoint is not there."""
        text = f"""\
[server]
host = "127.0.0.1"
port = 0
keepalive_seconds = {1 + number % 2}
stream_idle_timeout_seconds = 5
[routing]
strategy = "rule"
[health]
interval_seconds = 0.5
unhealthy_after = 2
[retry]
backoff_ms = {10 * (1 + number % 3)}
[queue]
max_waiting = {1000 + number}
"""
        for place, server in enumerate(self.servers):
            if server.name != COMES_AND_GOES or number % 3 != 2:
                text += f"""\
[[models.{TIER_OF[server.name]}]]
name = "{server.name}"
base_url = "{server.base_url}"
weight = {1 + (place + number) % 3}
max_concurrent = {MAX_CONCURRENT}
"""
        return text

    async def run(self, url: str, seconds: float) -> None:
        """Let all clients ask for so long, and see their last answers."""
        async with trio.open_nursery() as nursery:
            over = trio.Event()
            async with trio.open_nursery() as asking:
                nursery.start_soon(self._die_and_return, over)
                for _ in range(self._clients):
                    asking.start_soon(self._ask, url, trio.current_time() + seconds)
            over.set()

    # Servers

    async def _behave(self, exchange: Exchange) -> None:
        asked = exchange.request.header("x-request-id") or ""
        here = self._serving[exchange.model]
        here.add(asked)
        try:
            await (flood if FLOOD.encode() in exchange.request.body else self._behaviour())(exchange)
        except Dropped:
            self.broken_by_death.add(asked)
            raise
        finally:
            here.discard(asked)

    def _behaviour(self) -> Behaviour:
        good = Ok([f"token {number}" for number in range(TOKENS)], between=BETWEEN, first_after=0.1)
        if self._random.random() >= self._faults:
            return good
        faults: list[Behaviour] = [
            *(internal_error(), garbage_json(), overloaded(), rate_limited(1)),
            *(Cut(good, 0), Cut(good, 3, "reset")),
        ]
        return self._random.choice(faults)

    async def _die_and_return(self, over: trio.Event) -> None:
        """Again and again one of the servers dies, or one that is dead returns; in the end all are back."""
        while not over.is_set():
            with trio.move_on_after(self._random.uniform(*self._between_deaths)):
                await over.wait()
            dead = [server for server in self.servers if not server.up]
            alive = [server for server in self.servers if server.up]
            steady = sum(server.name != COMES_AND_GOES for server in alive)
            if dead and (steady <= ALWAYS_UP or self._random.random() < 0.5):
                await self._random.choice(dead).restart()
            elif steady > ALWAYS_UP:
                victim = self._random.choice(alive)
                self.broken_by_death |= self._serving[victim.name]
                self.deaths += 1
                await victim.stop(reset=self._random.random() < 0.5)
        for server in self.servers:
            await server.restart()

    # Clients

    async def _ask(self, url: str, end: float) -> None:
        """One client: one request after another, over a connection that is kept where it can be."""
        await trio.sleep(self._random.uniform(0, TOKENS * BETWEEN))
        while trio.current_time() < end:
            async with raw_client(url) as http:
                going_on = True
                while going_on and trio.current_time() < end:
                    kind: Kind = self._random.choices(("stream", "buffered", "leaves"), (8, 1, 1))[0]
                    going_on = await self._one_request(http, kind)

    async def reads_nothing(self, http: RawClient) -> None:
        """Ask for more than any buffer takes. The caller never reads it."""
        asked = self._new_id()
        self.outcomes[asked] = "left"
        await http.send(
            request("POST", CHAT, chat("deep", FLOOD, stream=True), headers={"x-request-id": asked})
        )

    def _new_id(self) -> str:
        return uuid.UUID(int=self._random.getrandbits(128)).hex

    async def _one_request(self, http: RawClient, kind: Kind) -> bool:
        """Ask, and note what became of it; whether the connection may be used again."""
        asked = self._new_id()
        body = chat(self._random.choice(MODELS), stream=kind != "buffered")
        http.received = b""
        await http.send(request("POST", CHAT, body, headers={"x-request-id": asked}))
        try:
            if kind == "leaves":
                await http.body_has(f"token {self._random.randrange(TOKENS - 2)}".encode())
                self.outcomes[asked] = "left"
                return False
            answer = await http.answer()
        except (Ended, trio.BrokenResourceError):
            cut = http.unfinished.body
            begun = b'"choices"' in cut and b'"error"' in cut and b"[DONE]" not in cut
            self._note(asked, "broken" if begun else "lost", cut)
            return False
        if answer.status != 200:
            self._note(asked, "refused", answer.body)
        elif not _is_whole(answer.body, stream=kind == "stream"):
            self._note(asked, "lost", answer.body)
        else:
            self.outcomes[asked] = "answered"
        return answer.headers.get("connection") != "close"

    def _note(self, asked: str, outcome: Outcome, body: bytes) -> None:
        self.outcomes[asked] = outcome
        if outcome != "broken":
            self.details.append(f"{asked} {outcome}: {body[-300:].decode(errors='replace')}")


async def flood(exchange: Exchange) -> None:
    """Events without end, as fast as they are taken."""
    await exchange.head(200, [("Content-Type", "text/event-stream")], framing="chunked")
    while True:
        await exchange.piece(sse_event({"choices": [{"delta": {"content": "x" * 65536}}]}))


def _is_whole(body: bytes, *, stream: bool) -> bool:
    texts: Sequence[str]
    if stream:
        events = [line.removeprefix(b"data: ") for line in body.split(b"\n") if line.startswith(b"data: {")]
        choices = [choice for event in events for choice in json.loads(event)["choices"]]
        texts = [choice["delta"].get("content") or "" for choice in choices]
        if not body.endswith(b"data: [DONE]\n\n"):
            return False
    else:
        texts = [json.loads(body)["choices"][0]["message"]["content"]]
    return "".join(texts) == "".join(f"token {number}" for number in range(TOKENS))

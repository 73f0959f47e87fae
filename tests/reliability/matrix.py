"""The fault matrix: each fault, as a stream and buffered, in each company; what is promised, and what happens."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import trio
import trio.testing
from prometheus_client.parser import text_string_to_metric_families

from octoroute.config.model import Config
from octoroute.daemon import Daemon
from tests.fakes.model_server import FakeModelServer, Ok
from tests.raw_client import Answer, Ended, RawClient, raw_client, request
from tests.reliability.faults import EVENTS, FAULTS, LIMIT, STAMP, WHOLE, Fault, Verdict
from tests.serving import SECONDS, chat, config_for, connection_tasks, endpoint, running, until

Company = Literal["alone", "another endpoint", "another tier"]
COMPANIES: Sequence[Company] = ("alone", "another endpoint", "another tier")
CHAT = "/v1/chat/completions"
BAD, GOOD = "faulty", "other"


@dataclass(frozen=True)
class Cell:
    """One fault, in one mode, in one company."""

    fault: Fault
    stream: bool
    company: Company

    @property
    def key(self) -> tuple[str, bool, Company]:
        return self.fault.name, self.stream, self.company

    def __str__(self) -> str:
        return f"{self.fault.name}, {'stream' if self.stream else 'buffered'}, {self.company}"


CELLS = [
    Cell(fault, stream, company)
    for fault, stream, company in itertools.product(FAULTS, (True, False), COMPANIES)
]


@dataclass(frozen=True)
class Seen:
    """What became of one request, as far as its client and an operator can see."""

    status: int
    by: str | None = None
    """The endpoint that answered, by the header; None where Octoroute itself words the error."""
    attempts: str | None = None
    code: str | None = None
    """Of Octoroute's own error, in the body or in the event that ends a broken stream."""
    broken: bool = False
    """The stream had begun, and was cut: an error event, no `[DONE]`, and the connection ends unfinished."""
    as_it_was: bool = True
    """The body is the server's, byte for byte; of a broken stream, all up to where it broke."""
    retry_after: bool = False
    reason: str | None = None
    warned: bool = False
    """A warning names the tier that was chosen."""
    asked: tuple[int, int] = (1, 0)
    """How many requests came to the faulty server, and to the other."""
    state: str = "healthy"
    failures: int = 0
    counted: frozenset[tuple[str, str, str]] = field(default_factory=frozenset)
    """What the metrics gained: name without prefix, tier or endpoint, and outcome, cause or status."""


def promised(cell: Cell, verdict: Verdict) -> Seen:
    """What is due, by the contract alone."""
    elsewhere = verdict.elsewhere and cell.company != "alone"
    if verdict.outcome == "context" and cell.company == "another tier":
        elsewhere = True  # a window that nobody has measured may be larger
    counted = {("attempts", BAD, verdict.outcome)}
    tier = "fast"
    reached = 1 if cell.fault.connecting == "accept" else 0
    asked = (reached, 0)
    if elsewhere:
        if cell.company == "another tier":
            tier = "deep"
        counted |= {("attempts", GOOD, "ok"), ("failovers", "fast", verdict.outcome)}
        counted.add(("responses", tier, "200"))
        reason = "tier_requested"
        if tier == "deep":
            reason = "needs_context" if verdict.outcome == "context" else "fallback_up"
        return Seen(
            status=200,
            by=GOOD,
            attempts="2",
            reason=reason,
            warned=tier == "deep",
            asked=(reached, 1),
            state=verdict.state,
            failures=verdict.failures,
            counted=frozenset(counted),
        )
    counted.add(("responses", "fast", str(verdict.status)))
    if verdict.cut:
        counted.add(("broken_streams", "fast", ""))
    ours = verdict.code is not None
    return Seen(
        status=verdict.status,
        by=None if ours else BAD,
        attempts=None if ours else "1",
        code=verdict.code or verdict.cut,
        broken=verdict.cut is not None,
        as_it_was=not ours,
        retry_after=verdict.retry_after,
        reason=None if ours else "tier_requested",
        asked=asked,
        state=verdict.state,
        failures=verdict.failures,
        counted=frozenset(counted),
    )


class Left:
    """What is held open, against what was before: sockets, tasks, places, exchanges, waiters."""

    def __init__(self, daemon: Daemon, servers: Sequence[FakeModelServer]) -> None:
        self._daemon = daemon
        self._servers = servers
        self._files, self._tasks = self._held()

    def _held(self) -> tuple[int, int]:
        """Open files and tasks, without those of the fakes, and of connections to them that are kept.

        A fake that is up has a socket and three tasks; a connection a socket at either end, and two tasks of the fake's.
        """
        up = sum(server.up for server in self._servers)
        kept = sum(server.connections for server in self._servers)
        tasks = trio.lowlevel.current_statistics().tasks_living
        return open_files() - up - 2 * kept, tasks - 3 * up - 2 * kept

    def nothing(self) -> bool:
        fleet = self._daemon.service.fleet
        return (
            not self._daemon.app.exchanges
            and all(each.in_flight == 0 for each in fleet)
            and all(admission.waiting == 0 for admission in fleet.admission.values())
            and connection_tasks() == 0
            and self._held() == (self._files, self._tasks)
        )

    def __repr__(self) -> str:
        return f"<Left: {self._held()} against {(self._files, self._tasks)}>"


def open_files() -> int:
    return len([*Path("/dev/fd").iterdir()])


async def play(cell: Cell) -> list[Seen]:
    """Play a cell's requests one after another, each on a connection of its own; see that nothing is left of any."""
    answers = cell.fault.stream if cell.stream else cell.fault.buffered
    seen = []
    before = open_files(), trio.lowlevel.current_statistics().tasks_living
    async with (
        FakeModelServer(BAD) as bad,
        FakeModelServer(GOOD, behaviour=Ok(extra=STAMP)) as good,
        running(configured(cell, bad, good)) as daemon,
    ):
        await trio.testing.wait_all_tasks_blocked()  # what only starts is over
        left = Left(daemon, [bad, good])
        await break_down(cell.fault, bad)
        for behaviour, _ in answers:
            bad.behaviour = behaviour
            seen.append(await observe(cell, daemon, bad, good))
            await until(left.nothing)
        # Whatever it was, an endpoint that is well again is used again.
        await mend(bad)
        async with raw_client(daemon) as http:
            answer, broken = await ask(http, stream=cell.stream)
            assert (answer.status, broken) == (200, False), answer
    await until(lambda: before == (open_files(), trio.lowlevel.current_statistics().tasks_living))
    return seen


def configured(cell: Cell, bad: FakeModelServer, good: FakeModelServer) -> Config:
    """One place at each endpoint: one that is not given back would hold up the next request."""
    first, second = endpoint(bad, priority=2, max_concurrent=1), endpoint(good, max_concurrent=1)
    models = {
        "alone": {"fast": [first]},
        "another endpoint": {"fast": [first, second]},
        "another tier": {"fast": [first], "deep": [second]},
    }[cell.company]
    limits = (
        {"request_timeout_seconds": LIMIT, "stream_idle_timeout_seconds": LIMIT} if cell.fault.timed else {}
    )
    return config_for(models, server=limits, queue={"max_wait_seconds": 5})  # type: ignore[arg-type]


async def break_down(fault: Fault, server: FakeModelServer) -> None:
    server.models = fault.models
    if fault.connecting != "accept":
        await server.stop()  # the connection that a probe left, too
    if fault.connecting == "reset":
        server.accepting = "reset"
        await server.restart()


async def mend(server: FakeModelServer) -> None:
    server.behaviour, server.models, server.accepting = Ok(extra=STAMP), None, "serve"
    await server.restart()


async def ask(http: RawClient, *, stream: bool) -> tuple[Answer, bool]:
    """One request and its answer, and whether that broke off."""
    await http.send(request("POST", CHAT, chat("fast", stream=stream)))
    with trio.fail_after(SECONDS):
        try:
            return await http.answer(), False
        except (Ended, trio.BrokenResourceError):
            return http.unfinished, True


async def observe(cell: Cell, daemon: Daemon, bad: FakeModelServer, good: FakeModelServer) -> Seen:
    """One request through the daemon, and all that can be seen of it."""
    asked, counted = (len(bad.chats), len(good.chats)), metrics(daemon)
    async with raw_client(daemon) as http:
        answer, broken = await ask(http, stream=cell.stream)
    by = answer.headers.get("x-octoroute-endpoint")
    asked = len(bad.chats) - asked[0], len(good.chats) - asked[1]
    code = own_code(answer, broken=broken) if by is None or broken else None
    if broken:
        as_it_was = whole_up_to_the_break(answer.body)
    else:
        as_it_was = by is not None and await directly(good if by == GOOD else bad, cell) == answer.body
    await until(lambda: not daemon.app.exchanges)  # what is counted in the end is counted
    health = next(each for each in daemon.service.fleet if each.id == BAD).health
    return Seen(
        status=answer.status,
        by=by,
        attempts=answer.headers.get("x-octoroute-attempts"),
        code=code,
        broken=broken,
        as_it_was=as_it_was,
        retry_after=1 <= int(answer.headers.get("retry-after", 0)) <= 30,
        reason=answer.headers.get("x-octoroute-reason"),
        warned="tier fast was chosen" in answer.headers.get("x-octoroute-warning", ""),
        asked=asked,
        state=health.state,
        failures=health.failures,
        counted=frozenset(metrics(daemon) - counted),
    )


async def directly(server: FakeModelServer, cell: Cell) -> bytes:
    """What the server itself answers; the request is not recorded."""
    async with raw_client(server.base_url) as http:
        answer, broken = await ask(http, stream=cell.stream)
    assert not broken
    server.requests.pop()
    return answer.body


def own_code(answer: Answer, *, broken: bool) -> str | None:
    """The code of an error in OpenAI's form, with its four fields and a message that names the cause."""
    body = answer.body.rpartition(b"\n\ndata: ")[2] if broken else answer.body
    error = json.loads(body)["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["message"]
    assert "Traceback" not in error["message"]
    if not broken:
        assert BAD in error["message"]
    code = error["code"]
    assert isinstance(code, str)
    return code


def whole_up_to_the_break(body: bytes) -> bool:
    """Whether the client has every event that the server had sent, in the server's bytes, and no end that is none."""
    events = WHOLE.events(BAD, usage=False)
    sent, _, error = body.rpartition(b"\n\ndata: ")
    return (
        b"[DONE]" not in body
        and error.endswith(b"}\n\n")
        and sent.startswith(b"".join(events[:EVENTS]))
        and b"".join(events).startswith(sent.rstrip(b"\n"))
    )


def metrics(daemon: Daemon) -> Counter[tuple[str, str, str]]:
    """The counters that this is about."""
    found: Counter[tuple[str, str, str]] = Counter()
    text = daemon.service.metrics.exposition("")[0].decode()
    for family in text_string_to_metric_families(text):
        name = family.name.removeprefix("octoroute_")
        if name in {"attempts", "failovers", "responses", "broken_streams"}:
            for sample in family.samples:
                if sample.name.endswith("_total"):
                    labels = sample.labels
                    where = labels.get("endpoint") or labels["tier"]
                    what = labels.get("outcome") or labels.get("cause") or labels.get("status") or ""
                    found[name, where, what] = int(sample.value)
    return found

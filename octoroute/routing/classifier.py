"""Asks a model of the router tier which tier a request needs: two tries at most, each bounded, on two endpoints.

A try is one endpoint within `router_timeouts`. What an endpoint does not take of the question (a grammar, a schema,
log probabilities …) is left out and asked again, in the same try, and remembered for it. Whatever goes wrong, the
answer is a `Judgement` without a tier: no request fails because its router model did.
"""

from __future__ import annotations

from collections.abc import Callable
from os import urandom

import trio
from msgspec import Struct

from octoroute.config import model as config
from octoroute.errors import RequestError, UpstreamError
from octoroute.fleet.admission import Place
from octoroute.fleet.endpoint import Endpoint
from octoroute.fleet.fleet import Fleet, Needs
from octoroute.fleet.health import Evidence, retry_after
from octoroute.fleet.upstream import UpstreamResponse
from octoroute.routing import answer, question
from octoroute.routing.question import Learned, Question
from octoroute.telemetry.events import Publish, QuestionCause, RouterAsked

TRIES = 2
MAX_BODY = 256 * 1024
"""Bytes of an answer to a question: one of 1024 thoughts without log probabilities has a few thousand."""
_WORDS = {"connect": "could not be reached", "reset": "closed the connection"}
CLOSE_SECONDS = 1.0
_CLIENT = "octoroute: routing"
"""Who waits in a tier's queue for a place to ask at."""
_HEADERS = [(b"content-type", b"application/json"), (b"accept", b"application/json")]


class Judgement(Struct, frozen=True):
    """What a router model said. `tier` None: nothing; `failed` then says why, for the client's warning."""

    tier: config.Tier | None
    confidence: float | None = None
    unsure: bool = False
    failed: str = ""


class _Failed(Struct, frozen=True):
    """A try without a result. `evidence` counts for the endpoint's health, None does not.

    `told` goes into a header: it holds nothing that a server wrote. `detail`, where it says more, is for the log.
    """

    cause: QuestionCause
    told: str
    evidence: Evidence | None = None
    detail: str = ""
    busy_for: float = 0.0


class Breaker:
    """Leaves a router model alone that failed several decisions in a row; then one decision is its trial."""

    FAILURES = 3
    SECONDS = 30.0

    def __init__(self) -> None:
        self.failures = 0
        self._until = 0.0

    def admits(self, now: float) -> bool:
        """Whether a decision may be asked for now; one that may, while failing, keeps the others out."""
        if self.failures < self.FAILURES:
            return True
        if now < self._until:
            return False
        self._until = now + self.SECONDS
        return True

    def succeeded(self) -> None:
        self.failures = 0

    def failed(self, now: float) -> None:
        self.failures += 1
        self._until = now + self.SECONDS

    def abandoned(self) -> None:
        """A decision ended without a result, since nobody waited any more: the next one is the trial."""
        self._until = 0.0


class Classifier:
    """The router tier's models. What it knows of its endpoints it keeps for as long as it lives."""

    def __init__(
        self,
        settings: config.Routing,
        fleet: Fleet,
        publish: Publish,
        *,
        random_word: Callable[[], str] = lambda: urandom(8).hex(),
    ) -> None:
        self._fleet = fleet
        self._publish = publish
        self._random_word = random_word
        self._tier: config.Tier = settings.router_tier
        self._min_confidence = settings.min_confidence
        self._timeout: float = getattr(settings.router_timeouts, settings.router_tier)
        self.breaker = Breaker()
        self.learned: dict[str, Learned] = {}

    def deadline(self) -> float:
        """When a decision that begins now must be there, on trio's clock."""
        return trio.current_time() + TRIES * self._timeout

    async def ask(self, asked: Question, deadline: float) -> Judgement:
        """What a model of the router tier says, by `deadline` at the latest."""
        if self._choose(set(), with_room=False) is None:
            return Judgement(None, failed=f"has no healthy endpoint (tier {self._tier})")
        trial = self.breaker.failures >= self.breaker.FAILURES
        if not self.breaker.admits(trio.current_time()):
            return Judgement(None, failed="failed several times in a row and is left alone for a moment")
        judgement = None
        try:
            judgement = await self._decide(asked, deadline)
        finally:
            if judgement is None and trial:
                self.breaker.abandoned()
        return judgement

    async def _decide(self, asked: Question, deadline: float) -> Judgement:
        """1. An endpoint not yet tried in this decision. 2. Its answer. 3. A failure: the next one.

        Where no place became free within a try, none is waited for again.
        """
        tried: set[str] = set()
        failure: _Failed | None = None
        for number in range(TRIES):
            if len(tried) < number or (tried and self._choose(tried, with_room=False) is None):
                break
            result = await self._try(asked, tried, min(trio.current_time() + self._timeout, deadline))
            if isinstance(result, answer.Answer):
                self.breaker.succeeded()
                tier, confidence, unsure = answer.choose(result, self._min_confidence)
                return Judgement(tier, confidence, unsure)
            failure = result
        assert failure is not None
        self.breaker.failed(trio.current_time())
        return Judgement(None, failed=f"could not decide: {failure.told}")

    def _choose(self, tried: set[str], *, with_room: bool = True) -> Endpoint | None:
        return self._fleet.choose(self._tier, None, tried, Needs(), with_room=with_room)

    async def _try(self, asked: Question, tried: set[str], deadline: float) -> answer.Answer | _Failed:
        """One endpoint, from waiting for a place there to its answer, until the deadline."""
        start = trio.current_time()
        place: Place | None = None
        spent = _Spent()
        result: answer.Answer | _Failed | None = None
        try:
            with trio.move_on_at(deadline):
                place = await self._place(tried)
                if place is not None:
                    tried.add(place.endpoint.id)
                    self._fleet.asked(place.endpoint)
                    result = await self._ask(place.endpoint, asked, spent)
        finally:
            if place is not None:
                place.release()
        if place is None:
            return _Failed("busy", f"every place in tier {self._tier} is taken")
        endpoint = place.endpoint
        if result is None:
            # Not against its health: this limit is much shorter than an answer's, and it may be at work on one.
            result = _Failed("timeout", f"endpoint {endpoint.id} gave no answer within {self._timeout:g} s")
        failed = result if isinstance(result, _Failed) else None
        if failed is None:
            self._fleet.record(endpoint, "request_answered")
        elif failed.evidence is not None:
            self._fleet.record(
                endpoint, failed.evidence, failed.detail or failed.told, busy_for=failed.busy_for
            )
        self._publish(
            RouterAsked(
                endpoint.tier,
                endpoint.id,
                cause=failed.cause if failed else None,
                detail=(failed.detail or failed.told) if failed else "",
                seconds=trio.current_time() - start,
                tokens_in=spent.tokens_in,
                tokens_out=spent.tokens_out,
            )
        )
        return result

    async def _place(self, tried: set[str]) -> Place | None:
        """A place at an endpoint not yet tried, now or after waiting in the tier's queue; None where there is none."""
        admission = self._fleet.admission[self._tier]
        place = admission.take(lambda: self._choose(tried))
        if place is not None:
            return place
        try:
            return await admission.wait(
                _CLIENT,
                lambda: self._choose(tried),
                lambda: self._choose(tried, with_room=False) is None,
            )
        except RequestError:  # the queue is full, or closed by a drain
            return None

    async def _ask(self, endpoint: Endpoint, asked: Question, spent: _Spent) -> answer.Answer | _Failed:
        """Ask one endpoint, with less each time that it refuses or ignores something of the question.

        1. 400 or 422: without what it names. Remembered once an answer shows that this was it.
        2. An answer that is no word while it was constrained: the constraint is ignored. Remembered only where a word
           came without it, so that a model's bad moment does not cost it its constraint.
        3. Thoughts that took all the room: with room for them.
        """
        learned = self.learned.get(endpoint.id, Learned())
        guessed = False
        while True:
            body = question.body_of(asked, endpoint.model, learned, self._random_word)
            try:
                response, said = await _exchange(endpoint, body)
            except UpstreamError as error:
                words = _WORDS.get(error.cause, "gave a broken answer")
                return _Failed(error.cause, f"endpoint {endpoint.id} {words}", "failure", detail=str(error))
            status = response.status
            if status in {400, 422}:
                less = question.refused(learned, said)
                if less is None:
                    return _Failed("refused", f"endpoint {endpoint.id} answered {status}")
                learned = less
                continue
            if not 200 <= status < 300:
                return _of_status(endpoint.id, response, said)
            read = answer.read(said)
            if read is None:
                return _Failed("broken_answer", f"endpoint {endpoint.id} gave no chat completion")
            spent.tokens_in += read.tokens_in
            spent.tokens_out += read.tokens_out
            if read.tier is not None or not guessed:
                self.learned[endpoint.id] = learned
            if read.tier is not None:
                return read
            nothing = _Failed("no_word", f"endpoint {endpoint.id} answered none of the three words")
            if read.thinking:
                if learned.thinks:
                    return nothing
                learned = Learned(learned.refused, thinks=True)
            else:
                freer = question.ignored(learned)
                if freer is None:
                    return nothing
                learned, guessed = freer, True


class _Spent(Struct):
    """Tokens that a try has cost so far, whatever came of it."""

    tokens_in: int = 0
    tokens_out: int = 0


async def _exchange(endpoint: Endpoint, body: bytes) -> tuple[UpstreamResponse, bytes]:
    response = await endpoint.upstream.chat(body, _HEADERS)
    try:
        return response, await _whole(response)
    finally:
        with trio.move_on_after(CLOSE_SECONDS, shield=True):
            await response.aclose()


async def _whole(response: UpstreamResponse) -> bytes:
    body = bytearray()
    async for chunk in response:
        body += chunk
        if len(body) > MAX_BODY:
            return b""  # not what was asked for, and no evidence against its health
    return bytes(body)


def _of_status(endpoint: str, response: UpstreamResponse, body: bytes) -> _Failed:
    """What an answer that is no success says of the endpoint; as for requests, see the contract's table."""
    status = response.status
    told = f"endpoint {endpoint} answered {status}"
    if status in {401, 403, 404}:
        return _Failed("misconfigured", told, "misconfigured")
    if status == 429:
        return _Failed("busy", told, "busy", busy_for=retry_after(response.header("retry-after")))
    if status == 503 and b"loading" in body.lower():
        return _Failed("loading", told, "warming")
    if status == 501 or 400 <= status < 500:
        return _Failed("refused", told)
    return _Failed("server_error", told, "failure")

"""The load: raw keep-alive connections that check every answer, in a process of its own.

`python -m benchmarks.load JOB` where JOB is a `Job` as JSON; prints `Figures` as JSON.

A run is a warm-up, then a window. What ends inside the window counts, and the CPU times of the server and of the model
server are read at its two edges. Every answer is checked, after its time was taken: a server that answers wrongly is
no fast server.
"""

import asyncio
import math
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Literal

import msgspec

from benchmarks import payloads, procfs

_END = b"\r\n0\r\n\r\n"  # never inside a chunk of ours: JSON holds no raw newlines, and [DONE] comes before
_MAX_ERRORS = 5
_GRACE = 5.0  # seconds that answers may take after the window
_STAMP_TAIL = 64  # bytes kept back of a paced stream: a token may arrive in two parts


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What to send, to whom, for how long; times in seconds.

    `kind` is a closed loop of buffered requests or of streams flat out, or one paced stream per connection.
    `exact` wants the model server's bytes, not only their meaning.
    """

    port: int
    kind: Literal["buffered", "stream", "paced"]
    connections: int
    warmup: float
    seconds: float
    exact: bool
    server_pid: int
    upstream_pid: int


class Quantiles(msgspec.Struct, frozen=True):
    """Milliseconds."""

    p50: float
    p99: float

    @classmethod
    def of(cls, nanoseconds: Sequence[int]) -> "Quantiles":
        ordered = sorted(nanoseconds)
        return cls(*(ordered[math.ceil(part * len(ordered)) - 1] / 1e6 for part in (0.50, 0.99)))


class Figures(msgspec.Struct, kw_only=True):
    """What a run found. CPU times are seconds inside the window; `window` is its true length in seconds."""

    errors: list[str]
    window: float = 0.0
    answers: int = 0
    """Answers completed inside the window; of paced streams, tokens received in it."""
    unfinished: int = 0
    """Paced streams still running long after their last token was due: the server does not keep up."""
    reconnects: int = 0
    latency: Quantiles | None = None
    """From the request's write to the answer's end; of paced streams, from a token's write to its arrival."""
    first_token: Quantiles | None = None
    server_cpu: float = 0.0
    upstream_cpu: float = 0.0
    load_cpu: float = 0.0


def _dechunk(body: bytes) -> bytes:
    """Join an HTTP chunked body; ValueError where it is none."""
    pieces: list[bytes] = []
    position = 0
    while True:
        line_end = body.index(b"\r\n", position)
        size = int(body[position:line_end].split(b";")[0], 16)
        if size == 0:
            return b"".join(pieces)
        position = line_end + 2 + size
        pieces.append(body[line_end + 2 : position])
        if body[position : position + 2] != b"\r\n":
            raise ValueError("a chunk is longer or shorter than it says")
        position += 2


class _Window:
    """The measured part of a run, with the clocks at its edges."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self.open = False

    def _clocks(self) -> tuple[float, float, float, float]:
        server = procfs.cpu_seconds(self._job.server_pid)
        upstream = procfs.cpu_seconds(self._job.upstream_pid)
        return time.perf_counter(), server, upstream, time.process_time()

    async def run(self, stop: asyncio.Event, figures: Figures) -> None:
        """Sleep through warm-up and window, or until `stop`; then fill in `figures`."""
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), self._job.warmup)
            return
        before = self._clocks()
        self.open = True
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), self._job.seconds)
        self.open = False
        passed = [after - start for after, start in zip(self._clocks(), before, strict=True)]
        figures.window, figures.server_cpu, figures.upstream_cpu, figures.load_cpu = passed


class _Run:
    """One job: its connections, its window and what they find."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.figures = Figures(errors=[])
        self.window = _Window(job)
        self.over = False
        self.latencies: list[int] = []
        self.first_tokens: list[int] = []
        self._stop = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = 0
        self._all_closed = asyncio.Event()

    def fail(self, message: str) -> None:
        self.figures.errors.append(message)
        if len(self.figures.errors) >= _MAX_ERRORS:
            self._stop.set()

    def connect(self, make: Callable[[], asyncio.Protocol]) -> None:
        self._open += 1
        task = asyncio.get_running_loop().create_task(self._connect(make))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, make: Callable[[], asyncio.Protocol]) -> None:
        try:
            await asyncio.get_running_loop().create_connection(make, "127.0.0.1", self.job.port)
        except OSError as error:
            self.fail(f"cannot connect: {error}")
            self.closed()

    def closed(self) -> None:
        self._open -= 1
        if self._open == 0:
            self._all_closed.set()

    async def run(self) -> Figures:
        if self.job.kind == "paced":
            await self._paced()
        else:
            for _ in range(self.job.connections):
                self.connect(lambda: _ClosedLoop(self))
            await self.window.run(self._stop, self.figures)
        self.over = True
        with suppress(TimeoutError):
            await asyncio.wait_for(self._all_closed.wait(), _GRACE)
        figures = self.figures
        if self.job.kind == "paced":
            figures.unfinished = self._open
        elif self._open:
            self.fail(f"{self._open} answers did not end within {_GRACE:g} s after the window")
        if self.latencies:
            figures.latency = Quantiles.of(self.latencies)
        if self.first_tokens:
            figures.first_token = Quantiles.of(self.first_tokens)
        return figures

    async def _paced(self) -> None:
        """Open the streams so that their tokens spread evenly over the time between two of one stream."""
        count, rate = self.job.connections, payloads.PACED_RATE
        step = 1 / rate + 1 / rate / count
        ramp = step * count
        # Each stream lasts from its start, in the ramp, to half a second after the window at least.
        tokens = math.ceil((ramp + self.job.warmup + self.job.seconds + 0.5) * rate)
        start = time.perf_counter()
        for number in range(count):
            await asyncio.sleep(max(0.0, start + number * step - time.perf_counter()))
            self.connect(lambda: _PacedStream(self, tokens))
        await self.window.run(self._stop, self.figures)
        await asyncio.sleep(ramp + 0.5)  # what is left of the longest stream


class _ClosedLoop(asyncio.Protocol):
    """One client: sends a request, waits for the whole answer, checks it, sends the next."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._streaming = run.job.kind == "stream"
        body = payloads.STREAM_REQUEST if self._streaming else payloads.BUFFERED_REQUEST
        self._request = _http_request(body, run.job.port)
        self._answered = 0  # on this connection
        self._waiting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def _send(self) -> None:
        if self._run.over:
            self._transport.close()
            return
        self._buffer = b""
        self._body_at = 0
        self._length: int | None = None
        self._first_token = 0
        self._waiting = True
        self._sent = time.perf_counter_ns()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer = self._buffer + data if self._buffer else data
        if not self._body_at:
            head_end = buffer.find(b"\r\n\r\n")
            if head_end < 0:
                return
            self._body_at = head_end + 4
            self._length = _content_length(buffer[:head_end])
        if self._streaming and not self._first_token and b"data: {" in buffer:
            self._first_token = time.perf_counter_ns()
        length = self._length
        if buffer.endswith(_END) if length is None else len(buffer) >= self._body_at + length:
            self._complete(time.perf_counter_ns())

    def _complete(self, now: int) -> None:
        run, window = self._run, self._run.window
        self._waiting = False
        self._answered += 1
        if window.open:
            run.figures.answers += 1
            run.latencies.append(now - self._sent)
            if self._first_token:
                run.first_tokens.append(self._first_token - self._sent)
        head, body = self._buffer[: self._body_at], self._buffer[self._body_at :]
        fault = self._fault(head, body)
        if fault is not None:
            run.fail(fault)
            self._transport.close()
        elif b"connection: close" in head.lower():
            self._reconnect()
        else:
            self._send()

    def _fault(self, head: bytes, body: bytes) -> str | None:
        if not head.startswith(b"HTTP/1.1 200 "):
            return f"answered {head.splitlines()[0].decode('latin-1')}: {body[:300]!r}"
        if not self._streaming:
            return payloads.check_buffered(body, exact=self._run.job.exact)
        try:
            return payloads.check_stream(_dechunk(body), exact=self._run.job.exact)
        except ValueError as error:
            return f"the stream is not well chunked: {error}"

    def _reconnect(self) -> None:
        if not self._run.over:
            self._run.figures.reconnects += 1
            self._run.connect(lambda: _ClosedLoop(self._run))
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting:
            # A kept connection may be closed by the server just when it is used again; nobody's fault.
            if self._answered and not self._buffer:
                self._reconnect()
            else:
                self._run.fail(f"the connection broke before the answer's end: {exc or 'closed'}")
        self._run.closed()


class _PacedStream(asyncio.Protocol):
    """One client that reads one stream of tokens, and notes how old each is when it comes."""

    def __init__(self, run: _Run, tokens: int) -> None:
        self._run = run
        self._expected = tokens
        self._tokens = 0
        self._last_stamp = 0
        self._buffer = b""
        self._begun = self._done = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(_http_request(payloads.paced_request(self._expected), self._run.job.port))

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        buffer = self._buffer + data
        if not self._begun:
            if b"\r\n\r\n" not in buffer:
                self._buffer = buffer
                return
            self._begun = True
            if not buffer.startswith(b"HTTP/1.1 200 "):
                self._end(f"answered {buffer[:300]!r}")
                return
        run, end = self._run, 0
        for match in payloads.STAMP.finditer(buffer):
            end, stamp = match.end(), int(match[1])
            self._tokens += 1
            if stamp < self._last_stamp:
                self._end("tokens come in another order")
                return
            self._last_stamp = stamp
            if run.window.open:
                run.figures.answers += 1
                run.latencies.append(now - stamp)
        self._buffer = buffer[max(end, len(buffer) - _STAMP_TAIL) :]
        if self._buffer.endswith(_END):
            done = b"data: [DONE]" in self._buffer or b"data: [DONE]" in buffer
            right = done and self._tokens == self._expected
            self._end(None if right else f"{self._tokens} of {self._expected} tokens, [DONE]: {done}")

    def _end(self, fault: str | None) -> None:
        self._done = True
        if fault is not None:
            self._run.fail(f"a paced stream: {fault}")
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done:
            self._run.fail(f"a paced stream broke after {self._tokens} tokens: {exc or 'closed'}")
        self._run.closed()


def _http_request(body: bytes, port: int) -> bytes:
    return (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:%d\r\naccept: */*\r\n"
        b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (port, len(body), body)
    )


def _content_length(head: bytes) -> int | None:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return None


async def _main(job: Job) -> Figures:
    return await _Run(job).run()


if __name__ == "__main__":
    print(msgspec.json.encode(asyncio.run(_main(msgspec.json.decode(sys.argv[1], type=Job)))).decode())

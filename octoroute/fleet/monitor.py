"""The loop that watches the fleet: probes each endpoint when that is due, reads its load, and wakes who sleeps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from math import inf
from urllib.parse import urlsplit

import trio

from octoroute.config import model as config
from octoroute.fleet import load, wake
from octoroute.fleet.endpoint import Endpoint
from octoroute.fleet.fleet import Fleet
from octoroute.fleet.probe import ProbeResult, probe, read_load
from octoroute.telemetry.events import Event, HealthChanged, ProbeFailed, Publish, WakeOnLan
from octoroute.telemetry.logs import get_logger

log = get_logger("octoroute.health")


class Monitor:
    """Watches the fleet that `fleet()` names at the time, so that a reload needs no new monitor.

    `last_look` is when it last looked who is due, on trio's clock; None before the first time.
    """

    def __init__(
        self, fleet: Callable[[], Fleet], settings: Callable[[], config.Health], publish: Publish
    ) -> None:
        self._fleet = fleet
        self._settings = settings
        self._publish = publish
        self._under_way: dict[Endpoint, trio.Event] = {}
        """Who is probed or woken now, and the end of that: one at a time for each endpoint."""
        self._news = trio.Event()
        self._crash: Exception | None = None
        self.last_look: float | None = None

    def on_event(self, event: Event) -> None:
        """See what requests find out: who goes down is looked at soon, who sleeps is woken."""
        if isinstance(event, HealthChanged | WakeOnLan):
            self._news.set()

    async def run(self) -> None:
        """Probe endpoints when they are due, until cancelled. The daemon makes the first sweep itself."""
        self._crash = None
        async with trio.open_nursery() as nursery:
            while self._crash is None:
                self._news = trio.Event()
                with trio.move_on_at(self._start_what_is_due(nursery)):
                    await self._news.wait()
        raise self._crash

    def _start_what_is_due(self, nursery: trio.Nursery) -> float:
        """Start probes and wakes; when to look again, unless there is news before."""
        now, fleet = trio.current_time(), self._fleet()
        self.last_look = now
        fleet.dispatch()
        next_look = now + self._settings().interval_seconds
        for endpoint in fleet:
            if not endpoint.settings.health_path or endpoint in self._under_way:
                continue  # its end will be news
            if endpoint.waking or endpoint.health.probe_at <= now:
                self._under_way[endpoint] = trio.Event()
                job = self._wake if endpoint.waking else self._check
                nursery.start_soon(self._do, job, fleet, endpoint, name=f"look at {endpoint.id}")
            else:
                next_look = min(next_look, endpoint.health.probe_at)
        return next_look

    async def _do(
        self, job: Callable[[Fleet, Endpoint], Awaitable[object]], fleet: Fleet, endpoint: Endpoint
    ) -> None:
        try:
            await job(fleet, endpoint)
        except Exception as error:  # noqa: BLE001  # raised by `run` once the others, who are not to blame, are done
            self._crash = error
        finally:
            self._ended(endpoint)

    def _ended(self, endpoint: Endpoint) -> None:
        self._under_way.pop(endpoint).set()
        self._news.set()

    async def sweep(self) -> dict[str, ProbeResult]:
        """Probe every endpoint at once; the results by endpoint id. A crash is raised once all others are done."""
        fleet = self._fleet()
        results: dict[str, ProbeResult] = {}
        crashes: list[Exception] = []

        async def check(endpoint: Endpoint) -> None:
            while (ending := self._under_way.get(endpoint)) is not None:
                await ending.wait()
            self._under_way[endpoint] = trio.Event()
            try:
                results[endpoint.id] = await self._check(fleet, endpoint)
            except Exception as error:  # noqa: BLE001  # a defect shown by one server must not blind us to all
                crashes.append(error)
            finally:
                self._ended(endpoint)

        async with trio.open_nursery() as nursery:
            for endpoint in fleet:
                if endpoint.settings.health_path and not endpoint.waking:
                    nursery.start_soon(check, endpoint, name=f"probe {endpoint.id}")
        self.last_look = trio.current_time()
        fleet.dispatch()
        if crashes:
            raise crashes[0]
        return results

    async def _check(self, fleet: Fleet, endpoint: Endpoint) -> ProbeResult:
        """One probe, and a look at the load of who answers it, within the time of one probe."""
        upstream, seconds, started = endpoint.upstream, self._settings().timeout_seconds, trio.current_time()
        result = await self._probe(fleet, endpoint)
        if endpoint.upstream is not upstream:
            return result
        if result.evidence == "probe_answered":
            with trio.move_on_at(started + seconds):
                await self._read_load(fleet, endpoint, result)
        else:
            endpoint.forget_load()
        return result

    async def _probe(self, fleet: Fleet, endpoint: Endpoint) -> ProbeResult:
        upstream = endpoint.upstream
        result = await probe(endpoint, self._settings().timeout_seconds)
        if endpoint.upstream is upstream:  # else a reload came, and this was asked with other settings
            if result.error_type is not None:
                self._publish(ProbeFailed(endpoint.tier, endpoint.id, result.error_type, result.detail))
            fleet.record(endpoint, result.evidence, result.detail)
            fleet.probed(endpoint)
        return result

    async def _read_load(self, fleet: Fleet, endpoint: Endpoint, result: ProbeResult) -> None:
        now = trio.current_time()
        if endpoint.load is not None and now < endpoint.load.at + load.READING_SECONDS:
            return
        if endpoint.asked_at is None:
            endpoint.asked_at = now  # its first five minutes count as in use
        quiet = now > endpoint.asked_at + load.QUIET_SECONDS
        reading: load.Reading | None = None
        try:
            reading = await read_load(endpoint, result.listed, quiet=quiet)
        finally:
            fleet.told(endpoint, load.server_of(result.listed), reading, now)

    async def _wake(self, fleet: Fleet, endpoint: Endpoint) -> None:
        """Send the packet, and probe, until the machine answers or its time is over."""
        started, sent_at, answers = trio.current_time(), -inf, False
        with trio.move_on_after(endpoint.settings.wake_timeout_seconds):
            while endpoint.settings.wake_mac is not None and not answers:  # a reload may take it away
                if trio.current_time() >= sent_at + wake.PACKET_SECONDS:
                    sent_at = trio.current_time()
                    await self._send_packet(endpoint, endpoint.settings.wake_mac)
                result = await self._probe(fleet, endpoint)
                # One that refuses still boots; with `healthy_after`, one good probe may not be enough.
                answers = (
                    result.evidence not in {"failure", "unreachable"} and endpoint.health.state != "unhealthy"
                )
                if not answers:
                    await trio.sleep(wake.LOOK_SECONDS)
        fleet.woken(endpoint, trio.current_time() - started, answers=answers)

    async def _send_packet(self, endpoint: Endpoint, mac: str) -> None:
        try:
            await wake.send(wake.magic_packet(mac), urlsplit(endpoint.settings.base_url).hostname or "")
        except OSError as error:
            log.warning(
                "cannot send a wake-up packet", endpoint=endpoint.id, error=error.strerror or str(error)
            )

    def is_late(self, now: float) -> bool:
        """Whether nobody has looked for long."""
        settings = self._settings()
        return (
            self.last_look is None
            or now - self.last_look > 3 * settings.interval_seconds + settings.timeout_seconds
        )

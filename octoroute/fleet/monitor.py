"""The loop that probes every endpoint, one sweep after another."""

from __future__ import annotations

from collections.abc import Callable

import trio

from octoroute.config import model as config
from octoroute.fleet.endpoint import Endpoint
from octoroute.fleet.fleet import Fleet
from octoroute.fleet.probe import ProbeResult, probe
from octoroute.telemetry.events import ProbeFailed, Publish


class Monitor:
    """Watches the fleet that `fleet()` names at the time, so that a reload needs no new monitor.

    `last_sweep` is when the last one ended, on trio's clock; None before the first.
    """

    def __init__(
        self, fleet: Callable[[], Fleet], settings: Callable[[], config.Health], publish: Publish
    ) -> None:
        self._fleet = fleet
        self._settings = settings
        self._publish = publish
        self.last_sweep: float | None = None

    async def run(self) -> None:
        """Sweep, then every `interval_seconds` again, until cancelled. The daemon makes the first sweep itself."""
        while True:
            await trio.sleep(self._settings().interval_seconds)
            await self.sweep()

    async def sweep(self) -> dict[str, ProbeResult]:
        """Probe every endpoint at once; the results by endpoint id. A crash is raised once all others are done."""
        fleet = self._fleet()
        results: dict[str, ProbeResult] = {}
        crashes: list[Exception] = []

        async def check(endpoint: Endpoint) -> None:
            try:
                results[endpoint.id] = await self._check(fleet, endpoint)
            except Exception as error:  # noqa: BLE001  # a defect shown by one server must not blind us to all
                crashes.append(error)

        async with trio.open_nursery() as nursery:
            for endpoint in fleet:
                if endpoint.settings.health_path:
                    nursery.start_soon(check, endpoint, name=f"probe {endpoint.id}")
        self.last_sweep = trio.current_time()
        fleet.dispatch()
        if crashes:
            raise crashes[0]
        return results

    async def _check(self, fleet: Fleet, endpoint: Endpoint) -> ProbeResult:
        result = await probe(endpoint, self._settings().timeout_seconds)
        if result.error_type is not None:
            self._publish(ProbeFailed(endpoint.tier, endpoint.id, result.error_type, result.detail))
        fleet.record(endpoint, result.evidence, result.detail)
        return result

    def is_late(self, now: float) -> bool:
        """Whether sweeps have stopped coming."""
        settings = self._settings()
        return (
            self.last_sweep is None
            or now - self.last_sweep > 3 * settings.interval_seconds + settings.timeout_seconds
        )

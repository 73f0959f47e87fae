"""The Prometheus metrics, on a registry of our own. Labels are closed sets, bounded by the configuration."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder

from octoroute.telemetry import events
from octoroute.telemetry.logs import get_logger

log = get_logger("octoroute.telemetry.metrics")

ROUTING_MS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000)
SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
FIRST_TOKEN_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
CONFIDENCE = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1)
OVERHEAD_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1)


class EndpointState(NamedTuple):
    """What a scrape tells of one endpoint."""

    tier: str
    endpoint: str
    healthy: bool


class TierState(NamedTuple):
    """What a scrape tells of one tier."""

    tier: str
    in_flight: int
    waiting: int


class FleetState(NamedTuple):
    """The fleet at the moment of a scrape."""

    endpoints: list[EndpointState]
    tiers: list[TierState]


class _LiveState:
    """Gauges read from the fleet when somebody scrapes, instead of kept up to date on every request."""

    def __init__(self, read: Callable[[], FleetState]) -> None:
        self._read = read

    def collect(self) -> Iterable[Metric]:
        state = self._read()
        healthy = GaugeMetricFamily(
            "octoroute_endpoint_healthy", "1 while the endpoint takes requests.", labels=["tier", "endpoint"]
        )
        for endpoint in state.endpoints:
            healthy.add_metric([endpoint.tier, endpoint.endpoint], float(endpoint.healthy))
        in_flight = GaugeMetricFamily(
            "octoroute_requests_in_flight", "Requests at a model server of the tier now.", labels=["tier"]
        )
        waiting = GaugeMetricFamily(
            "octoroute_requests_waiting", "Requests waiting for a place in the tier now.", labels=["tier"]
        )
        for tier in state.tiers:
            in_flight.add_metric([tier.tier], tier.in_flight)
            waiting.add_metric([tier.tier], tier.waiting)
        yield from (healthy, in_flight, waiting)


class Metrics:
    """All metrics of one daemon; `on_event` records what happened.

    Recording never disturbs a request: what fails there is counted and logged.
    """

    def __init__(self, version: str) -> None:
        self.registry = registry = CollectorRegistry()
        self.failures = 0

        # Children are looked up once for each set of labels: the library's own look-up takes a lock each time.
        def counter(name: str, text: str, *labels: str) -> Callable[..., Counter]:
            return cache(Counter(name, text, labels, registry=registry).labels)

        def histogram(
            name: str, text: str, buckets: Sequence[float], *labels: str
        ) -> Callable[..., Histogram]:
            return cache(Histogram(name, text, labels, buckets=buckets, registry=registry).labels)

        self._requests = counter(
            "octoroute_requests", "Routed requests, by the tier chosen.", "tier", "strategy"
        )
        self._routing = histogram(
            "octoroute_routing_duration_ms", "Milliseconds to choose a tier.", ROUTING_MS, "strategy"
        )
        self._decisions = counter(
            "octoroute_routing_decisions",
            "Decisions by who made them and why; cached_decision is a model's earlier one.",
            "strategy",
            "reason",
        )
        self._confidence = Histogram(
            "octoroute_routing_confidence",
            "A router model's confidence in its decision, where it told.",
            buckets=CONFIDENCE,
            registry=registry,
        )
        self._questions = counter(
            "octoroute_routing_questions", "Questions to router models, by outcome.", "endpoint", "outcome"
        )
        self._question_tokens = counter(
            "octoroute_routing_tokens",
            "Tokens spent on deciding, where the router model told them.",
            "direction",
        )
        self._invocations = counter(
            "octoroute_model_invocations", "Attempts at model servers, by the tier asked.", "tier"
        )
        self._health_failures = counter(
            "octoroute_health_tracking_failures", "Health probes that failed.", "endpoint", "error_type"
        )
        self._recording_failures = counter(
            "octoroute_metrics_recording_failures", "Metrics that could not be recorded.", "operation"
        )
        self._monitor_failures = Counter(
            "octoroute_background_health_task_failures", "Crashes of the health monitor.", registry=registry
        )
        self._duration = histogram(
            "octoroute_request_duration_seconds",
            "Seconds from the whole request's arrival to the end of the answer.",
            SECONDS,
            "tier",
        )
        self._first_token = histogram(
            "octoroute_time_to_first_token_seconds",
            "Seconds from the whole request's arrival to the first data of a streamed answer.",
            FIRST_TOKEN_SECONDS,
            "tier",
        )
        self._overhead = histogram(
            "octoroute_overhead_seconds",
            "Seconds of Octoroute's own work before the answer began: everything but waiting for others.",
            OVERHEAD_SECONDS,
            "tier",
        )
        self._responses = counter(
            "octoroute_responses",
            "Answers by status; 499 is a client that went away, tier none was refused before routing.",
            "tier",
            "status",
        )
        self._attempts = counter("octoroute_attempts", "Attempts by outcome.", "tier", "endpoint", "outcome")
        self._failovers = counter(
            "octoroute_failovers",
            "Further attempts, by the tier and cause of the failed one before.",
            "tier",
            "cause",
        )
        self._broken_streams = counter(
            "octoroute_broken_streams", "Answers cut short after they had begun.", "tier"
        )
        self._tokens = counter("octoroute_tokens", "Tokens, where the answer told them.", "tier", "direction")
        build = Gauge("octoroute_build_info", "Always 1.", ["version", "python"], registry=registry)
        build.labels(version, platform.python_version()).set(1)

    def watch(self, read: Callable[[], FleetState]) -> None:
        """Show the fleet's live state in every scrape."""
        self.registry.register(_LiveState(read))

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """The metrics as text, with its content type: OpenMetrics where `accept` asks for it."""
        encoder, content_type = choose_encoder(accept)
        return encoder(self.registry), content_type

    def on_event(self, event: events.Event) -> None:
        """Record one event."""
        operation = type(event).__name__.lower()
        try:
            self._record(event)
        except Exception as error:  # noqa: BLE001  # whatever it is, the request goes on
            self.failures += 1
            self._recording_failures(operation).inc()
            log.error("metrics recording failed", operation=operation, error=repr(error))

    def _record(self, event: events.Event) -> None:
        match event:
            case events.Routed():
                self._requests(event.tier, event.strategy).inc()
                self._routing(event.strategy).observe(event.seconds * 1000)
                self._decisions(event.strategy, event.reason).inc()
                if event.confidence is not None:
                    self._confidence.observe(event.confidence)
            case events.RouterAsked():
                self._questions(event.endpoint, event.cause or "ok").inc()
                self._question_tokens("in").inc(event.tokens_in)
                self._question_tokens("out").inc(event.tokens_out)
            case events.Attempted():
                self._invocations(event.tier).inc()
                self._attempts(event.tier, event.endpoint, event.cause or "ok").inc()
            case events.FailedOver():
                self._failovers(event.tier, event.cause).inc()
            case events.Committed():
                if event.stream:
                    self._first_token(event.tier).observe(event.seconds)
                self._overhead(event.tier).observe(event.overhead)
            case events.Finished():
                self._finished(event)
            case events.ProbeFailed():
                self._health_failures(event.endpoint, event.error_type).inc()
            case events.MonitorFailed():
                self._monitor_failures.inc()
            case events.HealthChanged():
                pass  # the live gauge tells the state

    def _finished(self, event: events.Finished) -> None:
        self._responses(event.tier, str(event.status)).inc()
        if event.endpoint is not None:
            self._duration(event.tier).observe(event.seconds)
        if event.broken:
            self._broken_streams(event.tier).inc()
        for direction, count in (("in", event.tokens_in), ("out", event.tokens_out)):
            if count is not None and count > 0:
                self._tokens(event.tier, direction).inc(count)

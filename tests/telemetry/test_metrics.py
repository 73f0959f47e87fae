"""The metrics by name and label, as dashboards know them; and that recording never disturbs a request."""

from __future__ import annotations

import platform

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from octoroute.telemetry.events import (
    Attempted,
    Committed,
    Event,
    FailedOver,
    Finished,
    HealthChanged,
    MonitorFailed,
    ProbeFailed,
    Routed,
    RouterAsked,
)
from octoroute.telemetry.metrics import EndpointState, FleetState, Metrics, TierState

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

FLEET = FleetState(
    [EndpointState("fast", "a", healthy=True), EndpointState("deep", "b@x:1", healthy=False)],
    [TierState("fast", 2, 1), TierState("balanced", 0, 0), TierState("deep", 0, 0)],
)
ALL: list[Event] = [
    Routed("1", "fast", "rule", "casual_chat", 0.002),
    Attempted("1", "fast", "a", "connect", "refused", 0.1),
    FailedOver("1", "fast", "connect"),
    Attempted("1", "deep", "b@x:1", None, "", 0.5),
    Committed("1", "deep", "b@x:1", stream=True, seconds=0.7, overhead=0.003),
    Finished(
        "1",
        "POST",
        "/v1/chat/completions",
        200,
        "deep",
        2.0,
        broken=True,
        endpoint="b@x:1",
        tokens_in=7,
        tokens_out=30,
    ),
    ProbeFailed("fast", "a", "connect", "refused"),
    MonitorFailed("ValueError()", 1),
    HealthChanged("fast", "a", old="healthy", new="unhealthy", detail=""),
    Routed("2", "deep", "llm", "llm", 1.5, confidence=0.75),
    RouterAsked("fast", "a", cause=None, detail="", seconds=1.4, tokens_in=200, tokens_out=2),
    RouterAsked("fast", "a", cause="no_word", detail="x", seconds=1.4, tokens_in=100, tokens_out=0),
]

UNRECORDABLE = Routed("1", "fast", "rule", "casual_chat", seconds="x")  # type: ignore[arg-type]

CONTRACT: dict[str, set[str]] = {
    "octoroute_requests_total": {"tier", "strategy"},
    "octoroute_routing_duration_ms": {"strategy"},
    "octoroute_model_invocations_total": {"tier"},
    "octoroute_health_tracking_failures_total": {"endpoint", "error_type"},
    "octoroute_metrics_recording_failures_total": {"operation"},
    "octoroute_background_health_task_failures_total": set(),
    "octoroute_request_duration_seconds": {"tier"},
    "octoroute_time_to_first_token_seconds": {"tier"},
    "octoroute_overhead_seconds": {"tier"},
    "octoroute_responses_total": {"tier", "status"},
    "octoroute_attempts_total": {"tier", "endpoint", "outcome"},
    "octoroute_failovers_total": {"tier", "cause"},
    "octoroute_broken_streams_total": {"tier"},
    "octoroute_endpoint_healthy": {"tier", "endpoint"},
    "octoroute_requests_in_flight": {"tier"},
    "octoroute_requests_waiting": {"tier"},
    "octoroute_tokens_total": {"tier", "direction"},
    "octoroute_build_info": {"version", "python"},
}
MORE: dict[str, set[str]] = {
    "octoroute_routing_decisions_total": {"strategy", "reason"},
    "octoroute_routing_confidence": set(),
    "octoroute_routing_questions_total": {"endpoint", "outcome"},
    "octoroute_routing_tokens_total": {"direction"},
}
"""What there is beyond the contract: each is one more thing to keep."""


def recorded(*events: Event) -> Metrics:
    metrics = Metrics("1.2.3")
    metrics.watch(lambda: FLEET)
    for event in events:
        metrics.on_event(event)
    return metrics


def samples(metrics: Metrics, accept: str = "") -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text, _ = metrics.exposition(accept)
    parse = parse_openmetrics if "openmetrics" in accept else parse_text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse(text.decode())
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return samples(metrics).get((name, tuple(sorted(labels.items()))))


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_names_and_labels_are_the_contracts(accept: str) -> None:
    metrics = recorded(*ALL, UNRECORDABLE)
    found: dict[str, set[str]] = {}
    for name, labels in samples(metrics, accept):
        base = name
        for suffix in ("_bucket", "_count", "_sum", "_created"):
            base = base.removesuffix(suffix)
        if name.endswith("_created"):
            continue  # of the client library: when a counter began
        found.setdefault(base, set()).update({label for label, _ in labels} - {"le"})
    assert found == CONTRACT | MORE


def test_what_each_event_counts() -> None:
    metrics = recorded(*ALL)
    assert value(metrics, "octoroute_requests_total", tier="fast", strategy="rule") == 1
    assert value(metrics, "octoroute_routing_duration_ms_sum", strategy="rule") == 2
    assert value(metrics, "octoroute_routing_decisions_total", strategy="llm", reason="llm") == 1
    assert value(metrics, "octoroute_routing_confidence_sum") == 0.75
    assert value(metrics, "octoroute_routing_questions_total", endpoint="a", outcome="ok") == 1
    assert value(metrics, "octoroute_routing_questions_total", endpoint="a", outcome="no_word") == 1
    assert value(metrics, "octoroute_routing_tokens_total", direction="in") == 300
    assert value(metrics, "octoroute_routing_tokens_total", direction="out") == 2
    assert value(metrics, "octoroute_model_invocations_total", tier="fast") == 1
    assert value(metrics, "octoroute_model_invocations_total", tier="deep") == 1
    assert value(metrics, "octoroute_attempts_total", tier="fast", endpoint="a", outcome="connect") == 1
    assert value(metrics, "octoroute_attempts_total", tier="deep", endpoint="b@x:1", outcome="ok") == 1
    assert value(metrics, "octoroute_failovers_total", tier="fast", cause="connect") == 1
    assert value(metrics, "octoroute_time_to_first_token_seconds_sum", tier="deep") == 0.7
    assert value(metrics, "octoroute_overhead_seconds_sum", tier="deep") == 0.003
    assert value(metrics, "octoroute_request_duration_seconds_sum", tier="deep") == 2
    assert value(metrics, "octoroute_responses_total", tier="deep", status="200") == 1
    assert value(metrics, "octoroute_broken_streams_total", tier="deep") == 1
    assert value(metrics, "octoroute_tokens_total", tier="deep", direction="in") == 7
    assert value(metrics, "octoroute_tokens_total", tier="deep", direction="out") == 30
    assert value(metrics, "octoroute_health_tracking_failures_total", endpoint="a", error_type="connect") == 1
    assert value(metrics, "octoroute_background_health_task_failures_total") == 1
    assert value(metrics, "octoroute_build_info", version="1.2.3", python=platform.python_version()) == 1


def test_live_state_is_read_at_the_scrape() -> None:
    metrics = Metrics("1")
    state = FLEET
    metrics.watch(lambda: state)
    assert value(metrics, "octoroute_endpoint_healthy", tier="fast", endpoint="a") == 1
    assert value(metrics, "octoroute_endpoint_healthy", tier="deep", endpoint="b@x:1") == 0
    assert value(metrics, "octoroute_requests_in_flight", tier="fast") == 2
    assert value(metrics, "octoroute_requests_waiting", tier="fast") == 1
    state = FleetState([], [TierState("fast", 9, 0)])
    assert value(metrics, "octoroute_requests_in_flight", tier="fast") == 9
    assert value(metrics, "octoroute_endpoint_healthy", tier="fast", endpoint="a") is None


def test_the_buckets_of_the_routing_time() -> None:
    edges = [
        float(dict(labels)["le"])
        for name, labels in samples(recorded(*ALL))
        if name == "octoroute_routing_duration_ms_bucket"
    ]
    assert (edges[0], edges[-2:]) == (0.1, [1000, float("inf")])


def test_a_buffered_answer_has_no_first_token() -> None:
    metrics = recorded(Committed("1", "fast", "a", stream=False, seconds=1, overhead=0.1))
    assert value(metrics, "octoroute_time_to_first_token_seconds_count", tier="fast") is None
    assert value(metrics, "octoroute_overhead_seconds_count", tier="fast") == 1


def test_what_was_refused_before_routing_has_no_duration_and_no_tokens() -> None:
    metrics = recorded(Finished("1", "POST", "/chat", 401, "none", 0.1))
    assert value(metrics, "octoroute_responses_total", tier="none", status="401") == 1
    assert not [
        key
        for key in samples(metrics)
        if key[0].startswith(("octoroute_request_duration", "octoroute_tokens"))
    ]


@pytest.mark.parametrize("tokens", [0, -5, None])
def test_a_server_that_tells_nonsense_about_tokens_disturbs_nothing(tokens: int | None) -> None:
    metrics = recorded(
        Finished("1", "POST", "/chat", 200, "fast", 1, endpoint="a", tokens_in=tokens, tokens_out=tokens)
    )
    assert metrics.failures == 0
    assert value(metrics, "octoroute_tokens_total", tier="fast", direction="in") is None


def test_a_failure_to_record_is_counted_and_not_raised() -> None:
    metrics = recorded(UNRECORDABLE, ALL[1])
    assert metrics.failures == 1
    assert value(metrics, "octoroute_metrics_recording_failures_total", operation="routed") == 1
    assert value(metrics, "octoroute_model_invocations_total", tier="fast") == 1


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain"),
        ("*/*", "text/plain"),
        ("text/html,application/xhtml+xml", "text/plain"),
        (OPENMETRICS, "application/openmetrics-text"),
        (f"{OPENMETRICS};q=0.5,text/plain;q=0.1", "application/openmetrics-text"),
        ("application/openmetrics-text", "application/openmetrics-text"),
    ],
)
def test_the_format_is_the_one_that_was_asked_for(accept: str, content_type: str) -> None:
    text, given_type = recorded(*ALL).exposition(accept)
    assert given_type.startswith(content_type)
    assert text.endswith(b"# EOF\n") is (content_type != "text/plain")


@given(st.text(max_size=60))
def test_no_accept_header_makes_a_scrape_fail(accept: str) -> None:
    text, _ = recorded().exposition(accept)
    assert b"octoroute_build_info" in text


def test_every_metric_says_what_it_is() -> None:
    text, _ = recorded(*ALL).exposition("")
    for family in parse_text(text.decode()):
        assert family.documentation.endswith(".") or family.name.endswith("_created"), family.name

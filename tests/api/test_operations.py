"""What those who run it see: health, readiness, metrics that add up, one log line a request, and no secret in any of it."""

from __future__ import annotations

import io
import json
import logging
import platform
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import structlog
import trio
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

import octoroute
from octoroute.config.model import Secret
from octoroute.telemetry import logs
from tests.fakes.model_server import (
    Behaviour,
    Cut,
    FakeModelServer,
    Hang,
    Ok,
    Reset,
    Status,
    bad_request,
    context_exceeded,
    error_first,
    garbage_json,
    html_200,
    internal_error,
    model_missing,
    overloaded,
    rate_limited,
    unauthorized,
)
from tests.serving import chat, client, endpoint, running, until

CHAT = "/v1/chat/completions"
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


async def scrape(http: httpx.AsyncClient) -> Samples:
    text = (await http.get("/metrics")).text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def total(samples: Samples, metric: str, **labels: str) -> float:
    """The sum of a metric's samples that have these labels."""
    return sum(
        value
        for (name, had), value in samples.items()
        if name == metric and labels.items() <= dict(had).items()
    )


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """The daemon's log, every level of it, as JSON."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    stream = io.StringIO()
    logs.configure("debug", "json", stream)
    yield stream
    structlog.reset_defaults()
    logs._levels.replace(logs.levels_of("info"))
    root.handlers, root.level = handlers, level


def lines(log: io.StringIO, event: str) -> list[dict[str, Any]]:
    return [line for line in map(json.loads, log.getvalue().splitlines()) if line["event"] == event]


async def test_health() -> None:
    async with FakeModelServer("small") as small, running(small) as daemon, client(daemon) as http:
        answer = await http.get("/health")
        assert answer.status_code == 200
        assert answer.json() == {
            "status": "OK",
            "health_tracking_status": "operational",
            "metrics_recording_status": "operational",
            "background_task_status": "operational",
            "background_task_failures": 0,
        }


async def test_readiness() -> None:
    async with (
        FakeModelServer("small") as small,
        FakeModelServer("large") as large,
        running({"fast": small, "deep": large}) as daemon,
        client(daemon) as http,
    ):
        answer = await http.get("/health/ready")
        assert answer.status_code == 200
        assert answer.json()["tiers"] == {"fast": True, "balanced": False, "deep": True}
        await small.stop()
        await large.stop()
        for _ in range(3):
            await daemon.service.monitor.sweep()
        answer = await http.get("/health/ready")
        assert answer.status_code == 503
        assert answer.json()["tiers"] == {"fast": False, "balanced": False, "deep": False}
        assert 1 <= int(answer.headers["retry-after"]) <= 30
        assert (await http.get("/health")).status_code == 200
        await large.restart()
        await daemon.service.monitor.sweep()
        assert (await http.get("/health/ready")).status_code == 200


METRICS: dict[str, set[str]] = {
    "octoroute_requests_total": {"tier", "strategy"},
    "octoroute_routing_duration_ms_count": {"strategy"},
    "octoroute_model_invocations_total": {"tier"},
    "octoroute_health_tracking_failures_total": {"endpoint", "error_type"},
    "octoroute_background_health_task_failures_total": set(),
    "octoroute_request_duration_seconds_count": {"tier"},
    "octoroute_time_to_first_token_seconds_count": {"tier"},
    "octoroute_overhead_seconds_count": {"tier"},
    "octoroute_responses_total": {"tier", "status"},
    "octoroute_attempts_total": {"tier", "endpoint", "outcome"},
    "octoroute_failovers_total": {"tier", "cause"},
    "octoroute_endpoint_healthy": {"tier", "endpoint"},
    "octoroute_requests_in_flight": {"tier"},
    "octoroute_requests_waiting": {"tier"},
    "octoroute_tokens_total": {"tier", "direction"},
    "octoroute_build_info": {"version", "python"},
    "octoroute_broken_streams_total": {"tier"},
}


async def test_every_metric_and_its_counts_after_a_mix() -> None:
    async with (
        FakeModelServer("small") as small,
        FakeModelServer("spare") as spare,
        FakeModelServer("large") as large,
    ):
        models = {"fast": [endpoint(small, priority=2), endpoint(spare)], "deep": endpoint(large)}
        async with running(models, retry={"max_attempts": 2}) as daemon, client(daemon) as http:  # type: ignore[arg-type]
            for stream in (False, True):
                assert (
                    await http.post(CHAT, json=chat(stream=stream, stream_options={"include_usage": True}))
                ).is_success
            small.queue(Reset(), internal_error(), bad_request())
            assert (await http.post(CHAT, json=chat())).headers[
                "x-octoroute-endpoint"
            ] == "spare"  # stale, then 500
            assert (await http.post(CHAT, json=chat())).status_code == 400
            small.queue(internal_error())
            spare.queue(internal_error())
            assert (await http.post(CHAT, json=chat())).headers["x-octoroute-tier"] == "deep"
            large.queue(Cut(Ok(), 2), rate_limited(1))
            with pytest.raises(httpx.RemoteProtocolError):
                await http.post(CHAT, json=chat("large", stream=True))
            assert (await http.post(CHAT, json=chat("large"))).status_code == 429
            assert (await http.post("/chat", json={"message": "hi", "task_type": "casual_chat"})).is_success
            assert (await http.post(CHAT, json=chat("gpt"))).status_code == 404
            assert (await http.post(CHAT, content=b"{")).status_code == 400
            small.queue(Hang())
            with trio.move_on_after(0.2):
                await http.post(CHAT, json=chat())
            await until(lambda: len(daemon.app.exchanges) == 0)
            spare.models = internal_error()
            await daemon.service.monitor.sweep()
            counted = await scrape(http)
            names = {name for name, _ in counted}
            for name, labels in METRICS.items():
                assert name in names, name
                for sample, had in counted:
                    if sample == name:
                        assert dict(had).keys() == labels
            assert "octoroute_metrics_recording_failures_total" in {
                family.name + "_total"
                for family in text_string_to_metric_families((await http.get("/metrics")).text)
            }
            assert total(counted, "octoroute_requests_total", strategy="direct") == 8
            assert total(counted, "octoroute_requests_total", strategy="rule", tier="fast") == 1
            assert total(counted, "octoroute_requests_total", tier="deep") == 2
            assert total(counted, "octoroute_routing_duration_ms_count") == 9
            attempts = total(counted, "octoroute_attempts_total")
            assert attempts == total(counted, "octoroute_model_invocations_total")
            assert total(counted, "octoroute_attempts_total", outcome="ok") == 6
            assert total(counted, "octoroute_failovers_total") == 3
            assert total(counted, "octoroute_failovers_total", tier="fast", cause="server_error") == 3
            assert total(counted, "octoroute_responses_total", status="499", tier="fast") == 1
            assert total(counted, "octoroute_responses_total", status="404", tier="none") == 1
            assert total(counted, "octoroute_responses_total", status="400", tier="none") == 1
            assert total(counted, "octoroute_responses_total", status="400", tier="fast") == 1
            assert total(counted, "octoroute_responses_total", status="429", tier="deep") == 1
            assert total(counted, "octoroute_responses_total", status="200", tier="deep") == 2
            assert total(counted, "octoroute_responses_total", status="200", tier="fast") == 4
            assert total(counted, "octoroute_broken_streams_total", tier="deep") == 1
            assert total(counted, "octoroute_time_to_first_token_seconds_count") == 2
            assert total(counted, "octoroute_tokens_total", tier="fast", direction="in") == 4 * 7
            assert total(counted, "octoroute_tokens_total", tier="fast", direction="out") == 4 * 6
            assert total(counted, "octoroute_requests_in_flight") == 0
            assert (
                total(
                    counted, "octoroute_health_tracking_failures_total", endpoint="spare", error_type="status"
                )
                == 1
            )
            assert (
                counted[
                    (
                        "octoroute_build_info",
                        (("python", platform.python_version()), ("version", octoroute.__version__)),
                    )
                ]
                == 1
            )
            buckets = {
                dict(had)["le"] for name, had in counted if name == "octoroute_routing_duration_ms_bucket"
            }
            assert {"0.1", "1000.0", "+Inf"} <= buckets


async def test_a_tier_shows_who_is_there_and_who_waits() -> None:
    async with (
        FakeModelServer("small", behaviour=Hang()) as small,
        running(endpoint(small, max_concurrent=2)) as daemon,
        client(daemon) as http,
    ):
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(lambda: http.post(CHAT, json=chat()))
            await until(lambda: daemon.service.fleet.admission["fast"].waiting == 3)
            counted = await scrape(http)
            assert total(counted, "octoroute_requests_in_flight", tier="fast") == 2
            assert total(counted, "octoroute_requests_waiting", tier="fast") == 3
            nursery.cancel_scope.cancel()
        await until(lambda: not daemon.app.exchanges)
        counted = await scrape(http)
        assert total(counted, "octoroute_requests_in_flight") == 0
        assert total(counted, "octoroute_requests_waiting") == 0


async def test_openmetrics_where_it_is_asked_for() -> None:
    async with FakeModelServer("small") as small, running(small) as daemon, client(daemon) as http:
        plain = await http.get("/metrics")
        assert plain.headers["content-type"].startswith("text/plain")
        accept = "application/openmetrics-text; version=1.0.0, text/plain;q=0.5"
        answer = await http.get("/metrics", headers={"Accept": accept})
        assert answer.headers["content-type"].startswith("application/openmetrics-text")
        assert answer.text.endswith("# EOF\n")
        families = parse_openmetrics(answer.text)  # type: ignore[no-untyped-call]
        assert {family.name for family in families} >= {"octoroute_requests"}


async def test_recording_that_fails_disturbs_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    async with FakeModelServer("small") as small, running(small) as daemon, client(daemon) as http:

        def broken(_: object) -> None:
            raise ValueError("no")

        monkeypatch.setattr(daemon.service.metrics, "_finished", broken)
        assert (await http.post(CHAT, json=chat())).status_code == 200
        assert (await http.get("/health")).json()["metrics_recording_status"] == "degraded"
        counted = await scrape(http)
        assert total(counted, "octoroute_metrics_recording_failures_total", operation="finished") >= 1


async def test_one_log_line_for_each_exchange(log: io.StringIO) -> None:
    async with FakeModelServer("small") as small, FakeModelServer("large") as large:
        async with running({"fast": small, "deep": large}) as daemon, client(daemon) as http:
            await http.post(
                CHAT, json=chat("auto"), headers={"X-Request-Id": "one", "X-Octoroute-Importance": "high"}
            )
            large.queue(internal_error())
            await http.post(CHAT, json=chat("deep", stream=True), headers={"X-Request-Id": "two"})
            await http.post(CHAT, content=b"{", headers={"X-Request-Id": "three"})
            await http.get("/health", headers={"X-Request-Id": "four"})
        told = {line["exchange"]: line for line in lines(log, "request")}
        assert len(lines(log, "request")) == 4
        one, two, three = told["one"], told["two"], told["three"]
        assert one["level"] == "info"
        assert one["module"] == "octoroute.exchange"
        assert one["timestamp"].startswith("20")
        for key, value in {
            "method": "POST",
            "path": CHAT,
            "status": 200,
            "tier": "deep",
            "strategy": "rule",
            "endpoint": "large",
            "model": "large",
            "attempts": 1,
            "importance": "high",
            "client": "127.0.0.1",
            "tokens_in": 7,
            "tokens_out": 6,
        }.items():
            assert one[key] == value, key
        assert one["seconds"] >= one["overhead"] > 0
        assert one["bytes_in"] > 0
        assert one["bytes_out"] > 0
        assert (two["chosen_tier"], two["tier"]) == ("deep", "fast")
        assert (two["chosen_reason"], two["reason"]) == ("tier_requested", "fallback_down")
        assert two["attempts"] == 2
        assert two["stream"] is True
        assert two["time_to_first_token"] > 0
        assert three["status"] == 400
        assert three["tier"] == "none"
        assert three["error"] == "invalid_request"
        assert told["four"]["level"] == "debug"
        failed = lines(log, "attempt failed")
        assert [(line["exchange"], line["endpoint"], line["cause"]) for line in failed] == [
            ("two", "large", "server_error")
        ]


MARK = "x7Qq-marker"


LEAKY: list[Behaviour] = [
    Ok(["said " + MARK]),
    Ok(extra={"secret": MARK}, stream=True),
    Status(500, {"error": {"message": MARK}}),
    Status(503, {"error": MARK}),
    Status(503, {"error": f"loading {MARK}"}),
    Status(400, {"error": {"message": MARK, "code": MARK}}),
    Status(401, {"error": MARK}),
    Status(404, MARK.encode()),
    Status(429, {"error": MARK}, [("Retry-After", MARK)]),
    Status(501, {"error": MARK}),
    Status(302, b"", [("Location", f"http://{MARK}/")]),
    Status(200, f"<html>{MARK}</html>".encode()),
    Status(200, f'{{"{MARK}'.encode()),
    Status(200, json.dumps({"error": MARK}).encode()),
    Cut(Ok([MARK] * 5), 2),
    Cut(Ok([MARK] * 5), 0, extra=40),
    context_exceeded(),
    error_first(),
    garbage_json(),
    html_200(),
    model_missing(),
    overloaded(),
    unauthorized(),
    Reset(f"HTTP/1.1 200 OK\r\nX-A: {MARK}".encode()),
    Reset(f"{MARK} nonsense\r\n\r\n".encode()),
    Reset(f"HTTP/1.1 200 OK\r\n{MARK} : 1\r\n\r\n".encode()),
]


@pytest.mark.parametrize("log_format", ["json", "console"])
async def test_nothing_of_a_prompt_or_a_key_is_logged_or_counted(log: io.StringIO, log_format: Any) -> None:
    logs.configure("debug", log_format, log)
    headers = {
        "Authorization": f"Bearer {MARK}",
        "Cookie": MARK,
        "User-Agent": MARK,
        "X-Custom": MARK,
        "X-Octoroute-Anything": MARK,
        "X-Request-Id": f"not valid {MARK}",
        "Referer": MARK,
        "Traceparent": MARK,
        "Origin": MARK,
    }
    auth = {"api_keys": (Secret(MARK),)}
    async with FakeModelServer("small") as small:
        place = endpoint(small, api_key=Secret("endpoint-" + MARK))
        async with (
            running(place, auth=auth, timeouts={"fast": 1}) as daemon,
            client(daemon, headers=headers) as http,
        ):
            texts: list[str] = []

            async def ask(path: str, content: Any, **more: Any) -> None:
                body = content if isinstance(content, bytes) else json.dumps(content).encode()
                try:
                    answer = await http.post(
                        path, content=body, headers={"Content-Type": "application/json"}, **more
                    )
                except httpx.RemoteProtocolError:
                    return
                if answer.status_code != 200:
                    texts.append(answer.text)

            for behaviour in LEAKY:
                small.behaviour = behaviour
                for stream in (True, False):
                    await ask(CHAT, chat(text=MARK, stream=stream, user=MARK, tools=[{"x": MARK}]))
                await ask("/chat", {"message": MARK, "task_type": "casual_chat"})
            from_servers = len(texts)
            await ask(CHAT, MARK.encode())
            await ask(CHAT, {"messages": MARK})
            await ask(CHAT, {"messages": [{"role": "user", "content": {MARK: 1}}]})
            await ask(CHAT, chat(text=MARK) | {"stream": MARK})
            await ask("/chat", {"message": {"x": MARK}})
            await ask("/" + MARK, chat(text=MARK))
            await ask(f"{CHAT}?key={MARK}", b"{")
            await ask("/v1/models/" + MARK, b"{")
            await http.get("/v1/models/" + MARK)
            await http.get("/models?x=" + MARK)
            async with client(daemon) as stranger:
                refused = await stranger.post(CHAT, json=chat(text=MARK), headers={"X-Api-Key": "no-" + MARK})
            assert refused.status_code == 401
            texts.append(refused.text)
            for text in texts[from_servers:]:
                assert MARK not in text
            for path in ("/metrics", "/health", "/models", "/v1/models"):
                assert MARK not in (await http.get(path)).text
    written = log.getvalue()
    assert written.count("attempt failed") > 20
    leaks = [line for line in written.splitlines() if MARK in line]
    assert leaks == []


async def test_a_defect_is_logged_with_its_traceback_and_no_prompt(
    log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs.configure("info", "console", log)
    async with FakeModelServer("small") as small, running(small) as daemon, client(daemon) as http:

        def broken(*_: object, **__: object) -> None:
            raise RuntimeError("on purpose")

        monkeypatch.setattr(daemon.service.router, "decide", broken)
        assert (await http.post(CHAT, json=chat(text=MARK))).status_code == 500
    assert "on purpose" in log.getvalue()
    assert "Traceback" in log.getvalue()
    assert MARK not in log.getvalue()

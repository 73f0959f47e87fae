"""For those who run it: health, readiness and metrics."""

from __future__ import annotations

import trio
from quart import Response, request

from octoroute.api.answers import json_response
from octoroute.api.app import Routes
from octoroute.api.chat import service


async def health() -> Response:
    """Whether the daemon itself works; always 200 while it answers."""
    now = service()
    late = now.monitor.is_late(trio.current_time())
    return json_response(
        {
            "status": "OK",
            "health_tracking_status": "degraded" if late else "operational",
            "metrics_recording_status": "degraded" if now.metrics.failures else "operational",
            "background_task_status": now.supervisor.status,
            "background_task_failures": now.supervisor.failures,
        }
    )


async def ready() -> Response:
    """200 while some tier can answer, else 503: for load balancers and start-up scripts."""
    tiers = service().fleet.ready_tiers()
    is_ready = any(tiers.values())
    headers = {} if is_ready else {"Retry-After": "5"}
    return json_response({"ready": is_ready, "tiers": tiers}, 200 if is_ready else 503, headers)


async def metrics() -> Response:
    """The metrics, as Prometheus asks for them."""
    text, content_type = service().metrics.exposition(request.headers.get("accept", ""))
    return Response(text, content_type=content_type)


ROUTES: Routes = (
    ("GET", "/health", health),
    ("GET", "/health/ready", ready),
    ("GET", "/metrics", metrics),
)

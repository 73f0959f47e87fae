"""What an answer to a health check says, and that no server can make the check itself fail."""

from __future__ import annotations

import json

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from octoroute.config import model as config
from octoroute.fleet.endpoint import Endpoint
from octoroute.fleet.health import Evidence
from octoroute.fleet.probe import MAX_BODY, ErrorType, ProbeResult, judge, probe
from octoroute.fleet.upstream import Upstream
from tests.fakes.model_server import (
    Behaviour,
    Cut,
    Drop,
    FakeModelServer,
    Hang,
    Ok,
    Raw,
    Reset,
    Status,
    forbidden,
    html_200,
    html_502,
    internal_error,
    loading,
    model_missing,
    redirect,
    unauthorized,
)

NESTED = b"[" * 100_000 + b"]" * 100_000


@pytest.mark.parametrize(
    ("status", "body", "evidence", "error_type"),
    [
        (200, b'{"object":"list","data":[{"id":"a"}]}', "probe_answered", None),
        (200, b'{"data":[]}', "probe_answered", None),
        (200, b'{"models":[]}', "probe_answered", None),
        (200, b'{"models":[{"name":"a"}],"data":null}', "probe_answered", None),
        (206, b'{"data":[]}', "probe_answered", None),
        (200, b'{"data":[5,null,{"id":7},{}]}', "probe_answered", None),
        (200, b'{"error":"Unexpected endpoint"}', "failure", "no_models"),
        (200, b"[]", "failure", "no_models"),
        (200, b'{"data":{}}', "failure", "no_models"),
        (200, b"<html></html>", "failure", "no_models"),
        (200, b"", "failure", "no_models"),
        (200, b"\xff", "failure", "no_models"),
        (200, b'{"data":["\xff"]}', "failure", "no_models"),
        (200, NESTED, "failure", "no_models"),
        (200, b'{"data":' + NESTED + b"}", "failure", "no_models"),
        (204, b"", "failure", "no_models"),
        (401, b"", "probe_refused", "misconfigured"),
        (403, b"", "probe_refused", "misconfigured"),
        (404, b'{"data":[]}', "probe_refused", "misconfigured"),
        (503, b'{"error":{"message":"Loading model"}}', "warming", "loading"),
        (503, b"busy", "failure", "status"),
        (500, b"loading", "failure", "status"),
        (302, b"", "failure", "status"),
        (405, b"", "failure", "status"),
        (429, b"", "busy", "busy"),
    ],
)
def test_what_an_answer_says(
    status: int, body: bytes, evidence: Evidence, error_type: ErrorType | None
) -> None:
    result = judge(status, body, wants_models=True)
    assert (result.evidence, result.error_type) == (evidence, error_type)
    assert bool(result.detail) is (error_type is not None)


@pytest.mark.parametrize(
    ("status", "evidence"),
    [
        (200, "probe_answered"),
        (204, "probe_answered"),
        (404, "probe_refused"),
        (500, "failure"),
        (302, "failure"),
    ],
)
def test_a_health_path_of_ones_own_is_judged_by_its_status(status: int, evidence: Evidence) -> None:
    assert judge(status, b"ok", wants_models=False).evidence == evidence


def test_the_models_listed_are_told() -> None:
    body = json.dumps({"data": [{"id": "a"}, {"name": "b"}, {"id": 5}, {}, "c"]}).encode()
    assert judge(200, body, wants_models=True).models == ("a", "b")


@given(st.integers(100, 599), st.binary(max_size=60) | st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda v: st.lists(v) | st.dictionaries(st.sampled_from(["data", "models", "id"]), v), max_leaves=5).map(lambda v: json.dumps(v).encode()))  # fmt: skip
def test_any_answer_has_a_verdict(status: int, body: bytes) -> None:
    result = judge(status, body, wants_models=True)
    assert (result.error_type is None) == (result.evidence == "probe_answered")
    assert result.detail.isprintable()


# Against a server


async def asked(behaviour: Behaviour | None, *, seconds: float = 10, path: str = "models") -> ProbeResult:
    with trio.fail_after(20):
        async with FakeModelServer("a") as server:
            server.models = behaviour
            if behaviour is not None:
                server.paths["/health"] = behaviour
            settings = config.Endpoint(name="a", base_url=server.base_url, health_path=path)
            way = Upstream(settings, connect_timeout=5, ssl_context=None)
            try:
                return await probe(Endpoint("a", "fast", settings, way), seconds)
            finally:
                await way.aclose()


async def test_a_server_that_lists_its_models_is_well() -> None:
    result = await asked(None)
    assert (result.evidence, result.error_type, result.models) == ("probe_answered", None, ("a",))
    assert result.listed[0]["owned_by"] == "fake"


@pytest.mark.parametrize(
    ("behaviour", "evidence", "error_type"),
    [
        (loading(), "warming", "loading"),
        (unauthorized(), "probe_refused", "misconfigured"),
        (forbidden(), "probe_refused", "misconfigured"),
        (model_missing(), "probe_refused", "misconfigured"),
        (internal_error(), "failure", "status"),
        (html_502(), "failure", "status"),
        (redirect("http://elsewhere.invalid/"), "failure", "status"),
        (html_200(), "failure", "no_models"),
        (Reset(), "failure", "reset"),
        (Drop("fin"), "failure", "broken_answer"),
        (Cut(Status(200, {"data": []}), 0, extra=5), "failure", "broken_answer"),
        (Raw([b"garbage\r\n\r\n"]), "failure", "broken_answer"),
        (Status(200, b"x" * (MAX_BODY + 1)), "failure", "broken_answer"),
        (Status(200, b'{"data":' + NESTED + b"}"), "failure", "no_models"),
    ],
)
async def test_what_a_server_does_is_a_result(
    behaviour: Behaviour, evidence: Evidence, error_type: ErrorType
) -> None:
    result = await asked(behaviour)
    assert (result.evidence, result.error_type) == (evidence, error_type), result.detail


async def test_silence_is_a_timeout() -> None:
    start = trio.current_time()
    result = await asked(Hang(), seconds=0.2)
    assert (result.evidence, result.error_type, result.detail) == (
        "failure",
        "timeout",
        "no answer within 0.2 s",
    )
    assert trio.current_time() - start < 5


async def test_a_body_that_never_ends_is_a_timeout() -> None:
    result = await asked(Cut(Status(200, {"data": []}), 0, "stall", extra=5), seconds=0.2)
    assert (result.evidence, result.error_type) == ("failure", "timeout")


async def test_another_health_path_is_asked_for() -> None:
    assert await asked(Status(200, b"fine"), path="/health") == ProbeResult("probe_answered")
    assert (await asked(Status(404, b""), path="/health")).evidence == "probe_refused"


async def test_a_cancelled_probe_is_cancelled() -> None:
    with trio.move_on_after(0.1) as scope:
        await asked(Hang())
    assert scope.cancelled_caught


async def test_a_chat_answer_is_no_list_of_models() -> None:
    assert (await asked(Ok(["Hello"]))).error_type == "no_models"

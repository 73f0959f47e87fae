"""SDKs show an error's message only if its object has the shape that they expect."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from octoroute import errors
from octoroute.openai.errors import error_body


def kinds(of: type[errors.RequestError]) -> Iterator[type[errors.RequestError]]:
    for kind in of.__subclasses__():
        yield kind
        yield from kinds(kind)


KINDS = list(kinds(errors.RequestError))


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_has_all_four_members(kind: type[errors.RequestError]) -> None:
    body = error_body(kind("It went wrong.", param="model"))
    assert list(body) == ["message", "type", "param", "code"]
    assert (body["message"], body["param"]) == ("It went wrong.", "model")
    assert isinstance(body["type"], str)
    assert isinstance(body["code"], str)


def test_param_is_there_without_a_field() -> None:
    assert error_body(errors.InvalidRequest("x"))["param"] is None


STATUS = {
    "InvalidRequest": (400, "invalid_request_error", "invalid_request"),
    "Unsupported": (400, "invalid_request_error", "unsupported"),
    "Unauthorized": (401, "authentication_error", "invalid_api_key"),
    "NotFound": (404, "invalid_request_error", "not_found"),
    "ModelNotFound": (404, "invalid_request_error", "model_not_found"),
    "MethodNotAllowed": (405, "invalid_request_error", "method_not_allowed"),
    "RequestTimeout": (408, "invalid_request_error", "request_timeout"),
    "BodyTooLarge": (413, "invalid_request_error", "request_too_large"),
    "HeadTooLarge": (431, "invalid_request_error", "headers_too_large"),
    "UnsupportedMediaType": (415, "invalid_request_error", "unsupported_media_type"),
    "QueueFull": (429, "rate_limit_error", "queue_full"),
    "UpstreamFailed": (502, "server_error", "upstream_failed"),
    "NoHealthyEndpoint": (503, "server_error", "no_healthy_endpoint"),
    "Draining": (503, "server_error", "shutting_down"),
    "UpstreamTimeout": (504, "server_error", "timeout"),
    "InternalError": (500, "server_error", "internal_error"),
}


def test_statuses_types_and_codes_are_these() -> None:
    assert {kind.__name__: (kind.status, kind.type, kind.code) for kind in KINDS} == STATUS


def test_codes_tell_errors_apart() -> None:
    assert len({kind.code for kind in KINDS}) == len(KINDS)


def test_headers_are_the_errors_own() -> None:
    given = {"Retry-After": "5"}
    error = errors.QueueFull("full", headers=given)
    given.clear()
    assert error.headers == {"Retry-After": "5"}
    assert errors.QueueFull("full").headers == {}

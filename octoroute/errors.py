"""One error tree: what went wrong, whose fault it is, and the HTTP status that says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

Cause = Literal[
    "connect",
    "reset",
    "timeout",
    "broken_answer",
    "server_error",
    "unavailable",
    "loading",
    "busy",
    "misconfigured",
    "context",
    "unsupported",
    "rejected",
]
"""Why an attempt failed."""


class OctorouteError(Exception):
    """Base of every error that a user may see. The message is one clear paragraph without secrets or prompts."""


class ConfigError(OctorouteError):
    """The configuration can't be used. `problems` has every one found, each a line."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class StartError(OctorouteError):
    """The daemon can't start for a reason outside its configuration's syntax, such as a port in use."""


class AdminError(OctorouteError):
    """A running daemon could not be reached, or could not be made reachable, for admin commands."""


class NoSuchEndpoint(OctorouteError):
    """An admin command names an endpoint that isn't there."""


class UpstreamError(OctorouteError):
    """A model server did not answer, or not in HTTP. `cause` is the closed word for it; the message tells more.

    `unreachable` tells that its machine gave no sign of life, not even that it refuses: it may be asleep.
    """

    def __init__(self, cause: Cause, message: str, *, unreachable: bool = False) -> None:
        super().__init__(message)
        self.cause: Cause = cause
        self.unreachable = unreachable


class RequestError(OctorouteError):
    """An error that is the answer to one HTTP request.

    `status`, `type` and `code` follow the OpenAI API; `param` names the field at fault, where there is one;
    `headers` go out with the answer.
    """

    status: ClassVar[int] = 500
    type: ClassVar[str] = "invalid_request_error"
    code: ClassVar[str | None] = None

    def __init__(
        self, message: str, *, param: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.headers = dict(headers or {})


class InvalidRequest(RequestError):
    """The client's request is malformed, or a field of it is."""

    status = 400
    code = "invalid_request"


class Unsupported(RequestError):
    """No endpoint that may serve the request can do what it asks for (images, tools …)."""

    status = 400
    code = "unsupported"


class Unauthorized(RequestError):
    """No key, or a wrong one."""

    status = 401
    type = "authentication_error"
    code = "invalid_api_key"


class NotFound(RequestError):
    """No such path."""

    status = 404
    code = "not_found"


class ModelNotFound(NotFound):
    """No such model, tier or alias."""

    code = "model_not_found"


class MethodNotAllowed(RequestError):
    """The path exists, but not for this method."""

    status = 405
    code = "method_not_allowed"


class RequestTimeout(RequestError):
    """The client did not send its request in time."""

    status = 408
    code = "request_timeout"


class HeadTooLarge(RequestError):
    """The request's line and headers exceed what is read of them."""

    status = 431
    code = "headers_too_large"


class BodyTooLarge(RequestError):
    """The request's body exceeds `server.max_body_bytes`."""

    status = 413
    code = "request_too_large"


class UnsupportedMediaType(RequestError):
    """The body is encoded, multipart, or cross-site without being JSON."""

    status = 415
    code = "unsupported_media_type"


class QueueFull(RequestError):
    """Every place is taken and the queue is full, or the wait in it too long."""

    status = 429
    type = "rate_limit_error"
    code = "queue_full"


class UpstreamFailed(RequestError):
    """Model servers were asked, and none gave an answer that can be relayed."""

    status = 502
    type = "server_error"
    code = "upstream_failed"


class NoHealthyEndpoint(RequestError):
    """Nothing that may serve the request is up."""

    status = 503
    type = "server_error"
    code = "no_healthy_endpoint"


class Draining(RequestError):
    """The daemon is stopping and takes no new requests."""

    status = 503
    type = "server_error"
    code = "shutting_down"


class UpstreamTimeout(RequestError):
    """No model server answered in time."""

    status = 504
    type = "server_error"
    code = "timeout"


class InternalError(RequestError):
    """A defect of our own; the log has the traceback, the client does not."""

    status = 500
    type = "server_error"
    code = "internal_error"

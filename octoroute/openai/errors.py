"""How an error is worded on the OpenAI paths."""

from __future__ import annotations

from octoroute.errors import RequestError


def error_body(error: RequestError) -> dict[str, str | None]:
    """The `error` object. SDKs lose the message unless `code` is text or null, and `param` is there."""
    return {"message": error.message, "type": error.type, "param": error.param, "code": error.code}

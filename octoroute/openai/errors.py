"""How an error is worded on the OpenAI paths."""

from __future__ import annotations

from octoroute.errors import RequestError
from octoroute.openai.sse import error_of


def error_body(error: RequestError) -> dict[str, str | None]:
    """The `error` object. SDKs lose the message unless `code` is text or null, and `param` is there."""
    return {"message": error.message, "type": error.type, "param": error.param, "code": error.code}


def server_error(body: bytes) -> dict[str, str | None] | None:
    """A model server's own `error`, in the form that SDKs read; None where the body has none.

    llama.cpp's `code` is a number and its `param` missing, Ollama's whole error may be one string.
    """
    error = error_of(body)
    if error is None:
        return None
    given = error if isinstance(error, dict) else {"message": error}
    kept = {key: given.get(key) for key in ("message", "type", "param", "code")}
    return {key: None if value is None else str(value) for key, value in kept.items()}

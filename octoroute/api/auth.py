"""API keys: who may use the API, where keys are configured."""

from __future__ import annotations

from hmac import compare_digest

from werkzeug.datastructures import Headers

from octoroute.config.model import Auth
from octoroute.errors import Unauthorized


class Keys:
    """The configured keys. None at all leaves the API open."""

    def __init__(self, settings: Auth) -> None:
        self._keys = [key.reveal().encode() for key in settings.api_keys]

    def check(self, headers: Headers) -> str | None:
        """The client that a key stands for, as a name without the key; None where the API is open.

        Raises:
            Unauthorized: no key, or an unknown one.
        """
        if not self._keys:
            return None
        given = _given_key(headers)
        if given is None:
            raise Unauthorized(
                "An API key is required: send it as `Authorization: Bearer KEY` or `x-api-key: KEY`.",
                headers={"WWW-Authenticate": "Bearer"},
            )
        # Every key is compared, each in constant time, so that timing tells nothing about them.
        matches = [compare_digest(given, key) for key in self._keys]
        if True not in matches:
            raise Unauthorized("The API key is not valid.", headers={"WWW-Authenticate": "Bearer"})
        return f"key {matches.index(True) + 1}"


def _given_key(headers: Headers) -> bytes | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip().encode()
    key: str = headers.get("x-api-key", "").strip()
    return key.encode() or None

"""What a reload changes, in words for the log."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct, structs

from octoroute.config.model import TIERS, Config, Endpoint, Server, Tier

RESTART_ONLY = ("host", "port", "tls_cert", "tls_key")
"""Keys of `[server]` that only a restart changes: the sockets are open."""


def changes(old: Config, new: Config) -> list[str]:
    """Each changed key as `table.key: old -> new`, and endpoints that came and went. Secrets show as `Secret(…)`."""
    found = [
        change
        for field in structs.fields(Config)
        if field.name != "models"
        for change in _changed_keys(field.name, getattr(old, field.name), getattr(new, field.name))
    ]
    return found + [change for tier in TIERS for change in _changed_endpoints(tier, old, new)]


def needs_restart(old: Server, new: Server) -> list[str]:
    """The keys of `[server]` that changed and have no effect before a restart."""
    return [key for key in RESTART_ONLY if getattr(old, key) != getattr(new, key)]


def _changed_keys(table: str, old: Struct, new: Struct) -> Iterator[str]:
    for key in old.__struct_fields__:
        before, after = getattr(old, key), getattr(new, key)
        if isinstance(before, Struct):
            yield from _changed_keys(f"{table}.{key}", before, after)
        elif before != after:
            yield f"{table}.{key}: {before!r} -> {after!r}"


def _changed_endpoints(tier: Tier, old: Config, new: Config) -> Iterator[str]:
    before, after = _by_place(old.models.get(tier, ())), _by_place(new.models.get(tier, ()))
    for (name, base_url), endpoint in after.items():
        place = f"models.{tier} {name} at {base_url}"
        if (name, base_url) in before:
            yield from _changed_keys(place, before[name, base_url], endpoint)
        else:
            yield f"{place}: added"
    for name, base_url in before.keys() - after.keys():
        yield f"models.{tier} {name} at {base_url}: removed"


def _by_place(endpoints: tuple[Endpoint, ...]) -> dict[tuple[str, str], Endpoint]:
    """An endpoint stays itself while its tier, name and base URL do."""
    return {(endpoint.name, endpoint.base_url): endpoint for endpoint in endpoints}

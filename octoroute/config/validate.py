"""What a configuration must keep to beyond its types: single values, tables that must agree, and what to warn of."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from octoroute.config.lines import Path
from octoroute.config.model import (
    TIERS,
    Auth,
    Config,
    Endpoint,
    Observability,
    Server,
    Tier,
    fallback_tiers,
)
from octoroute.config.problems import Problem, bad_value, header, listed

Check = Callable[[str], str]
"""The value in the one form that the daemon uses. Raises a ValueError that says what is allowed."""

RESERVED = ("auto", *TIERS)
"""What `model` in a request means before any name: no endpoint may be called so, in any case."""

_HOST = re.compile(r"[A-Za-z0-9._-]+")
_FILTER = re.compile(
    r"(?:(?P<module>[A-Za-z_]\w*(?:\.\w+)*)\s*=\s*)?(?P<level>debug|info|warning|warn|error)", re.IGNORECASE
)
_HTTP_KEY = re.compile(r"[\x20-\x7e\xa0-\xff]+")
_MAC = re.compile(r"[0-9a-f]{2}([:-]?)(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}", re.IGNORECASE)
_NAME = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,254}[\x21-\x7e])?")
_VISIBLE = re.compile(r"[\x21-\x7e]*")


# Single values


def host(value: str) -> str:
    """A name or an address to listen on; the brackets of `[::]` are dropped."""
    plain = value.removeprefix("[").removesuffix("]")
    if not (_HOST.fullmatch(value) or (_is_ipv6(plain) and value in {plain, f"[{plain}]"})):
        raise ValueError("must be a host name or an IP address to listen on, without a port")
    return plain


def base_url(value: str) -> str:
    """An endpoint's URL with a path (`/v1` where there is none) and no slash at its end."""
    if not _VISIBLE.fullmatch(value) or "\\" in value:
        raise ValueError("must be a URL of visible ASCII characters, such as http://localhost:11434/v1")
    try:
        url = urlsplit(value)
        port = url.port
    except ValueError as error:
        raise ValueError(
            "must be a URL with a valid host and port, such as http://localhost:11434/v1"
        ) from error
    if url.scheme not in {"http", "https"}:
        raise ValueError("must begin with http:// or https://")
    if "@" in url.netloc:
        raise ValueError("must have no user name or password; an `api_key` is sent as a bearer token")
    place = url.hostname or ""
    if not (_is_ipv6(place) if "[" in url.netloc else _HOST.fullmatch(place)) or port == 0:
        raise ValueError("must have a valid host, such as http://localhost:11434/v1")
    if "?" in value or "#" in value:
        raise ValueError("must have no query and no fragment: the paths of the API are appended to it")
    place = f"[{place}]" if ":" in place else place
    return f"{url.scheme}://{place}{'' if port is None else f':{port}'}{url.path.rstrip('/') or '/v1'}"


def name(value: str) -> str:
    """An endpoint's name or alias."""
    if not _NAME.fullmatch(value):
        raise ValueError(
            "must be 1 to 256 printable ASCII characters without a space at either end (it goes into HTTP headers)"
        )
    if value.lower() in RESERVED:
        raise ValueError(f"{listed(RESERVED, 'and')} are reserved, in any case: choose another one")
    return value


def upstream_model(value: str) -> str:
    """The name that a model server is asked for: whatever it likes, it goes into JSON."""
    if not value.strip():
        raise ValueError("must not be empty: leave it out to ask for the endpoint's `name`")
    return value


def api_key(value: str) -> str:
    """A key of ours or of a model server's: it goes into a header."""
    plain = value.strip(" \t\r\n")
    if not _HTTP_KEY.fullmatch(plain):
        raise ValueError(
            "must be one line of printable ASCII or Latin-1 characters, at least one (it goes into an HTTP header)"
        )
    return plain


def health_path(value: str) -> str:
    """A path below `base_url`, below its host where it begins with a slash, or "" for no probes."""
    if (
        not _VISIBLE.fullmatch(value)
        or value.startswith("//")
        or "://" in value
        or "#" in value
        or "\\" in value
    ):
        raise ValueError('must be a path such as "models" or "/health", or "" for no probes')
    return value


def wake_mac(value: str) -> str:
    """A hardware address, returned as `aa:bb:cc:dd:ee:ff`."""
    if not _MAC.fullmatch(value):
        raise ValueError('must be a hardware address such as "aa:bb:cc:dd:ee:ff"')
    return bytes.fromhex(re.sub("[:-]", "", value)).hex(":")


def log_level(value: str) -> str:
    """A log filter: a level, and levels of single modules, with commas between them."""
    found = [_FILTER.fullmatch(part.strip()) for part in value.split(",")]
    parts = [(part["module"], part["level"].lower()) for part in found if part]
    modules = [module for module, _ in parts]
    if not all(found) or len(set(modules)) < len(modules):
        raise ValueError(
            "must be debug, info, warning or error, or that and levels of single modules, such as "
            '"info,octoroute.routing=debug"'
        )
    levels = ((module, "warning" if level == "warn" else level) for module, level in parts)
    return ",".join(level if module is None else f"{module}={level}" for module, level in levels)


VALUES: Mapping[tuple[type[Struct], str], Check] = {
    (Server, "host"): host,
    (Endpoint, "name"): name,
    (Endpoint, "aliases"): name,
    (Endpoint, "base_url"): base_url,
    (Endpoint, "model"): upstream_model,
    (Endpoint, "api_key"): api_key,
    (Endpoint, "health_path"): health_path,
    (Endpoint, "wake_mac"): wake_mac,
    (Auth, "api_keys"): api_key,
    (Observability, "log_level"): log_level,
}
"""The checks that types can't express, by struct and field; of a list, for each element."""


# The whole file


def agreement(tables: Mapping[str, Any]) -> Iterator[Problem]:
    """What single values don't show: endpoints that contradict each other, half a pair of files, no endpoint.

    `tables` has what is valid by itself of the file's tables, as dicts and lists.
    """
    yield from _endpoints(tables.get("models", {}))
    server = tables.get("server", {})
    for key, other in (("tls_cert", "tls_key"), ("tls_key", "tls_cert")):
        if key in server and other not in server:
            yield Problem(("server", key), f"[server] {key} needs {other}: both are set, or neither")


def _endpoints(models: Mapping[Tier, list[dict[str, Any]]]) -> Iterator[Problem]:
    if not any(models.values()):
        headers = [f"[[models.{tier}]]" for tier in TIERS]
        yield Problem(
            ("models",), f"no endpoint is configured: write a {listed(headers)} with `name` and `base_url`"
        )
    places: list[tuple[Path, dict[str, Any]]] = [
        (("models", tier, index), endpoint)
        for tier in TIERS
        for index, endpoint in enumerate(models.get(tier, []))
    ]
    # A name or alias in small letters -> the name as it was first written, and where. Names come first, so that it
    # is always the alias that is to blame.
    taken: dict[str, tuple[str, Path]] = {}
    urls: dict[tuple[str, str], Path] = {}
    for path, endpoint in places:
        if "name" not in endpoint:
            continue
        own: str = endpoint["name"]
        known, first = taken.setdefault(own.lower(), (own, path))
        if first[1] != path[1]:
            yield bad_value(
                path, "name", own, f"{header(first)} has that name: each may stand in one tier only"
            )
        elif known != own:
            yield bad_value(
                path, "name", own, f"{header(first)} has that name, but in another case: write them the same"
            )
        elif "base_url" in endpoint and path != (same := urls.setdefault((own, endpoint["base_url"]), path)):
            yield bad_value(
                path, "base_url", endpoint["base_url"], f"{header(same)} is the same, name and URL"
            )
    for path, endpoint in places:
        if endpoint.get("wake_mac") is not None and endpoint.get("health_path") == "":
            yield Problem(
                (*path, "wake_mac"),
                f"{header(path)} wake_mac needs a `health_path`: only a probe tells that the machine is awake",
            )
    for path, endpoint in places:
        own = endpoint.get("name", "")
        for alias in endpoint.get("aliases", ()):
            holder, first = taken.setdefault(alias.lower(), (own, path))
            if holder.lower() != own.lower():
                yield Problem(
                    (*path, "aliases"),
                    f'{header(path)} aliases has "{alias}", which {header(first)} answers to: choose another one',
                )


# A valid configuration that may surprise


def warnings(config: Config) -> list[str]:
    """What its owner should know about a valid configuration, each in one line."""
    return [*_empty_tiers(config), *_open_to_all(config)]


def _empty_tiers(config: Config) -> Iterator[str]:
    routing = config.routing
    for tier in TIERS:
        if config.models.get(tier):
            continue
        mode = f'tier_fallback = "{routing.tier_fallback}"'
        others = fallback_tiers(tier, routing.tier_fallback)
        server = next((other for other in others if config.models.get(other)), None)
        if server is None:
            yield f"tier {tier} has no endpoint, and {mode} lets no other serve it: its requests will fail"
        else:
            yield f"tier {tier} has no endpoint: tier {server} serves its requests ({mode})"
        if tier == routing.router_tier and routing.strategy != "rule":
            yield (
                f'[routing] router_tier = "{tier}" has no endpoint: no model can be asked, so what the rules do not '
                f"decide goes to tier {routing.default_tier}"
            )


def _open_to_all(config: Config) -> Iterator[str]:
    if not config.auth.api_keys and not _is_loopback(config.server.host):
        yield (
            f"[server] host = {config.server.host} can be reached from other machines, and [auth] has no `api_keys`: "
            "whoever reaches it may use it"
        )


def _is_ipv6(value: str) -> bool:
    try:
        return ipaddress.ip_address(value).version == 6
    except ValueError:
        return False


def _is_loopback(value: str) -> bool:
    try:
        return ipaddress.ip_address(value).is_loopback
    except ValueError:
        return value.lower() == "localhost"

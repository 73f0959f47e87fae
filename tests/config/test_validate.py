"""What a configuration must keep to beyond its types, and what it is warned of."""

from __future__ import annotations

import pytest
from httpx import URL

from octoroute.config import validate
from octoroute.config.model import TIERS
from tests.config.helpers import ENDPOINT, problems, read


def block(tier: str, name: str, host: str = "h", more: str = "") -> str:
    return f'[[models.{tier}]]\nname = "{name}"\nbase_url = "http://{host}"\n{more}\n'


# Single values


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("http://localhost:11434", "http://localhost:11434/v1"),
        ("http://localhost:11434/", "http://localhost:11434/v1"),
        ("http://localhost:11434/v1/", "http://localhost:11434/v1"),
        ("https://Example.org/api//v3//", "https://example.org/api//v3"),
        ("HTTP://10.0.0.1", "http://10.0.0.1/v1"),
        ("http://[::1]:8080/v1", "http://[::1]:8080/v1"),
        ("http://[FE80::1%25eth0]", "http://[fe80::1%25eth0]/v1"),
        ("http://my_host.lan:1/a%20b", "http://my_host.lan:1/a%20b"),
        ("http://host:/v1", "http://host/v1"),
    ],
)
def test_a_base_url_is_made_plain(given: str, expected: str) -> None:
    assert validate.base_url(given) == expected
    assert str(URL(expected)) == expected
    assert validate.base_url(expected) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("", "must begin with http"),
        ("localhost:11434", "must begin with http"),
        ("//localhost/v1", "must begin with http"),
        ("ftp://localhost/v1", "must begin with http"),
        ("http:/localhost/v1", "must have a valid host"),
        ("http://", "must have a valid host"),
        ("http://:80/v1", "must have a valid host"),
        ("http://${HOST}/v1", "must have a valid host"),
        ("http://[v1.x]/v1", "must have a valid host"),
        ("http://[1.2.3.4]/v1", "must "),
        ("http://[::1/v1", "must be a URL with a valid host and port"),
        ("http://host:0/v1", "must have a valid host"),
        ("http://host:65536/v1", "must be a URL with a valid host and port"),
        ("http://host:port/v1", "must be a URL with a valid host and port"),
        ("http://user@host/v1", "must have no user name or password"),
        ("http://@host/v1", "must have no user name or password"),
        ("http://host/v1?", "must have no query and no fragment"),
        ("http://host/v1#", "must have no query and no fragment"),
        (" http://host/v1", "must be a URL of visible ASCII"),
        ("http://host/v1\n", "must be a URL of visible ASCII"),
        ("http://b\N{LATIN SMALL LETTER U WITH DIAERESIS}ro/v1", "must be a URL of visible ASCII"),
        ("http:\\\\host\\v1", "must be a URL of visible ASCII"),
    ],
)
def test_what_is_no_base_url(given: str, expected: str) -> None:
    with pytest.raises(ValueError, match=f"^{expected}"):
        validate.base_url(given)


@pytest.mark.parametrize(
    ("check", "given", "expected"),
    [
        (validate.host, "0.0.0.0", "0.0.0.0"),
        (validate.host, "nas.local", "nas.local"),
        (validate.host, "::", "::"),
        (validate.host, "[::1]", "::1"),
        (validate.name, "x", "x"),
        (validate.name, "Qwen/Qwen3-8B:Q4_K_M @ gpu", "Qwen/Qwen3-8B:Q4_K_M @ gpu"),
        (validate.name, "x" * 256, "x" * 256),
        (validate.name, "automatic", "automatic"),
        (validate.upstream_model, "modèle", "modèle"),
        (validate.api_key, " sk-1 2\xe9\n", "sk-1 2\xe9"),
        (validate.health_path, "", ""),
        (validate.health_path, "models", "models"),
        (validate.health_path, "/health?full=1", "/health?full=1"),
        (validate.wake_mac, "AA:bb:CC:dd:EE:0f", "aa:bb:cc:dd:ee:0f"),
        (validate.wake_mac, "aa-bb-cc-dd-ee-ff", "aa:bb:cc:dd:ee:ff"),
        (validate.wake_mac, "aabbccddeeff", "aa:bb:cc:dd:ee:ff"),
        (validate.log_level, "INFO", "info"),
        (validate.log_level, "warn, octoroute.routing = Debug", "warning,octoroute.routing=debug"),
        (validate.log_level, "octoroute=error", "octoroute=error"),
    ],
)
def test_values_and_the_form_they_get(check: validate.Check, given: str, expected: str) -> None:
    assert check(given) == expected
    assert check(expected) == expected


@pytest.mark.parametrize(
    ("check", "given"),
    [
        *(
            (validate.host, bad)
            for bad in ("", " ", "host:80", "127.0.0.1:80", "http://host", "[host]", "a b", "*")
        ),
        *((validate.name, bad) for bad in ("", " ", " a", "a ", "a\n", "a\tb", "é", "a\x7f", "x" * 257)),
        *((validate.name, bad) for bad in ("auto", "AUTO", "Fast", "balanced", "dEEp")),
        *((validate.upstream_model, bad) for bad in ("", " ")),
        *((validate.api_key, bad) for bad in ("", " ", "a\nb", "a\x00", "a\x85", "\N{EURO SIGN}")),
        *(
            (validate.health_path, bad)
            for bad in ("//host/x", "http://host/x", "a b", "a#b", "a\n", "é", "a\\b")
        ),
        *(
            (validate.wake_mac, bad)
            for bad in ("", "aa:bb:cc:dd:ee", "aa:bb:cc:dd:ee:fg", "aa:bb-cc:dd:ee:ff")
        ),
        *(
            (validate.log_level, bad)
            for bad in ("", ",", "info,", "trace", "info,debug", "a=info,a=debug", "a=")
        ),
        *((validate.log_level, bad) for bad in ("octoroute", "a..b=info", "=info", "info;debug")),
    ],
)
def test_values_that_are_refused(check: validate.Check, given: str) -> None:
    with pytest.raises(ValueError, match=r"^(must|auto, fast, balanced and deep are reserved)"):
        check(given)


# The whole file


def test_a_name_may_repeat_inside_its_tier() -> None:
    text = block("deep", "a", "one", 'aliases = ["big"]') + block(
        "deep", "a", "two", 'aliases = ["big", "A"]'
    )
    assert [endpoint.name for endpoint in read(text).models["deep"]] == ["a", "a"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            block("fast", "a") + block("deep", "a"),
            '6: [[models.deep]] #1 name = "a": [[models.fast]] #1 has that name: each may stand in one tier only',
        ),
        (
            block("deep", "A") + block("fast", "a"),
            '2: [[models.deep]] #1 name = "A": [[models.fast]] #1 has that name: each may stand in one tier only',
        ),
        (
            block("fast", "a", "one") + block("fast", "A", "two"),
            (
                '6: [[models.fast]] #2 name = "A": [[models.fast]] #1 has that name, but in another case: '
                "write them the same"
            ),
        ),
        (
            block("fast", "a", "h") + block("fast", "a", "H/v1/"),
            '7: [[models.fast]] #2 base_url = "http://h/v1": [[models.fast]] #1 is the same, name and URL',
        ),
        (
            block("fast", "a", more='aliases = ["x", "B"]') + block("deep", "b"),
            '4: [[models.fast]] #1 aliases has "B", which [[models.deep]] #1 answers to: choose another one',
        ),
        (
            block("fast", "a", more='aliases = ["x"]') + block("fast", "b", more='aliases = ["X"]'),
            '8: [[models.fast]] #2 aliases has "X", which [[models.fast]] #1 answers to: choose another one',
        ),
    ],
)
def test_endpoints_that_contradict_each_other(text: str, expected: str) -> None:
    assert problems(text) == [expected]


def test_contradictions_are_told_together_with_bad_values() -> None:
    found = problems(block("fast", "a", more="weight = 0") + block("deep", "a", more="[server]\nport = -1"))
    assert [each.split(":")[0] for each in found] == ["4", "6", "9"]


@pytest.mark.parametrize(("given", "other"), [("tls_cert", "tls_key"), ("tls_key", "tls_cert")])
def test_half_a_pair_of_tls_files(given: str, other: str) -> None:
    text = f'{ENDPOINT}[server]\n{given} = "{__file__}"\n'
    assert problems(text) == [f"5: [server] {given} needs {other}: both are set, or neither"]


def test_a_machine_that_is_to_be_woken_is_probed() -> None:
    asleep = 'wake_mac = "AA-BB-CC-DD-EE-FF"\n'
    (endpoint,) = read(block("fast", "a", more=asleep)).models["fast"]
    assert endpoint.wake_mac == "aa:bb:cc:dd:ee:ff"
    assert problems(block("fast", "a", more=f'{asleep}health_path = ""')) == [
        "4: [[models.fast]] #1 wake_mac needs a `health_path`: only a probe tells that the machine is awake"
    ]


# Warnings

LOCAL = '[server]\nhost = "127.0.0.1"\n'
ALL = "".join(block(tier, f"{tier}-model") for tier in TIERS)


def warned(text: str) -> list[str]:
    return validate.warnings(read(text))


def test_nothing_to_warn_of() -> None:
    assert warned(LOCAL + ALL) == []


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost", "LocalHost"])
def test_this_machine_alone_needs_no_keys(host: str) -> None:
    assert warned(f'{ALL}[server]\nhost = "{host}"\n') == []


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "nas.local"])
def test_an_api_that_is_open_to_other_machines(host: str) -> None:
    [warning] = warned(f'{ALL}[server]\nhost = "{host}"\n')
    assert warning.startswith(f"[server] host = {host} can be reached from other machines")
    assert warned(f'{ALL}[server]\nhost = "{host}"\n[auth]\napi_keys = ["a"]\n') == []


@pytest.mark.parametrize(
    ("fallback", "present", "expected"),
    [
        ("up-down", "balanced", ["fast: balanced", "deep: balanced"]),
        ("up", "balanced", ["fast: balanced", "deep: nobody"]),
        ("down", "balanced", ["fast: nobody", "deep: balanced"]),
        ("none", "balanced", ["fast: nobody", "deep: nobody"]),
        ("up-down", "fast", ["balanced: fast", "deep: fast"]),
        ("up-down", "deep", ["fast: deep", "balanced: deep"]),
    ],
)
def test_who_serves_an_empty_tier(fallback: str, present: str, expected: list[str]) -> None:
    text = f'{LOCAL}{block(present, "a")}[routing]\nstrategy = "rule"\ntier_fallback = "{fallback}"\n'
    served = {
        f'tier {empty} has no endpoint: tier {by} serves its requests (tier_fallback = "{fallback}")': f"{empty}: {by}"
        for empty in TIERS
        for by in TIERS
    }
    unserved = {
        f'tier {empty} has no endpoint, and tier_fallback = "{fallback}" lets no other serve it: '
        "its requests will fail": f"{empty}: nobody"
        for empty in TIERS
    }
    assert [(served | unserved)[warning] for warning in warned(text)] == expected


@pytest.mark.parametrize(("strategy", "count"), [("rule", 0), ("hybrid", 1), ("llm", 1)])
def test_a_router_tier_without_endpoints(strategy: str, count: int) -> None:
    text = f'{LOCAL}{block("fast", "a")}[routing]\nstrategy = "{strategy}"\nrouter_tier = "deep"\n'
    about_it = [warning for warning in warned(text) if "router_tier" in warning]
    assert about_it == count * [
        (
            '[routing] router_tier = "deep" has no endpoint: no model can be asked, so what the rules do not decide '
            "goes to tier balanced"
        )
    ]

"""Loading: what is accepted, and that everything wrong is told at once, in its place, without a secret."""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec
import pytest

from octoroute.config.load import load, parse
from octoroute.config.model import Config, Endpoint, Secret
from octoroute.errors import ConfigError
from tests.config.helpers import ENDPOINT, problems, read

SEED = """\
[server]
host = "0.0.0.0"
port = 3000
[[models.fast]]
name = "qwen3-8b-instruct"
base_url = "http://localhost:11434/v1" # Ollama
max_tokens = 4096
temperature = 0.7
weight = 1.0
priority = 1
[[models.balanced]]
name = "qwen3-30b-instruct"
base_url = "http://localhost:1234/v1" # LM Studio
max_tokens = 8192
temperature = 0.7
weight = 1.0
priority = 1
[[models.deep]]
name = "gpt-oss-120b"
base_url = "http://localhost:8080/v1" # llama.cpp
max_tokens = 16384
temperature = 0.7
weight = 1.0
priority = 1
[routing]
strategy = "hybrid" # rule, llm, hybrid
router_tier = "balanced" # fast, balanced, deep (default: balanced)
"""


def endpoint(**more: object) -> Endpoint:
    return msgspec.structs.replace(Endpoint(name="small", base_url="http://localhost:11434/v1"), **more)


def test_the_seeds_example_loads() -> None:
    def of_the_seed(name: str, port: int, max_tokens: int) -> Endpoint:
        url = f"http://localhost:{port}/v1"
        return Endpoint(name=name, base_url=url, max_tokens=max_tokens, temperature=0.7)

    assert read(SEED) == Config(
        models={
            "fast": (of_the_seed("qwen3-8b-instruct", 11434, 4096),),
            "balanced": (of_the_seed("qwen3-30b-instruct", 1234, 8192),),
            "deep": (of_the_seed("gpt-oss-120b", 8080, 16384),),
        }
    )


def test_one_endpoint_is_enough_and_every_tier_is_there() -> None:
    assert read(ENDPOINT) == Config(models={"fast": (endpoint(),), "balanced": (), "deep": ()})


def test_whole_numbers_are_numbers() -> None:
    config = read(ENDPOINT + "weight = 2\ntemperature = 1\n[timeouts]\ndeep = 900\n")
    assert config.models["fast"][0].weight == 2.0
    assert isinstance(config.models["fast"][0].weight, float)
    assert (config.request_timeout("deep"), config.request_timeout("fast")) == (900.0, 300.0)


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm() -> None:
    assert read("\ufeff" + SEED.replace("\n", "\r\n")) == read(SEED)
    [problem] = problems("\ufeff" + ENDPOINT.replace("\n", "\r\n") + "weight = 0\r\n")
    assert problem.startswith("4: ")


def test_everything_wrong_is_told_at_once_in_the_order_of_the_file() -> None:
    assert problems("""\
[server]
port = 99999
request_timeout_seconds = "300"

[[models.fast]]
name = "small"
base_url = "http://localhost:11434"

[[models.fast]]
name = "small"
base-url = "http://localhost:11435"

[routing]
strategy = "hybird"

[[models.deep]]
name = "Auto"
base_url = "localhost:8080"
""") == [
        "2: [server] port = 99999: must be a whole number from 0 to 65535",
        '3: [server] request_timeout_seconds = "300": must be a number from 1 to 3600',
        "11: unknown key `base-url` in [[models.fast]] #2: did you mean `base_url`?",
        '14: [routing] strategy = "hybird": must be "rule", "llm" or "hybrid"',
        (
            '17: [[models.deep]] #1 name = "Auto": auto, fast, balanced and deep are reserved, in any case: '
            "choose another one"
        ),
        '18: [[models.deep]] #1 base_url = "localhost:8080": must begin with http:// or https://',
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("keepalive_seconds = true", "must be a number of at least 0"),
        ("keepalive_seconds = -1", "must be a number of at least 0"),
        ("keepalive_seconds = nan", "must be a number of at least 0"),
        ("keepalive_seconds = inf", "must be a number of at least 0"),
        ("keepalive_seconds = 99999999999999999999", "must be a number of at least 0"),
        ("connect_timeout_seconds = 0", "must be a number of at least 0.1"),
        ("port = 3000.0", "must be a whole number from 0 to 65535"),
        ("port = true", "must be a whole number from 0 to 65535"),
        ("port = 2020-01-01", "must be a whole number from 0 to 65535"),
        ("port = [3000]", "must be a whole number from 0 to 65535"),
        ("host = 3000", "must be a text in quotes"),
        ("max_body_bytes = 0", "must be a whole number of at least 1"),
    ],
)
def test_a_bad_value_tells_what_is_allowed(text: str, expected: str) -> None:
    [problem] = problems(f"{ENDPOINT}[server]\n{text}\n")
    assert problem.startswith(f"5: [server] {text.split(maxsplit=1)[0]} = ")
    assert problem.endswith(f": {expected}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("weight = 0", "weight = 0: must be a number greater than 0 and at most 1000000"),
        ("priority = 0.5", "priority = 0.5: must be a whole number"),
        ("max_tokens = -1", "max_tokens = -1: must be a whole number of at least 1"),
        ('max_tokens = "4096"', 'max_tokens = "4096": must be a whole number of at least 1'),
        ("temperature = nan", "temperature = nan: must be a number from 0 to 2"),
        (
            "max_tokens = 9223372036854775808",
            ("max_tokens = (a number of more than 64 bits): must be a whole number of at least 1"),
        ),
        ("temperature = 2.5", "temperature = 2.5: must be a number from 0 to 2"),
        ('vision = "yes"', 'vision = "yes": must be true or false, without quotes'),
        ('aliases = "a"', 'aliases = "a": must be a list of texts, such as ["one", "two"]'),
        ('aliases = ["a", 1]', "aliases[1] = 1: must be a text in quotes"),
        ("model = {a = 1}", "model = {…}: must be a text in quotes"),
    ],
)
def test_a_bad_value_of_an_endpoint(text: str, expected: str) -> None:
    assert problems(f"{ENDPOINT}{text}\n") == [f"4: [[models.fast]] #1 {expected}"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[server]\nprot = 1", "5: unknown key `prot` in [server]: did you mean `port`?"),
        ("[server]\nPort = 1", "5: unknown key `Port` in [server]: did you mean `port`?"),
        ("[health]\nstrategy = 1", "5: unknown key `strategy` in [health]: did you mean `strategy` in [routing]?"),
        ("[health]\nfoo.bar = 1", ("5: unknown key `foo` in [health]: allowed are healthy_after, "
         "interval_seconds, timeout_seconds and unhealthy_after")),
        ("[routing]\n[routing.router_timeout]", ("5: unknown key `router_timeout` in [routing]: "
         "did you mean `router_timeouts`?")),
        ('[auth]\n"" = 1', ('5: unknown key `""` in [auth]: allowed are '
         "api_keys, api_keys_env, api_keys_file and protect_metrics")),
        ("[sever]\nport = 1", "4: unknown table [sever]: did you mean [server]?"),
        ("[[model.fast]]\nname = 1", "4: unknown table [model]: did you mean [[models.fast]]?"),
        ("[[deep]]\nname = 1", "4: unknown table [deep]: did you mean [[models.deep]]?"),
        ("[xyz]", ("4: unknown table [xyz]: allowed are [auth], [health], [models], [observability], [queue], "
         "[retry], [routing], [server] and [timeouts]")),
        ("[[models.Deep]]", "4: unknown tier [[models.Deep]]: did you mean [[models.deep]]?"),
        ("[[models.large]]", "4: unknown tier [[models.large]]: the tiers are fast, balanced and deep"),
        ("[models.deep]", "4: [models.deep] needs double brackets: [[models.deep]], once for each endpoint"),
        ("[[server]]\nport = 1", "4: [server] must be a table, with its keys in the lines below it"),
    ],
)  # fmt: skip
def test_an_unknown_name_is_told_with_what_may_be_meant(text: str, expected: str) -> None:
    assert problems(f"{ENDPOINT}{text}\n") == [expected]


def test_keys_at_the_top_are_told_where_they_belong() -> None:
    found = problems(f"port = 1\nbase_url = 2\nserver = 3\n{ENDPOINT}")
    assert found == [
        "1: unknown key `port` at the top level: did you mean `port` in [server]?",
        "2: unknown key `base_url` at the top level: did you mean `base_url` in [[models.…]]?",
        "3: [server] must be a table, with its keys in the lines below it",
    ]


@pytest.mark.parametrize("text", ["", "models = 3", "[models]", "models.fast = []", "[[models]]"])
def test_a_configuration_without_endpoints(text: str) -> None:
    [problem] = problems(text)
    assert (
        "no endpoint is configured: write a [[models.fast]], [[models.balanced]] or [[models.deep]]"
        in problem
    )


def test_what_is_required() -> None:
    assert problems("\n[[models.deep]]\n") == [
        "2: [[models.deep]] #1: `name` is missing",
        "2: [[models.deep]] #1: `base_url` is missing",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = 1\nb = = 2\n", "2:5: not valid TOML: invalid value"),
        ("[a]\n[a]\n", "2:3: not valid TOML: the table [a] stands above already"),
        ('["a b".c]\n["a b".c]\n', "the table [a.b.c] stands above already"),
        ("a = 1\na = 2", "2:6: not valid TOML: a key or table of that name stands above already"),
        ('a = "b\n', "1:7: not valid TOML: a text in quotes must end on the line where it begins"),
        ("a = [1,", "1:8: not valid TOML: "),
        ("a = \x00", "1:5: not valid TOML: invalid value"),
        ("a = 2020-02-30", "1:5: not valid TOML: invalid date or datetime"),
        (f"a = {'9' * 5000}", "not valid TOML: a number is too long"),
        (f"a = {'[' * 20000}", "not valid TOML: nested too deeply"),
    ],
)
def test_a_mistake_in_the_syntax_is_one_problem_with_its_place(text: str, expected: str) -> None:
    [problem] = problems(text)
    assert expected in problem


# Secrets


SECRET = "hunter2"  # in no message, whatever is wrong


@pytest.mark.parametrize(
    "text",
    [
        f'api_key = ["{SECRET}"]',
        f'api_key = "{SECRET}\\u0007"',
        f'api_key = "{SECRET}ł"',
        f'api_key = "{SECRET}\\nx"',
        f'api_kye = "{SECRET}"',
        f'API-KEY = "{SECRET}"',
        f'passwrod = "{SECRET}"',
        f'anything.at.all = ["{SECRET}"]',
        f'api_key_env = "{SECRET}"',
        f'api_key_file = "{SECRET}"',
        f'api_key = "a"\napi_key_file = "{SECRET}"',
        f'api_key = "{SECRET}"\napi_key_env = "{SECRET}"',
        f'api_key = "{SECRET}',
        f"api_key = {SECRET}",
        f'api_key = "{SECRET}" x',
        f'[auth]\napi_keys = "{SECRET}"',
        f'[auth]\napi_keys = ["ok", "{SECRET}\\u0000"]',
        f'[auth]\napi_keys = ["ok", ["{SECRET}"]]',
        f'[auth]\napi_keys_env = "{SECRET}"',
        f'[auth]\napi_keys_file = "{SECRET}"',
        f'[auth]\napi_kesy = ["{SECRET}"]',
        f'[auth]\n"{SECRET[:3]}" = "{SECRET}"',
        f'[[auth]]\napi_keys = ["{SECRET}"]',
        f'[server]\ntls_key = "{SECRET}"',
        f'[sever]\npassword = "{SECRET}"',
        f'token = "{SECRET}"',
        f'[[models.deep]]\nname = "x"\nbase_url = "http://user:{SECRET}@host/v1"',
        f'[[models.deep]]\nname = "x"\nbase_url = "http://user:a?{SECRET}@host/v1"',
        f'[[models.deep]]\nname = "x"\nbase_url = "http://user:a/{SECRET}@host/v1"',
        f'[[models.deep]]\nname = "x"\nbase_url = "user:{SECRET}@host/v1"',
        f'[[models.deep]]\nname = "x"\nbase_url = "http:/user:{SECRET}@host/v1"',
        f'[[models.deep]]\nname = "x"\nbase_url = "http://host/v1?api_key={SECRET}"',
        f'[[models.deep]]\nname = "x"\nbase_url = "http://host/v1#{SECRET}"',
    ],
)  # fmt: skip
def test_no_secret_is_shown(text: str) -> None:
    # A key of [[models.fast]] needs its table above it, whatever else the text brings.
    found = problems(f"{ENDPOINT}{text}\n")
    assert found
    assert SECRET not in "\n".join(found)


def test_no_secret_is_in_a_repr() -> None:
    config = read(f'{ENDPOINT}api_key = "{SECRET}"\n[auth]\napi_keys = ["{SECRET}"]\n')
    assert config.models["fast"][0].api_key == Secret(SECRET)
    assert config.auth.api_keys == (Secret(SECRET),)
    assert SECRET not in repr(config)


def test_an_error_about_a_secret_has_no_cause_that_shows_it() -> None:
    with pytest.raises(ConfigError) as raised:
        read(f'{ENDPOINT}api_key = "{SECRET}\\n!"\n')
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None


# What the file refers to


def test_a_key_from_the_environment() -> None:
    config = read(ENDPOINT + 'api_key_env = "FAST_KEY"\n', environ={"FAST_KEY": " sk-1 \n"})
    assert config.models["fast"][0].api_key == Secret("sk-1")


@pytest.mark.parametrize("environ", [{}, {"FAST_KEY": ""}, {"FAST_KEY": " \n"}])
def test_a_key_that_is_not_in_the_environment(environ: dict[str, str]) -> None:
    [problem] = problems(ENDPOINT + 'api_key_env = "FAST_KEY"\n', environ=environ)
    assert problem == (
        "4: [[models.fast]] #1 api_key_env = ***: must be the name of an environment variable that is set and not empty"
    )


def test_a_key_from_a_file_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "fast").write_bytes(b"\xef\xbb\xbf  sk-1\r\n\n")
    for name in ("keys/fast", tmp_path / "keys" / "fast"):
        config = read(f'{ENDPOINT}api_key_file = "{name}"\n', base_dir=tmp_path)
        assert config.models["fast"][0].api_key == Secret("sk-1")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "the file can't be read: No such file or directory (a relative name starts at {})"),
        (b"", "the key that it refers to must be one line"),
        (b"one\ntwo\n", "the key that it refers to must be one line"),
        (b"\xff\xfe", "the file is not UTF-8 text (line 1)"),
        (b"x" * (1024 * 1024 + 1), "the file is larger than 1 MiB"),
    ],
)
def test_a_key_file_that_is_of_no_use(tmp_path: Path, content: bytes | None, expected: str) -> None:
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    [problem] = problems(ENDPOINT + 'api_key_file = "key"\n', base_dir=tmp_path)
    assert problem.startswith("4: [[models.fast]] #1 api_key_file = ***: " + expected.format(tmp_path))


def test_a_folder_is_no_key_file(tmp_path: Path) -> None:
    [problem] = problems(ENDPOINT + 'api_key_file = "."\n', base_dir=tmp_path)
    assert "the file can't be read: Is a directory" in problem


def test_only_one_source_of_a_key(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("a")
    text = ENDPOINT + 'api_key = "a"\napi_key_env = "KEY"\napi_key_file = "key"\n'
    [problem] = problems(text, base_dir=tmp_path, environ={"KEY": "a"})
    assert problem == "5: [[models.fast]] #1: only one of api_key, api_key_env and api_key_file may be set"


def test_our_own_keys_come_from_everywhere_each_once(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("# of the family\n\n  alice \nbob # 1\n#off\nb,c\n")
    text = ENDPOINT + '[auth]\napi_keys = ["a", "b"]\napi_keys_env = "KEYS"\napi_keys_file = "keys"\n'
    config = read(text, base_dir=tmp_path, environ={"KEYS": "b, #c ,d,,"})
    keys = [key.reveal() for key in config.auth.api_keys]
    assert keys == ["a", "b", "#c", "d", "alice", "bob # 1", "b,c"]


def test_an_empty_source_of_our_own_keys_does_not_leave_the_api_open(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("# none yet\n")
    text = ENDPOINT + '[auth]\napi_keys_env = "KEYS"\napi_keys_file = "keys"\n'
    assert problems(text, base_dir=tmp_path, environ={"KEYS": " , "}) == [
        "5: [auth] api_keys_env = ***: holds no key",
        "6: [auth] api_keys_file = ***: holds no key",
    ]


def test_tls_files_are_found_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("cert")
    (tmp_path / "key.pem").write_text("key")
    config = read(
        f'{ENDPOINT}[server]\ntls_cert = "cert.pem"\ntls_key = "{tmp_path}/key.pem"\n', base_dir=tmp_path
    )
    assert config.server.tls_cert == str(tmp_path / "cert.pem")
    assert config.server.tls_key == str(tmp_path / "key.pem")


def test_tls_files_that_are_not_there(tmp_path: Path) -> None:
    found = problems(f'{ENDPOINT}[server]\ntls_cert = "cert.pem"\ntls_key = "key.pem"\n', base_dir=tmp_path)
    assert found == [
        (
            '5: [server] tls_cert = "cert.pem": the file can\'t be read: No such file or directory '
            f"(a relative name starts at {tmp_path})"
        ),
        (
            "6: [server] tls_key = ***: the file can't be read: No such file or directory "
            f"(a relative name starts at {tmp_path})"
        ),
    ]


# The file itself


def test_load_reads_a_file_and_names_it_in_messages(tmp_path: Path) -> None:
    path = tmp_path / "octoroute.toml"
    path.write_text("\ufeff" + ENDPOINT + 'api_key_file = "key"\n', encoding="utf-8")
    (tmp_path / "key").write_text("sk-1\n")
    assert load(path, environ={}).models["fast"] == (endpoint(api_key=Secret("sk-1")),)
    (tmp_path / "key").unlink()
    with pytest.raises(ConfigError, match=re.escape(f"{path}:4: [[models.fast]] #1 api_key_file = ***")):
        load(path, environ={})


def failure(path: Path) -> str:
    with pytest.raises(ConfigError) as raised:
        load(path, environ={})
    [problem] = raised.value.problems
    return problem


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    assert failure(path) == (f"{path}: no such file; `octoroute config -o {path}` writes one to begin with")


def test_a_file_that_is_a_folder(tmp_path: Path) -> None:
    assert failure(tmp_path) == f"{tmp_path}: can't be read: Is a directory"


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"# one\nname = '\xe4'\n")
    assert failure(path) == f"{path}: is not UTF-8 text (line 2)"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.touch(mode=0)
    assert failure(path) == f"{path}: can't be read: Permission denied"


def test_lines_are_left_out_where_they_are_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("octoroute.config.load.find_lines", lambda _: {})
    with pytest.raises(ConfigError) as raised:
        parse("[server]\nport = -1\n" + ENDPOINT, source="c.toml", base_dir=Path(), environ={})
    assert raised.value.problems == ("c.toml: [server] port = -1: must be a whole number from 0 to 65535",)


def test_a_secret_in_the_wrong_place_is_not_shown_where_it_looks_like_a_url() -> None:
    [problem] = problems(f'{ENDPOINT}[server]\nhost = "http://user:{SECRET}@host"\n')
    assert problem.startswith('5: [server] host = "http://***@host": ')

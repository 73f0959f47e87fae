"""Loading: from a TOML file to a valid `Config`, or to everything that is wrong with it at once.

The structs of `octoroute.config.model` are the schema: each value is converted by its field's type, on its own,
so that one bad value hides no other. What types can't express stands in `octoroute.config.validate`.
"""

from __future__ import annotations

import contextlib
import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path as File
from types import NoneType
from typing import Any, TypeGuard, cast, get_args

import msgspec
from msgspec import Struct, inspect, structs

from octoroute.config.lines import Path, find_line, find_lines
from octoroute.config.model import TIERS, Auth, Config, Endpoint, Secret
from octoroute.config.problems import Problem, bad_value, bare, closest, header, listed
from octoroute.config.validate import VALUES, Check, agreement, api_key
from octoroute.errors import ConfigError

_LARGEST = 1024 * 1024
"""Bytes that a file may have: a configuration, or keys."""

FILE_ONLY: Mapping[type[Struct], tuple[str, ...]] = {
    Endpoint: ("api_key_env", "api_key_file"),
    Auth: ("api_keys_env", "api_keys_file"),
}
"""Keys of the file that no struct has: they tell where secrets are to be read from."""


def load(path: File, *, environ: Mapping[str, str]) -> Config:
    """The configuration in the file at `path`; `environ` is where `api_key_env` looks.

    Reads the files that it names, so it blocks. Raises ConfigError with every problem found.
    """
    try:
        text = _read(path)
    except FileNotFoundError:
        raise ConfigError(
            [f"{path}: no such file; `octoroute config -o {path}` writes one to begin with"]
        ) from None
    except OSError as error:
        raise ConfigError([f"{path}: can't be read: {error.strerror}"]) from error
    except ValueError as error:
        raise ConfigError([f"{path}: {error}"]) from error
    return parse(text, source=str(path), base_dir=path.parent, environ=environ)


def parse(text: str, *, source: str, base_dir: File, environ: Mapping[str, str]) -> Config:
    """The configuration in `text`. `source` names it in messages; relative file names start at `base_dir`."""
    text = text.removeprefix("\ufeff")
    try:
        # The line break lets an error at the very end have a position.
        given = tomllib.loads(text + "\n")
    except (ValueError, RecursionError) as error:
        raise ConfigError([_syntax_problem(source, text, error)]) from None
    reader = _Reader()
    tables = reader.table(Config, given, ())
    problems = [
        *reader.problems,
        *_read_secrets(tables, base_dir, environ),
        *_find_tls_files(tables, base_dir),
        *agreement(tables),
    ]
    if problems:
        raise ConfigError(_located(problems, source, text))
    return msgspec.convert(tables, Config, dec_hook=_secret)


def _read(path: File) -> str:
    """A text file. Raises OSError, or a ValueError that says what is wrong with its content."""
    if "\0" in str(path):
        raise ValueError("has a NUL character in its name")
    with path.open("rb") as file:
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise ValueError("is larger than 1 MiB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"is not UTF-8 text (line {line})") from None


def _syntax_problem(source: str, text: str, error: Exception) -> str:
    """One line with line and column. The parser's own words show nothing of the text but single characters."""
    if isinstance(error, RecursionError):
        return f"{source}: not valid TOML: nested too deeply"
    found = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", str(error), re.DOTALL)
    if not found:  # Python's limit for the conversion of integers
        return f"{source}: not valid TOML: a number is too long"
    message, line, column = found.groups()
    if line is None:
        line, column = text.count("\n") + 1, len(text) - text.rfind("\n")
    if twice := re.fullmatch(r"Cannot declare (.*) twice", message):
        message = f"the table [{'.'.join(re.findall(_NAMES, twice[1]))}] stands above already"
    message = _PLAIN_WORDS.get(message, message)
    return f"{source}:{line}:{column}: not valid TOML: {message[0].lower()}{message[1:]}"


_NAMES = r"[\w-]+"
_PLAIN_WORDS = {
    "Cannot overwrite a value": "a key or table of that name stands above already",
    "Illegal character '\\n'": "a text in quotes must end on the line where it begins",
}


def _located(problems: Sequence[Problem], source: str, text: str) -> list[str]:
    """The problems as lines of text, in the order of the file, each once."""
    lines = find_lines(text)
    placed = sorted(
        [(find_line(lines, problem.path), problem.text) for problem in problems], key=lambda at: at[0] or 0
    )
    return list(
        dict.fromkeys(f"{source}:{line}: {what}" if line else f"{source}: {what}" for line, what in placed)
    )


class _Reader:
    """Converts tables by their structs, and notes what can't be converted in `problems`."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def table(self, struct: type[Struct], given: object, path: Path) -> dict[str, Any]:
        """What is valid in a table, converted; only what the file sets."""
        if not isinstance(given, dict):
            self._note(path, f"{header(path)} must be a table, with its keys in the lines below it")
            return {}
        fields = {field.name: field.type for field in structs.fields(struct)}
        fields |= dict.fromkeys(FILE_ONLY.get(struct, ()), str)
        valid: dict[str, Any] = {}
        for key, value in given.items():
            here = (*path, key)
            if key not in fields:
                self._note(here, _unknown(key, value, path, fields))
            elif here == ("models",):
                valid[key] = self._models(value)
            elif _is_struct(fields[key]):
                valid[key] = self.table(fields[key], value, here)
            else:
                self._value(valid, here, value, fields[key], VALUES.get((struct, key)))
        # A misspelt key is one problem, not two.
        meant = given.keys() | {closest(key, fields) for key in given.keys() - fields.keys()}
        for field in structs.fields(struct):
            if field.required and field.name not in meant and path:
                self._note(path, f"{header(path)}: `{field.name}` is missing")
        return valid

    def _models(self, given: object) -> dict[str, list[dict[str, Any]]]:
        """Each tier's endpoints, with all three tiers present."""
        models: dict[str, list[dict[str, Any]]] = {tier: [] for tier in TIERS}
        for tier, endpoints in given.items() if isinstance(given, dict) else ():
            path = ("models", tier)
            if tier not in models:
                meant = closest(tier, TIERS)
                hint = (
                    f"did you mean [[models.{meant}]]?" if meant else f"the tiers are {listed(TIERS, 'and')}"
                )
                self._note(path, f"unknown tier [[models.{bare(tier)}]]: {hint}")
            elif isinstance(endpoints, list):
                models[tier] = [self.table(Endpoint, each, (*path, at)) for at, each in enumerate(endpoints)]
            else:
                self._note(
                    path, f"[models.{tier}] needs double brackets: [[models.{tier}]], once for each endpoint"
                )
                models[tier] = [{}]  # lest it be said, too, that there is none
        return models

    def _value(
        self, valid: dict[str, Any], path: Path, value: object, type_: Any, check: Check | None
    ) -> None:
        """Put the value of the key at `path` into `valid`; of a list, its valid elements."""
        *table, key = path
        elements: Iterable[tuple[int | None, object]] = [(None, value)]
        is_list = isinstance(value, list) and isinstance(inspect.type_info(type_), inspect.VarTupleType)
        if is_list:
            elements, (type_, *_) = enumerate(cast("list[object]", value)), get_args(type_)
        converted = []
        for index, element in elements:
            try:
                converted.append(_converted(element, type_, check))
            except ValueError as error:
                self.problems.append(bad_value(tuple(table), str(key), element, str(error), index=index))
        if is_list:
            valid[str(key)] = converted
        elif converted:
            (valid[str(key)],) = converted

    def _note(self, path: Path, text: str) -> None:
        self.problems.append(Problem(path, text))


def _converted(value: object, type_: Any, check: Check | None) -> Any:
    """One value as its type and its check want it. Raises a ValueError that says what is allowed."""
    if check and isinstance(value, str):
        value = check(value)
    # A number beyond TOML's 64 bits is none; inf and nan compare so, too.
    if not isinstance(value, int | float) or -(2**63) <= value < 2**63:
        with contextlib.suppress(msgspec.ValidationError):
            return msgspec.convert(value, type_, dec_hook=_secret)
    raise ValueError(f"must be {_allowed(type_)}")


def _secret(_: type, value: object) -> Secret:
    """The hook of msgspec for the one type that it does not know."""
    if isinstance(value, str):
        return Secret(value)
    if isinstance(value, Secret):
        return value
    raise TypeError


def _allowed(type_: Any) -> str:
    """A type in natural words, to follow "must be"."""
    match inspect.type_info(type_):
        case inspect.UnionType():  # TOML has no null: only what remains can be written
            return listed([_allowed(each) for each in get_args(type_) if each is not NoneType])
        case inspect.LiteralType():
            return listed([f'"{value}"' for value in get_args(type_)])
        case inspect.BoolType():
            return "true or false, without quotes"
        case inspect.IntType() as number:
            return f"a whole number{_range(number)}"
        case inspect.FloatType() as number:
            return f"a number{_range(number)}"
        case inspect.VarTupleType():
            return 'a list of texts, such as ["one", "two"]'
        case _:
            return "a text in quotes"


def _range(type_: inspect.IntType | inspect.FloatType) -> str:
    match type_.ge, type_.gt, type_.le:
        case least, None, None if least is not None:
            return f" of at least {least:g}"
        case None, above, None if above is not None:
            return f" greater than {above:g}"
        case least, _, most if least is not None and most is not None:
            return f" from {least} to {most}"
        case None, above, most if above is not None and most is not None:
            return f" greater than {above:g} and at most {most}"
        case _:
            return ""


def _is_struct(type_: object) -> TypeGuard[type[Struct]]:
    return isinstance(type_, type) and issubclass(type_, Struct)


# Unknown names


def _unknown(key: str, value: object, path: Path, known: Collection[str]) -> str:
    """What to say of a name that its table does not have. Its value may be a secret: it is not shown."""
    if not path and isinstance(value, dict | list):
        return f"unknown table [{bare(key)}]: {_table_hint(key, known)}"
    place = f"in {header(path)}" if path else "at the top level"
    if path and (meant := closest(key, known)):
        hint = f"did you mean `{meant}`?"
    elif meant := closest(key, _HOMES):
        hint = f"did you mean `{meant}` in {_HOMES[meant]}?"
    else:
        hint = f"allowed are {listed(sorted(known), 'and')}"
    return f"unknown key `{bare(key)}` {place}: {hint}"


def _table_hint(key: str, known: Collection[str]) -> str:
    if tier := closest(key, TIERS):
        return f"did you mean [[models.{tier}]]?"
    if meant := closest(key, known):
        return f"did you mean [[models.{TIERS[0]}]]?" if meant == "models" else f"did you mean [{meant}]?"
    return f"allowed are {listed([f'[{name}]' for name in sorted(known)], 'and')}"


_HOMES: Mapping[str, str] = {
    key.name: "[[models.…]]" if table == "models" else header((table,))
    for table, struct in {
        **{field.name: field.type for field in structs.fields(Config) if _is_struct(field.type)},
        "models": Endpoint,
    }.items()
    for key in structs.fields(cast("type[Struct]", struct))
    if key.name not in TIERS
}
"""Where each key belongs."""


# What the file refers to


def _read_secrets(tables: dict[str, Any], base_dir: File, environ: Mapping[str, str]) -> Iterator[Problem]:
    """Replace `api_key_env`, `api_key_file` and the like by the keys that they refer to."""
    for tier, endpoints in tables.get("models", {}).items():
        for index, endpoint in enumerate(endpoints):
            path = ("models", tier, index)
            given = [key for key in ("api_key", *FILE_ONLY[Endpoint]) if key in endpoint]
            if len(given) > 1:
                yield Problem(
                    (*path, given[1]), f"{header(path)}: only one of {listed(given, 'and')} may be set"
                )
            for key in FILE_ONLY[Endpoint]:
                if key in endpoint:
                    reference = endpoint.pop(key)
                    try:
                        endpoint["api_key"] = _usable(_referred(key, reference, base_dir, environ))
                    except ValueError as error:
                        yield bad_value(path, key, reference, str(error))
    auth = tables.get("auth", {})
    for key in FILE_ONLY[Auth]:
        if key in auth:
            reference = auth.pop(key)
            try:
                text = _referred(key, reference, base_dir, environ)
                found = [_usable(part) for part in (_lines(text) if key.endswith("_file") else _parts(text))]
                if not found:
                    raise ValueError("holds no key")  # noqa: TRY301  # all that is wrong is told in one way
                auth["api_keys"] = list(dict.fromkeys([*auth.get("api_keys", []), *found]))
            except ValueError as error:
                yield bad_value(("auth",), key, reference, str(error))


def _lines(text: str) -> list[str]:
    """A key on each line; empty ones and those that begin with # are none."""
    return [line for line in map(str.strip, text.split("\n")) if line and not line.startswith("#")]


def _parts(text: str) -> list[str]:
    return [part for part in map(str.strip, text.split(",")) if part]


def _referred(key: str, reference: str, base_dir: File, environ: Mapping[str, str]) -> str:
    """The text that a key `…_env` or `…_file` refers to. Raises a ValueError that says why there is none."""
    if key.endswith("_file"):
        return _file_text(base_dir / reference, base_dir)
    if not environ.get(reference, "").strip():
        raise ValueError("must be the name of an environment variable that is set and not empty")
    return environ[reference]


def _usable(key: str) -> Secret:
    try:
        return Secret(api_key(key))
    except ValueError as error:
        raise ValueError(f"the key that it refers to {error}") from None


def _find_tls_files(tables: dict[str, Any], base_dir: File) -> Iterator[Problem]:
    """Replace the names of the TLS files by paths; they are read when the server starts."""
    server = tables.get("server", {})
    for key in ("tls_cert", "tls_key"):
        if key in server:
            path = base_dir / server[key]
            try:
                _file_text(path, base_dir)
            except ValueError as error:
                yield bad_value(("server",), key, server[key], str(error))
            server[key] = str(path)


def _file_text(path: File, base_dir: File) -> str:
    """A text file that the configuration names. Raises a ValueError that says why it can't be used."""
    try:
        return _read(path)
    except OSError as error:
        raise ValueError(
            f"the file can't be read: {error.strerror} (a relative name starts at {base_dir.absolute()})"
        ) from None
    except ValueError as error:
        raise ValueError(f"the file {error}") from None

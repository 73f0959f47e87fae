"""What `octoroute eval` reads: JSON lines, each a request with what every tier's answer was worth, or the right tier.

    {"prompt": "…", "scores": {"fast": 0, "balanced": 1, "deep": 1}}
    {"messages": [{"role": "user", "content": "…"}], "importance": "high", "tier": "deep"}

`importance` and `task_type` are what a client would send beside the request; `scores` are numbers from 0 to a billion, larger
is better, on the same scale in the whole file; other fields are not read. A file may be compressed with gzip.
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from octoroute.config.model import TIERS, Importance, Tier
from octoroute.errors import InvalidRequest
from octoroute.openai.request import (
    ChatRequest,
    Metadata,
    TaskType,
    metadata_value,
    parse,
    without_surrogates,
)

MOST_PROBLEMS = 20
"""So many bad rows are named; of the others, only their number is."""

_MOST = 1e9
"""No score is larger: sums of them stay exact enough."""
_GZIP = b"\x1f\x8b"


class DatasetError(Exception):
    """The file can't be evaluated; the message has a line for each problem."""


class Row(NamedTuple):
    """One request, and how its routing is judged: by `scores`, by the `expected` tier, or both."""

    request: ChatRequest
    metadata: Metadata
    scores: dict[Tier, float] | None
    """Has fast and deep at least."""
    expected: Tier | None


class _Line(msgspec.Struct):
    """A line before any judgement of it."""

    prompt: Any = None
    messages: msgspec.Raw = msgspec.Raw(b"null")
    importance: Any = None
    task_type: Any = None
    scores: Any = None
    tier: Any = None


_decoder = msgspec.json.Decoder(_Line)


def read(path: Path) -> list[Row]:
    """Every row of a file.

    Raises:
        DatasetError: it can't be read, has no rows, or rows of it are bad; each is named by file, line and field.
    """
    rows: list[Row] = []
    problems: list[str] = []
    try:
        for number, line in _lines(path):
            try:
                rows.append(_row(line))
            except (InvalidRequest, ValueError) as error:
                message = error.message if isinstance(error, InvalidRequest) else str(error)
                problems.append(f"{path}:{number}: {message}")
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetError(f"{path}: can't be read: {error}.") from None
    if problems:
        further = len(problems) - MOST_PROBLEMS
        told = problems[:MOST_PROBLEMS] + ([f"{path}: and {further} more bad rows."] if further > 0 else [])
        raise DatasetError("\n".join(told))
    if not rows:
        raise DatasetError(f"{path}: has no rows.")
    return rows


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        compressed = file.read(len(_GZIP)) == _GZIP
    with gzip.open(path) if compressed else path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield number, line


def _row(line: bytes) -> Row:
    """Raises a ValueError, or an InvalidRequest, that names the field."""
    read = _decoded(line)
    return Row(_request(read), _metadata(read), _scores(read), _expected(read))


def _decoded(line: bytes) -> _Line:
    try:
        try:
            return _decoder.decode(line)
        except msgspec.DecodeError:
            return _decoder.decode(without_surrogates(line))
    except msgspec.ValidationError:
        raise ValueError("must be a JSON object.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = str(error).removeprefix("JSON is malformed: ")
        raise ValueError(f"is not valid JSON: {reason}.") from None


def _request(read: _Line) -> ChatRequest:
    messages = bytes(read.messages)
    if (read.prompt is None) == (messages == b"null"):
        raise ValueError("must have either `prompt` or `messages`.")
    if read.prompt is None:
        return parse(b'{"messages":' + messages + b"}")
    if not isinstance(read.prompt, str):
        raise ValueError("prompt: must be a string.")  # noqa: TRY004  # of the file, not of a caller
    return parse(msgspec.json.encode({"messages": [{"role": "user", "content": read.prompt}]}))


def _metadata(read: _Line) -> Metadata:
    return Metadata(
        metadata_value("importance", read.importance, Importance),
        metadata_value("task_type", read.task_type, TaskType),
    )


def _scores(read: _Line) -> dict[Tier, float] | None:
    given = read.scores
    if given is None:
        if read.tier is None:
            raise ValueError("must have `scores`, or `tier`, the expected one.")
        return None
    if not isinstance(given, dict):
        raise ValueError("scores: must be an object with a number for each tier.")  # noqa: TRY004  # as above
    for tier, value in given.items():
        if tier not in TIERS:
            raise ValueError(f'scores: "{tier[:40]}" is no tier; they are {", ".join(TIERS)}.')
        # true is an int to Python; an endless int has no float
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (number and 0 <= value <= _MOST and math.isfinite(value)):
            raise ValueError(f"scores.{tier}: must be a number from 0 to a billion.")
    for tier in ("fast", "deep"):
        if tier not in given:
            raise ValueError(f"scores.{tier}: is required (only balanced may be absent).")
    return {tier: float(given[tier]) for tier in TIERS if tier in given}


def _expected(read: _Line) -> Tier | None:
    expected: Tier | None = metadata_value("tier", read.tier, Tier)
    return expected

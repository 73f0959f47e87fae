"""What a data set may look like, and how its problems are told."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from octoroute.evaluation.dataset import MOST_PROBLEMS, DatasetError, Row, read
from octoroute.openai.request import Metadata

SCORES = {"fast": 0, "balanced": 0.5, "deep": 1}


def written(folder: Path, *rows: object) -> Path:
    path = folder / "data.jsonl"
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def one(folder: Path, **row: Any) -> Row:
    (found,) = read(written(folder, row))
    return found


def problem(folder: Path, row: object) -> str:
    path = written(folder, {"prompt": "fine", "scores": SCORES}, row)
    with pytest.raises(DatasetError) as caught:
        read(path)
    told = str(caught.value)
    assert told.startswith(f"{path}:2: ")
    assert "SECRET" not in told
    return told.removeprefix(f"{path}:2: ")


def test_a_prompt_with_scores(tmp_path: Path) -> None:
    row = one(tmp_path, prompt="Hello", scores=SCORES, id="x", subset="y")
    assert [(message.role, message.text()) for message in row.request.messages] == [("user", "Hello")]
    assert row.request.model == "auto"
    assert row.scores == SCORES
    assert row.expected is None
    assert row.metadata == Metadata()


def test_messages_with_everything(tmp_path: Path) -> None:
    row = one(
        tmp_path,
        messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
        importance="HIGH",
        task_type="code",
        tier="Deep",
        scores={"fast": 1, "deep": 2},
    )
    assert len(row.request.messages) == 2
    assert row.metadata == Metadata("high", "code")
    assert row.scores == {"fast": 1, "deep": 2}
    assert row.expected == "deep"


def test_gzip_and_blank_lines_whatever_the_name_is(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    line = json.dumps({"prompt": "Hello", "tier": "fast"}).encode()
    path.write_bytes(gzip.compress(b"\n" + line + b"\n\n" + line))
    assert len(read(path)) == 2


def test_half_an_emoji_is_read(tmp_path: Path) -> None:
    (row,) = read(written(tmp_path, '{"prompt": "cut \\ud83d", "tier": "fast"}'))
    assert row.request.messages[0].text() == "cut \ufffd"


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("{", "is not valid JSON"),
        ('{"prompt": "SECRET"', "is not valid JSON"),
        ("7", "must be a JSON object"),
        ({"tier": "fast"}, "must have either `prompt` or `messages`"),
        ({"prompt": "SECRET", "messages": [], "tier": "fast"}, "must have either"),
        ({"prompt": ["SECRET"], "tier": "fast"}, "prompt: must be a string"),
        ({"messages": [], "tier": "fast"}, "messages: must have at least one message"),
        ({"messages": [{"content": "SECRET"}], "tier": "fast"}, "messages[0].role: is required"),
        ({"prompt": "SECRET"}, "must have `scores`, or `tier`"),
        ({"prompt": "SECRET", "tier": "huge"}, "tier: must be one of fast, balanced, deep"),
        (
            {"prompt": "SECRET", "tier": "fast", "importance": "some"},
            "importance: must be one of low, normal, high",
        ),
        ({"prompt": "SECRET", "tier": "fast", "task_type": 7}, "task_type: must be one of"),
        ({"prompt": "SECRET", "scores": 1}, "scores: must be an object"),
        ({"prompt": "SECRET", "scores": {"fast": 1}}, "scores.deep: is required"),
        ({"prompt": "SECRET", "scores": {"deep": 1}}, "scores.fast: is required"),
        ({"prompt": "SECRET", "scores": {**SCORES, "huge": 1}}, '"huge" is no tier'),
        ({"prompt": "SECRET", "scores": {**SCORES, "fast": "1"}}, "scores.fast: must be a number"),
        ({"prompt": "SECRET", "scores": {**SCORES, "fast": True}}, "scores.fast: must be a number"),
        ({"prompt": "SECRET", "scores": {**SCORES, "deep": -1}}, "scores.deep: must be a number from 0"),
        ('{"prompt": "SECRET", "scores": {"fast": 1e999, "deep": 1}}', "JSON"),
        ({"prompt": "SECRET", "scores": {**SCORES, "deep": 10**400}}, ""),
        ('{"prompt": ' + "[" * 100_000, "JSON"),
    ],
)
def test_a_bad_row_is_told_by_file_line_and_field(tmp_path: Path, row: object, expected: str) -> None:
    assert expected in problem(tmp_path, row)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_bytes(b'{"prompt": "\xff", "tier": "fast"}\n')
    with pytest.raises(DatasetError, match=r"data\.jsonl:1: is not valid JSON"):
        read(path)


def test_all_bad_rows_are_told_at_once_up_to_a_limit(tmp_path: Path) -> None:
    path = written(tmp_path, *[{"prompt": "x"}] * (MOST_PROBLEMS + 5))
    with pytest.raises(DatasetError) as caught:
        read(path)
    lines = str(caught.value).splitlines()
    assert len(lines) == MOST_PROBLEMS + 1
    assert lines[-1] == f"{path}: and 5 more bad rows."


@pytest.mark.parametrize("content", [b"", b"\n\n"])
def test_an_empty_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "data.jsonl"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match="has no rows"):
        read(path)


@pytest.mark.parametrize("content", [gzip.compress(b"{}\n" * 9999)[:-9], b"\x1f\x8bnonsense"])
def test_a_broken_archive(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "data.jsonl.gz"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match="can't be read"):
        read(path)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="can't be read"):
        read(tmp_path / "absent")

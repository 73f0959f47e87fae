"""`octoroute --self-test`, and what `--version` tells."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from octoroute import cli

ROOT = Path(__file__).parent.parent.parent


def self_test(cwd: Path, fault: str = "") -> subprocess.CompletedProcess[str]:
    """Run it in a process of its own, with a fault put in before."""
    code = f"from octoroute import cli, simulation\nfrom octoroute.cli import self_test\n{fault}\ncli.main(['--self-test'])"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OCTOROUTE_")}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env={**kept, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_it_passes_without_a_file_and_says_what_it_saw(tmp_path: Path) -> None:
    done = self_test(tmp_path, "self_test.LIMIT_SECONDS = 50")
    assert (done.returncode, done.stderr) == (0, "")
    for expected in (
        r"http://127\.0\.0\.1:\d+ is ready",
        r"GET /health/ready answers",
        r"A streamed request was answered by simulated-fast",
        r"A buffered request was answered by simulated-fast",
        r"GET /metrics answers",
        r"The self-test passed\.$",
    ):
        assert re.search(expected, done.stdout, re.MULTILINE), expected
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("simulation.Completion.stream = None", "the streamed request was answered 502: "),
        ("simulation._made_up = lambda tier, words: 'Who knows'", "the stream said 'Who knows'"),
        ("simulation.Completion.whole = lambda self: {'choices': []}", "The self-test crashed"),
        ("self_test.LIMIT_SECONDS = 0.2", "it did not end within 0.2 s"),
    ],
)
def test_a_fault_is_found_and_told_in_one_paragraph(tmp_path: Path, fault: str, expected: str) -> None:
    done = self_test(tmp_path, fault)
    assert done.returncode == 1
    assert "passed" not in done.stdout
    told = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert told[-1].startswith("The self-test ")
    assert expected in told[-1]
    assert "Traceback" not in "\n".join(told)


def test_the_version_names_the_commit_of_a_binary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "commit" not in cli.about()
    (tmp_path / "commit").write_text("0123456789ab\n")
    monkeypatch.setattr("importlib.resources.files", lambda _: tmp_path)
    assert cli.about().startswith("commit 0123456789ab, Python 3.")

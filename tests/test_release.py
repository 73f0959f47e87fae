"""A release: its tag, its version and its changelog agree, and what GitHub's workflows call exists."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

CHANGELOG = """# Changelog

## Unreleased

- Later.

## 0.2.0 (2027-01-31)

The second version.

### Added

- A thing.

## 0.1.0 (2026-12-01)

The first version.

## 0.0.1 (2026-11-01)
"""


def release_notes(folder: Path, version: str, tag: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of the script, in a project of that version with CHANGELOG above."""
    (folder / "packaging").mkdir()
    script = shutil.copy(ROOT / "packaging" / "release_notes.py", folder / "packaging")
    (folder / "pyproject.toml").write_text(f'[project]\nname = "octoroute"\nversion = "{version}"\n')
    (folder / "CHANGELOG.md").write_text(CHANGELOG)
    done = subprocess.run(
        [sys.executable, script, tag], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("0.2.0", "The second version.\n\n### Added\n\n- A thing.\n"),
        ("0.1.0", "The first version.\n"),
    ],
)
def test_the_notes_are_the_section_of_the_version(tmp_path: Path, version: str, expected: str) -> None:
    assert release_notes(tmp_path, version, f"v{version}") == (0, expected, "")


@pytest.mark.parametrize(
    ("version", "tag", "problem"),
    [
        ("0.2.0", "v0.1.0", "The tag is v0.1.0, but pyproject.toml has version 0.2.0"),
        ("0.2.0", "0.2.0", "expected the tag v0.2.0"),
        ("0.3.0", "v0.3.0", "CHANGELOG.md has no section for it: expected a heading like `## 0.3.0 ("),
        ("0.2", "v0.2", "no section"),
        ("0.0.1", "v0.0.1", "says nothing under 0.0.1"),
    ],
)
def test_a_tag_that_does_not_fit_is_refused(tmp_path: Path, version: str, tag: str, problem: str) -> None:
    code, notes, message = release_notes(tmp_path, version, tag)
    assert (code, notes) == (1, "")
    assert problem in message


@pytest.mark.parametrize("workflow", ["ci.yml", "release.yml"])
def test_what_the_workflows_call_exists(workflow: str) -> None:
    text = (ROOT / ".github" / "workflows" / workflow).read_text(encoding="utf-8")
    scripts = set(re.findall(r"\bpackaging/[\w./-]+", text))
    assert [script for script in scripts if not (ROOT / script).is_file()] == []
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("$(VENV)", ".venv")
    targets = set(re.findall(r"\bmake (\S+)", text))
    assert [name for name in targets if not re.search(rf"^{re.escape(name)}:", makefile, re.MULTILINE)] == []
    justfile = (ROOT / "justfile").read_text(encoding="utf-8")
    recipes = {name for line in re.findall(r"\bjust (.+)", text) for name in line.split()}
    assert [name for name in recipes if not re.search(rf"^{name}[ :]", justfile, re.MULTILINE)] == []

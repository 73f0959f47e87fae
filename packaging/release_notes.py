"""What a tag is to release: `release_notes.py v0.2.0` prints its section of CHANGELOG.md, or says why there is none.

The tag has to be the version of pyproject.toml, and the changelog has to have a dated section for it.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def notes(tag: str, version: str, changelog: str) -> str:
    """The section of the tag's version, without its heading; exits with a message where the three don't agree."""
    if tag != f"v{version}":
        sys.exit(f"The tag is {tag}, but pyproject.toml has version {version}: expected the tag v{version}.")
    heading = rf"^## {re.escape(version)} \(\d{{4}}-\d\d-\d\d\)\n"
    found = re.search(rf"{heading}(.*?)(?=^## |\Z)", changelog, re.DOTALL | re.MULTILINE)
    if found is None:
        sys.exit(f"CHANGELOG.md has no section for it: expected a heading like `## {version} (2026-01-31)`.")
    if not found[1].strip():
        sys.exit(f"CHANGELOG.md says nothing under {version}.")
    return found[1].strip()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Usage: release_notes.py TAG")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    print(notes(sys.argv[1], project["version"], (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")))

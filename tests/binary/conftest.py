"""A binary that was built: by default this machine's, where packaging/build.sh puts it.

`$OCTOROUTE_BINARIES` is another folder with binaries, of any processor that this machine can run. `$OCTOROUTE_ROOT` is the
root of another system, such as packaging/debian-root.sh makes: the binaries are copied there and run in it, by chroot,
with this machine's network. That takes root.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

DEFAULT = Path(__file__).parent.parent.parent / "dist" / f"linux-{platform.machine()}"
BINARIES = Path(os.environ.get("OCTOROUTE_BINARIES") or DEFAULT).resolve()
ROOT = Path(os.environ["OCTOROUTE_ROOT"]).resolve() if "OCTOROUTE_ROOT" in os.environ else None
SECONDS = 120
"""The bound of one command: an emulated processor takes its time."""


class Binary:
    """One of the two kinds. `command` runs it, in `folder`, which in another root is called `inside`."""

    def __init__(self, installed: Path, folder: Path) -> None:
        self.folder = folder
        self.inside = folder if ROOT is None else Path("/", folder.relative_to(ROOT))
        self.path = installed
        chroot = [] if ROOT is None else ["chroot", str(ROOT)]
        self.command = [*chroot, str(installed if ROOT is None else Path("/", installed.relative_to(ROOT)))]

    def run(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OCTOROUTE_")}
        command = [*self.command, *arguments]
        return subprocess.run(
            command,
            cwd=self.folder,
            env={**kept, **env},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def configure(self, text: str) -> str:
        """Write a configuration; its name where the binary runs."""
        (self.folder / "config.toml").write_text(text)
        return str(self.inside / "config.toml")


@pytest.fixture(scope="session")
def installed() -> Iterator[Path]:
    """The folder with the binaries, in the root where they run."""
    if not (BINARIES / "octoroute").exists():
        pytest.fail(f"there is no binary in {BINARIES}: packaging/build.sh builds one")
    if ROOT is None:
        yield BINARIES
        return
    copied = Path(tempfile.mkdtemp(prefix="binaries-", dir=ROOT / "opt"))
    try:
        yield shutil.copytree(BINARIES, copied, dirs_exist_ok=True)
    finally:
        shutil.rmtree(copied)


@pytest.fixture(params=["octoroute", "octoroute-folder/octoroute"], ids=["one-file", "folder"])
def binary(request: pytest.FixtureRequest, installed: Path) -> Iterator[Binary]:
    """Each kind, with an empty folder to work in."""
    with tempfile.TemporaryDirectory(dir=None if ROOT is None else ROOT / "tmp") as folder:
        yield Binary(installed / request.param, Path(folder))

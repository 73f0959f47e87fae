"""packaging/homebrew/formula.sh: the formula of a release, from its checksums."""

from __future__ import annotations

import subprocess
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "packaging" / "homebrew" / "formula.sh"
PLATFORMS = ("linux-aarch64", "linux-x86_64", "macos-aarch64", "macos-x86_64")


def formula(tmp_path: Path, *platforms: str) -> subprocess.CompletedProcess[str]:
    lines = [
        f"{number:064x}  octoroute-1.2.3-{name}.tar.gz\n" for number, name in enumerate(platforms, start=10)
    ]
    (tmp_path / "SHA256SUMS").write_text(f"{0:064x}  octoroute_1.2.3_amd64.deb\n" + "".join(lines))
    command = [str(SCRIPT), str(tmp_path / "SHA256SUMS")]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_each_platform_has_its_archive_and_its_checksum(tmp_path: Path) -> None:
    result = formula(tmp_path, *PLATFORMS)
    assert result.returncode == 0, result.stderr
    lines = [line.strip() for line in result.stdout.splitlines()]
    for number, platform in enumerate(PLATFORMS, start=10):
        (at,) = (
            i for i, line in enumerate(lines) if line.endswith(f'/v1.2.3/octoroute-1.2.3-{platform}.tar.gz"')
        )
        assert lines[at + 1] == f'sha256 "{number:064x}"'
    assert "@" not in result.stdout
    assert 'version "1.2.3"' in lines


def test_a_missing_archive_is_named(tmp_path: Path) -> None:
    result = formula(tmp_path, *PLATFORMS[1:])
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.endswith("has no octoroute archive for linux-aarch64\n")

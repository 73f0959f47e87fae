"""The systemd unit: what systemd itself says of it, and that its numbers fit the daemon's."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from octoroute.cli.options import EXIT_INVALID
from octoroute.config.model import Server
from octoroute.daemon import HARD_STOP_MARGIN_SECONDS
from octoroute.systemd import STATUS_SECONDS

UNIT = Path(__file__).parents[2] / "systemd" / "octoroute.service"
EXPOSURE = 20
"""In tenths: systemd-analyze calls up to 2.0 "OK"."""

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")


def setting(name: str) -> str:
    (value,) = re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE)
    return str(value)


def test_a_configuration_that_can_not_be_used_is_not_tried_again() -> None:
    assert setting("RestartPreventExitStatus") == str(EXIT_INVALID)


def test_systemd_is_more_patient_than_the_daemon() -> None:
    assert int(setting("TimeoutStopSec")) > Server().drain_timeout_seconds + HARD_STOP_MARGIN_SECONDS
    assert int(setting("WatchdogSec")) > STATUS_SECONDS


@needs_systemd
def test_it_is_as_closed_as_it_can_be(tmp_path: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--no-pager", "--offline=yes", f"--threshold={EXPOSURE}", UNIT],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stdout + done.stderr

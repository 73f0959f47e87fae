"""packaging/install.sh, against a release on a server of this machine."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "packaging" / "install.sh"
PLATFORMS = ("linux-x86_64", "linux-aarch64", "macos-x86_64", "macos-aarch64")
TOOLS = "cat chmod cp cut getconf grep gzip head id mkdir mktemp mv printf rm sed sh sha256sum sort sysctl tar uname"
PROGRAM = '#!/bin/sh\necho "octoroute 1.2.3 ({platform})"\n'

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is what it downloads with")


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Tests read the output of the script."""


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """The files of release 1.2.3; `served` has them at their addresses."""
    files = tmp_path / "releases" / "download" / "v1.2.3"
    files.mkdir(parents=True)
    sums = []
    for platform in PLATFORMS:
        name = f"octoroute-1.2.3-{platform}"
        top = tmp_path / name
        (top / "share" / "man" / "man1").mkdir(parents=True)
        (top / "share" / "man" / "man1" / "octoroute.1").write_text(".TH OCTOROUTE 1\n")
        (top / "octoroute").write_text(PROGRAM.format(platform=platform))
        (top / "octoroute").chmod(0o755)
        with tarfile.open(files / f"{name}.tar.gz", "w:gz") as archive:
            archive.add(top, name)
        digest = hashlib.sha256((files / f"{name}.tar.gz").read_bytes()).hexdigest()
        sums.append(f"{digest}  {name}.tar.gz\n")
    (files / "SHA256SUMS").write_text("".join(sums))
    latest = tmp_path / "releases" / "latest"
    latest.mkdir()
    (latest / "download").symlink_to(files)
    return files


@pytest.fixture
def served(release: Path) -> Iterator[str]:
    """The address of the releases."""
    handler = partial(_Silent, directory=str(release.parents[1]))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """All that is on the PATH; tests put their own in place of some."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for tool in [*TOOLS.split(), "curl"]:
        found = shutil.which(tool)
        if found is not None:
            (folder / tool).symlink_to(found)
    replace(folder, "getconf", 'case $1 in LONG_BIT) echo 64 ;; *) echo "glibc 2.36" ;; esac')
    pretend(folder, "Linux", "x86_64")
    return folder


def replace(tools: Path, name: str, script: str) -> None:
    (tools / name).unlink(missing_ok=True)
    (tools / name).write_text(f"#!/bin/sh\n{script}\n")
    (tools / name).chmod(0o755)


def pretend(tools: Path, system: str, machine: str) -> None:
    """As if the machine were another one."""
    replace(tools, "uname", f"case $1 in -s) echo {system} ;; *) echo {machine} ;; esac")


def install(
    tools: Path, served: str, prefix: Path, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(SCRIPT)],
        env={
            "PATH": str(tools),
            "HOME": str(prefix.parent),
            "OCTOROUTE_RELEASES": served,
            "OCTOROUTE_PREFIX": str(prefix),
            **(environ or {}),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def installed(prefix: Path) -> list[str]:
    return sorted(str(path.relative_to(prefix)) for path in prefix.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("machine", "platform"),
    [
        (("Linux", "x86_64"), "linux-x86_64"),
        (("Linux", "aarch64"), "linux-aarch64"),
        (("Darwin", "x86_64"), "macos-x86_64"),
        (("Darwin", "arm64"), "macos-aarch64"),
    ],
)
def test_the_latest_release_is_installed(
    tools: Path, served: str, tmp_path: Path, machine: tuple[str, str], platform: str
) -> None:
    pretend(tools, *machine)
    replace(tools, "sysctl", "exit 1")
    result = install(tools, served, tmp_path / "prefix")
    assert result.returncode == 0, result.stderr
    assert installed(tmp_path / "prefix") == ["bin/octoroute", "share/man/man1/octoroute.1"]
    assert f"Installed octoroute 1.2.3 ({platform})" in result.stdout
    assert str(tmp_path / "prefix/bin/octoroute") in result.stdout
    assert "is not on your PATH" in result.stdout


def test_an_apple_processor_under_rosetta(tools: Path, served: str, tmp_path: Path) -> None:
    pretend(tools, "Darwin", "x86_64")
    replace(tools, "sysctl", "echo 1")
    assert "1.2.3 (macos-aarch64)" in install(tools, served, tmp_path / "prefix").stdout


def test_a_version_that_is_named_with_wget_and_shasum(tools: Path, served: str, tmp_path: Path) -> None:
    wget = shutil.which("wget")
    shasum = shutil.which("shasum")
    if wget is None or shasum is None:
        pytest.skip("wget or shasum is not on this machine")
    for gone in ("curl", "sha256sum"):
        (tools / gone).unlink()
    (tools / "wget").symlink_to(wget)
    (tools / "perl").symlink_to(os.path.realpath(shutil.which("perl") or "/usr/bin/perl"))
    replace(tools, "shasum", f'exec {shasum} "$@"')
    result = install(tools, served, tmp_path / "prefix", {"OCTOROUTE_VERSION": "v1.2.3"})
    assert result.returncode == 0, result.stderr
    assert "1.2.3 (linux-x86_64)" in result.stdout


def test_an_installed_one_is_replaced_while_it_runs(tools: Path, served: str, tmp_path: Path) -> None:
    program = tmp_path / "prefix" / "bin" / "octoroute"
    program.parent.mkdir(parents=True)
    shutil.copy("/bin/sleep", program)
    with subprocess.Popen([program, "60"]) as running:
        assert install(tools, served, tmp_path / "prefix").returncode == 0
        assert running.poll() is None
        running.kill()
    assert "1.2.3" in program.read_text()


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        (("Linux", "armv7l"), "there is no binary for Linux on armv7l"),
        (("FreeBSD", "amd64"), "there is no binary for FreeBSD"),
    ],
)
def test_a_platform_without_a_binary(
    tools: Path, served: str, tmp_path: Path, machine: tuple[str, str], words: str
) -> None:
    pretend(tools, *machine)
    refused(install(tools, served, tmp_path / "prefix"), tmp_path, words, "pipx")


@pytest.mark.parametrize(
    ("getconf", "words"),
    [
        (
            'case $1 in LONG_BIT) echo 64 ;; *) echo "glibc 2.31" ;; esac',
            "glibc 2.31; 2.36 or newer is needed",
        ),
        ('case $1 in LONG_BIT) echo 64 ;; *) echo "glibc 2.9" ;; esac', "glibc 2.9; 2.36 or newer is needed"),
        ("case $1 in LONG_BIT) echo 64 ;; *) exit 1 ;; esac", "not glibc"),
        ("echo 32", "32-bit"),
    ],
)
def test_a_c_library_that_it_does_not_run_with(
    tools: Path, served: str, tmp_path: Path, getconf: str, words: str
) -> None:
    replace(tools, "getconf", getconf)
    refused(install(tools, served, tmp_path / "prefix"), tmp_path, words, "pipx and Docker")


def test_a_newer_c_library_will_do(tools: Path, served: str, tmp_path: Path) -> None:
    replace(tools, "getconf", 'case $1 in LONG_BIT) echo 64 ;; *) echo "glibc 2.100" ;; esac')
    assert install(tools, served, tmp_path / "prefix").returncode == 0


def test_an_archive_that_was_changed(tools: Path, served: str, release: Path, tmp_path: Path) -> None:
    archive = release / "octoroute-1.2.3-linux-x86_64.tar.gz"
    archive.write_bytes(archive.read_bytes() + b"\0")
    refused(
        install(tools, served, tmp_path / "prefix"), tmp_path, "the checksum of octoroute-1.2.3-linux-x86_64"
    )


def test_a_release_without_the_archive(tools: Path, served: str, release: Path, tmp_path: Path) -> None:
    (release / "SHA256SUMS").write_text("0" * 64 + "  octoroute-1.2.3-macos-x86_64.tar.gz\n")
    refused(install(tools, served, tmp_path / "prefix"), tmp_path, "no archive for linux-x86_64")


def test_a_version_that_does_not_exist(tools: Path, served: str, tmp_path: Path) -> None:
    result = install(tools, served, tmp_path / "prefix", {"OCTOROUTE_VERSION": "9.9.9"})
    refused(result, tmp_path, "v9.9.9/SHA256SUMS could not be downloaded")


def test_a_program_that_does_not_start(tools: Path, served: str, release: Path, tmp_path: Path) -> None:
    name = "octoroute-1.2.3-linux-x86_64"
    (tmp_path / name / "octoroute").write_text("#!/bin/sh\nexit 1\n")
    with tarfile.open(release / f"{name}.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / name, name)
    digest = hashlib.sha256((release / f"{name}.tar.gz").read_bytes()).hexdigest()
    (release / "SHA256SUMS").write_text(f"{digest}  {name}.tar.gz\n")
    refused(install(tools, served, tmp_path / "prefix"), tmp_path, "the program does not start here")


def test_nothing_to_download_with(tools: Path, served: str, tmp_path: Path) -> None:
    (tools / "curl").unlink()
    refused(install(tools, served, tmp_path / "prefix"), tmp_path, "neither curl nor wget")


def test_a_directory_that_can_not_be_made(tools: Path, served: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = install(tools, served, tmp_path / "file" / "prefix")
    refused(result, tmp_path, "can't be written to", "OCTOROUTE_PREFIX")


def refused(result: subprocess.CompletedProcess[str], tmp_path: Path, *words: str) -> None:
    """It said so, in one line, and left nothing behind."""
    assert result.returncode == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith("octoroute was not installed: ")
    for word in words:
        assert word in last
    assert installed(tmp_path / "prefix") == []

"""The admin socket: commands for a running daemon, from its owner (or root) on this machine only.

A Unix socket named after the daemon's port, `<directory>/3000.sock`. A client sends one JSON object in one line and
gets one back:

    {"command": "drain", "endpoint": "qwen-8b"}  ->  {"answer": "changed", "endpoints": […]}
"""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import trio
from msgspec import Struct

from octoroute.errors import AdminError
from octoroute.fleet.endpoint import EndpointReport
from octoroute.telemetry.logs import get_logger

log = get_logger("octoroute.admin")

MAX_LINE = 1024 * 1024
REQUEST_SECONDS = 10.0
"""How long a client may take to say what it wants."""
SYSTEM_DIRECTORY = Path("/run/octoroute")
"""Where the systemd service has its socket, and a daemon that root starts."""


# What is asked


class ReportStatus(Struct, frozen=True, tag_field="command", tag="status"):
    """Tell how the daemon is, and what it does."""


class Reload(Struct, frozen=True, tag_field="command", tag="reload"):
    """Read the configuration file again; answered once it is in effect, or was refused."""


class Drain(Struct, frozen=True, tag_field="command", tag="drain"):
    """No new requests to the endpoints of this id or name."""

    endpoint: str


class Enable(Struct, frozen=True, tag_field="command", tag="enable"):
    """New requests to them again."""

    endpoint: str


Command = ReportStatus | Reload | Drain | Enable


# What is answered


class Status(Struct, frozen=True, tag_field="answer", tag="status"):
    """The daemon as it is now."""

    version: str
    pid: int
    url: str
    uptime_seconds: float
    draining: bool
    strategy: str
    running: int
    waiting: int
    endpoints: list[EndpointReport]


class Reloaded(Struct, frozen=True, tag_field="answer", tag="reloaded"):
    """The new configuration is in effect; `needs_restart` are changed keys that are not."""

    changes: list[str]
    needs_restart: list[str]


class Changed(Struct, frozen=True, tag_field="answer", tag="changed"):
    """The endpoints that the command was about, as they are now."""

    endpoints: list[EndpointReport]


class Refused(Struct, frozen=True, tag_field="answer", tag="refused"):
    """Nothing was changed, and why not."""

    problems: list[str]


Answer = Status | Reloaded | Changed | Refused

_command = msgspec.json.Decoder(Command)
_answer: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer)


# Where it is


def own_directory(environ: Mapping[str, str]) -> Path:
    """Where a daemon of ours puts its socket: what systemd gives the service, else the user's own place."""
    given = environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    if given:
        return Path(given)
    if os.getuid() == 0:
        return SYSTEM_DIRECTORY
    if environ.get("XDG_RUNTIME_DIR"):
        return Path(environ["XDG_RUNTIME_DIR"]) / "octoroute"
    return Path(tempfile.gettempdir()) / f"octoroute-{os.getuid()}"


def find_socket(environ: Mapping[str, str]) -> Path:
    """The socket of the one daemon that runs here.

    Raises:
        AdminError: there is none, or there are several.
    """
    directories = dict.fromkeys([own_directory(environ), SYSTEM_DIRECTORY])
    found: list[Path] = []
    closed: list[Path] = []
    for directory in directories:
        try:
            sockets = sorted(path for path in directory.iterdir() if path.suffix == ".sock")
        except PermissionError:
            closed.append(directory)
            continue
        except OSError:
            continue
        found += [path for path in sockets if _somebody_listens(path)]
    if len(found) == 1:
        return found[0]
    if found:
        raise AdminError(
            f"Several daemons run here; name one's socket with --socket: {', '.join(map(str, found))}."
        )
    places = " and ".join(map(str, directories))
    hint = f" {closed[0]} is another user's: try it as root, or as that user." if closed else ""
    raise AdminError(f"No running daemon was found (looked for its socket in {places}).{hint}")


def _somebody_listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probing:
        try:
            probing.connect(str(path))
        except PermissionError:
            return True  # asking it will say so
        except OSError:  # left behind by one that was killed
            return False
    return True


# The daemon's side


@contextmanager
def listening(directory: Path, port: int) -> Iterator[trio.SocketListener | None]:
    """The daemon's socket, for its owner only; None, with a warning, where it can't be made."""
    path = directory / f"{port}.sock"
    listener: trio.SocketListener | None = None
    try:
        _make_private(directory)
        listener = _listener(path)
    except (OSError, AdminError) as error:
        log.warning(
            "no admin socket: octoroute status, reload, drain and enable won't work", error=str(error)
        )
    try:
        yield listener
    finally:
        if listener is not None:
            listener.socket.close()
            path.unlink(missing_ok=True)


def _make_private(directory: Path) -> None:
    """Make the directory; one that is there already must be ours, lest another user puts sockets into it."""
    directory.mkdir(mode=0o700, exist_ok=True)
    found = directory.lstat()
    others_write = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or others_write:
        raise AdminError(f"{directory} is not a directory that only this user writes to")


def _listener(path: Path) -> trio.SocketListener:
    if path.is_socket():
        # The port is ours, so this was left by one that was killed; or another has the same port at another address.
        if _somebody_listens(path):
            raise AdminError(f"another daemon listens at {path}")
        path.unlink()
    bound = socket.socket(socket.AF_UNIX)
    mask = os.umask(0o177)
    try:
        bound.bind(str(path))
        bound.listen()
    except OSError:
        bound.close()
        raise
    finally:
        os.umask(mask)
    return trio.SocketListener(trio.socket.from_stdlib_socket(bound))


async def serve(listener: trio.SocketListener, obey: Callable[[Command], Awaitable[Answer]]) -> None:
    """Obey commands until cancelled."""

    async def converse(stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError):
            line = b""
            with trio.move_on_after(REQUEST_SECONDS):
                line = await _read_line(stream)
            if line:
                await stream.send_all(msgspec.json.encode(await _answer_to(line, obey)) + b"\n")

    await trio.serve_listeners(converse, [listener])


async def _read_line(stream: trio.SocketStream) -> bytes:
    """All up to the first end of a line, or of what is sent."""
    line = b""
    while b"\n" not in line and len(line) <= MAX_LINE:
        received = await stream.receive_some()
        if not received:
            break
        line += received
    return line


async def _answer_to(line: bytes, obey: Callable[[Command], Awaitable[Answer]]) -> Answer:
    try:
        return await obey(_command.decode(line))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Refused([f"This is no command: {error}."])
    except Exception as error:  # a defect must not end the daemon
        log.error("defect in an admin command", exc_info=error)
        return Refused(["Octoroute ran into a defect of its own; its log has the details."])


# The commands' side


def ask(path: Path, command: Command, *, timeout_seconds: float) -> Answer:
    """Send a command, and wait for its answer.

    Raises:
        AdminError: nobody answers there, or not in time, or another version does in words that are not known.
    """
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout_seconds)
            connection.connect(str(path))
            connection.sendall(msgspec.json.encode(command) + b"\n")
            with connection.makefile("rb") as answer:
                line = answer.readline()
    except PermissionError:
        raise AdminError(f"{path} is another user's: try it as root, or as that user.") from None
    except TimeoutError:
        raise AdminError(f"The daemon at {path} did not answer within {timeout_seconds:g} s.") from None
    except OSError as error:
        raise AdminError(f"No daemon answers at {path}: {error.strerror or error}.") from None
    try:
        return _answer.decode(line)
    except msgspec.DecodeError:
        raise AdminError(
            f"The daemon at {path} gave an answer that this version of octoroute does not know."
        ) from None

"""Server-sent events, as far as a relay must know them: where the first data event ends, and what it says.

Framing follows the WHATWG HTML standard, section 9.2.5 "Parsing an event stream": lines end with LF, CR
or CRLF, a line that begins with a colon is a comment, a blank line ends an event.
"""

from __future__ import annotations

import re

import msgspec

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"


class FirstEvent:
    """Looks for the first data event in a stream that arrives in any pieces.

    A server's comments (llama.cpp sends them while it processes a prompt) are no event: until one with data
    is complete nothing has been answered, and another server may be asked.

    `data` is what the event carries, once `complete`; `is_error` tells that the event is a failure.
    """

    def __init__(self) -> None:
        self.complete = False
        self.data = b""
        self._named_error = False
        self._error_line = False
        self._lines: list[bytes] = []
        self._pieces: list[
            bytes
        ] = []  # of a line without its end; joined once, so that a long one costs no more
        self._after_cr = False  # an LF that comes now belongs to the line end before it
        self._start = True

    def feed(self, chunk: bytes) -> bool:
        """Take the next bytes; True as soon as the first data event is complete."""
        if self.complete or not chunk:
            return self.complete
        if self._after_cr:
            chunk = chunk.removeprefix(b"\n")
        self._after_cr = chunk.endswith(b"\r")
        position = 0
        for end in _LINE_END.finditer(chunk):
            self._pieces.append(chunk[position : end.start()])
            position = end.end()
            if self._take_line():
                return True
        self._pieces.append(chunk[position:])
        return False

    def end(self) -> bool:
        """The stream has ended; True where the last line, cut short of its blank line, completes an event."""
        if not self.complete:
            self._take_line()
            self._take(b"")
        return self.complete

    def _take_line(self) -> bool:
        line = b"".join(self._pieces)
        self._pieces.clear()
        if self._start:
            line = line.removeprefix(_BOM)
            self._start = False
        return self._take(line)

    def _take(self, line: bytes) -> bool:
        if not line:
            if self._lines:
                self.data = b"\n".join(self._lines)
                self.complete = True
            self._named_error = self._named_error and self.complete  # an event without data is none
            return self.complete
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._lines.append(value)
        elif name == b"error":  # llama.cpp's older form: `error: {…}` instead of `data: {"error": …}`
            self._lines.append(value)
            self._error_line = True
        elif name == b"event":
            self._named_error = value == b"error"
        return False

    @property
    def is_error(self) -> bool:
        """Whether the event is a server's failure put into a stream."""
        return self.complete and (self._named_error or self._error_line or error_of(self.data) is not None)


def error_of(data: bytes) -> object | None:
    """The `error` of a JSON object that has one and no `choices`; None for everything else."""
    if b'"error"' not in data:
        return None
    try:
        value = msgspec.json.decode(data)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, dict) and value.get("error") and not value.get("choices"):
        error: object = value["error"]
        return error
    return None


def comment(text: str) -> bytes:
    """A comment line, which every client skips."""
    return b": " + text.encode() + b"\n\n"


def error_event(error: object) -> bytes:
    """A failure after commit, as an event that makes SDKs raise.

    It begins with a blank line, so that it is never glued to the half of an event that came before it.
    """
    return b"\n\ndata: " + msgspec.json.encode({"error": error}) + b"\n\n"

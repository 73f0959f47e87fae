"""A chat completion request: reads what routing needs, keeps every other byte as it was sent."""

from __future__ import annotations

import re
from json import JSONDecoder
from typing import Any, Literal, NamedTuple, TypeVar, get_args

import msgspec

from octoroute.config.model import Importance
from octoroute.errors import InvalidRequest

TaskType = Literal[
    "casual_chat", "code", "creative_writing", "deep_analysis", "document_summary", "question_answer"
]


class Part(msgspec.Struct):
    """One content part. Only its kind and its text are read; an image's bytes are never built."""

    type: Any = None
    text: Any = None


class Message(msgspec.Struct):
    """One message of the conversation."""

    role: str
    content: str | list[str | Part] | None = None

    def text(self) -> str:
        """All text of the message; parts that are not text count nothing."""
        if isinstance(self.content, str):
            return self.content
        if self.content is None:
            return ""
        texts = [part if isinstance(part, str) else part.text for part in self.content]
        return "\n".join(text for text in texts if isinstance(text, str))

    def part_types(self) -> list[str]:
        """The kinds of the parts that say theirs ("text", "image_url", "input_audio", …)."""
        if not isinstance(self.content, list):
            return []
        return [part.type for part in self.content if isinstance(part, Part) and isinstance(part.type, str)]


class _Body(msgspec.Struct):
    """What is read of a body. `Raw` fields are looked at, never judged: that is the model server's part."""

    messages: list[Message]
    model: str | None = None
    stream: bool | None = None
    metadata: msgspec.Raw = msgspec.Raw(b"null")
    tools: msgspec.Raw = msgspec.Raw(b"null")
    functions: msgspec.Raw = msgspec.Raw(b"null")


class _Metadata(msgspec.Struct):
    """What is read of `metadata`: the rest of it is skipped, and may be what our reader would refuse."""

    importance: Any = None
    task_type: Any = None


class Metadata(NamedTuple):
    """What a client may say about its request to help routing; None is for Octoroute to infer."""

    importance: Importance | None = None
    task_type: TaskType | None = None


class _Span(NamedTuple):
    """Where one top-level value stands in the body, as byte offsets."""

    key: str
    start: int
    end: int


class ChatRequest:
    """A valid request. The fields are read-only views; `body_for` makes what goes upstream."""

    __slots__ = ("_spans", "body", "has_tools", "messages", "metadata", "model", "stream")

    def __init__(self, body: bytes, read: _Body) -> None:
        self.body = body
        self.model = read.model or "auto"
        self.messages = read.messages
        self.stream = bool(read.stream)
        self.metadata = _metadata(read.metadata)
        self.has_tools = not all(_nothing.fullmatch(bytes(raw)) for raw in (read.tools, read.functions))
        self._spans = _top_level(body)

    def body_for(self, model: str, *, max_tokens: int | None, temperature: float | None) -> bytes:
        """The request as an endpoint gets it: `model` rewritten, every other byte as the client sent it.

        `max_tokens` and `temperature` are filled in where the client gave none (null is none; for
        `max_tokens`, neither it nor `max_completion_tokens`).
        """
        wanted: dict[str, object] = {"model": model}
        if max_tokens is not None and not (self._gives("max_tokens") or self._gives("max_completion_tokens")):
            wanted["max_tokens"] = max_tokens
        if temperature is not None and not self._gives("temperature"):
            wanted["temperature"] = temperature
        pieces: list[bytes] = []
        position = 0
        present = set()
        for key, start, end in self._spans:
            if key in wanted:
                present.add(key)
                pieces += (self.body[position:start], msgspec.json.encode(wanted[key]))
                position = end
        opening = self.body.index(b"{") + 1
        if added := {key: value for key, value in wanted.items() if key not in present}:
            # `messages` is in every valid body, so that what is added is never the last member.
            members = msgspec.json.encode(added)[1:-1] + b","
            if not pieces:
                return self.body[:opening] + members + self.body[opening:]
            pieces[0] = pieces[0][:opening] + members + pieces[0][opening:]
        pieces.append(self.body[position:])
        return b"".join(pieces)

    def _gives(self, key: str) -> bool:
        values = [self.body[start:end] for name, start, end in self._spans if name == key]
        return bool(values) and values[-1] != b"null"


_TOO_DEEP = "The request body is nested too deeply."
_decoder = msgspec.json.Decoder(_Body)
_metadata_decoder = msgspec.json.Decoder(_Metadata)
# How long a value is, without building it: 16 MiB of empty lists would stop the event loop for seconds.
_values_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_key_decoder = msgspec.json.Decoder(str)
MAX_SCANNED = 1024 * 1024
"""Only in a body of up to so many bytes is it found by building the value instead."""
_nothing = re.compile(rb"null|\[[ \t\r\n]*\]")
# Numbers stay text: int() refuses those of more than 4300 digits, and nobody asks for their value.
_scan = JSONDecoder(strict=False, parse_int=str, parse_float=str).raw_decode
_blank = re.compile(r"[ \t\r\n]*")
# msgspec refuses the lone surrogates that JavaScript writes when it cuts an emoji in two. They are
# replaced in the copy that we read (never in what goes upstream): the text's meaning for routing stays.
_surrogate_escape = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")


def parse(body: bytes) -> ChatRequest:
    """Read a request.

    Raises:
        InvalidRequest: the body is not JSON, or a field that routing reads has a wrong type; the message
            names it.
    """
    read = decode(_decoder, body)
    if not read.messages:
        raise InvalidRequest("messages: must have at least one message, got an empty list.", param="messages")
    try:
        return ChatRequest(body, read)
    except RecursionError:
        raise InvalidRequest(_TOO_DEEP) from None


Read = TypeVar("Read")


def decode(decoder: msgspec.json.Decoder[Read], body: bytes) -> Read:
    """A JSON body as what `decoder` reads.

    Raises:
        InvalidRequest: it isn't that; the message says why and names the field.
    """
    try:
        try:
            return decoder.decode(body)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            if b"\\u" not in body:
                raise
            return decoder.decode(without_surrogates(body))
    except msgspec.ValidationError as error:
        raise _invalid_field(error) from None
    except msgspec.DecodeError as error:
        raise InvalidRequest(_not_json(body, error)) from None
    except UnicodeDecodeError:
        raise InvalidRequest("The request body is not valid UTF-8.") from None
    except RecursionError:
        raise InvalidRequest(_TOO_DEEP) from None


def without_surrogates(text: bytes) -> bytes:
    """A copy of a JSON text that msgspec reads, whatever halves of emoji are in it; every byte stays in its place."""
    return _surrogate_escape.sub(rb"\\ufffd", text)


def metadata_value(field: str, value: object, allowed: Any) -> Any:
    """`value` as one of the words of the Literal `allowed`, in any case; None where it is absent.

    Raises:
        InvalidRequest: it is another word; the message names the field and what is allowed.
    """
    if value is None:
        return None
    words = get_args(allowed)
    if isinstance(value, str) and value.strip().lower() in words:
        return value.strip().lower()
    shown = f'"{value[:40]}"' if isinstance(value, str) else _kind(value)
    raise InvalidRequest(f"{field}: must be one of {', '.join(words)}, got {shown}.", param=field)


def _metadata(raw: msgspec.Raw) -> Metadata:
    text = bytes(raw)
    if not text.startswith(b"{"):
        return Metadata()
    said = decode(_metadata_decoder, text)
    return Metadata(
        metadata_value("metadata.importance", said.importance, Importance),
        metadata_value("metadata.task_type", said.task_type, TaskType),
    )


def _top_level(body: bytes) -> list[_Span]:
    """Every member of the body's object, in order (a repeated key more than once).

    The body is known to be valid JSON. Latin-1 keeps offsets: one character is one byte, and all of
    JSON's own characters are ASCII.
    """
    try:
        values = _values_decoder.decode(body)
    except msgspec.DecodeError:
        body = without_surrogates(body)  # as long as it was, so what stands where is the same
        values = decode(_values_decoder, body)
    text = body.decode("latin-1")
    spans: list[_Span] = []

    def after_blank(position: int) -> int:
        match = _blank.match(text, position)
        assert match is not None
        return match.end()

    position = after_blank(text.index("{") + 1)
    while text[position] != "}":
        _, key_end = _scan(text, position)
        key, position = _key_decoder.decode(body[position:key_end]), key_end
        start = after_blank(after_blank(position) + 1)  # past the colon
        value = bytes(values[key])
        end = start + len(value)
        position = after_blank(end)
        if not body.startswith(value, start) or text[position] not in ",}":
            # A repeated key, of which `values` has the last: the long way.
            if len(body) > MAX_SCANNED:
                raise InvalidRequest(f"The key {key[:40]!r} is repeated, with another value.", param=key)
            _, end = _scan(text, start)
            position = after_blank(end)
        spans.append(_Span(key, start, end))
        if text[position] == ",":
            position = after_blank(position + 1)
    return spans


_EXPECTED = {
    "str": "a string",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "null",
}
_validation = re.compile(
    r"Expected `(?P<expected>[^`]+)`, got `(?P<got>[^`]+)`(?: - at `\$\.?(?P<path>[^`]*)`)?"
)
_missing = re.compile(r"Object missing required field `(?P<field>[^`]+)`(?: - at `\$\.?(?P<path>[^`]*)`)?")


def _invalid_field(error: msgspec.ValidationError) -> InvalidRequest:
    """msgspec's message in the words of the API, naming the field."""
    text = str(error)
    if match := _missing.match(text):
        path = ".".join(part for part in (match["path"], match["field"]) if part)
        if path == "messages":
            return InvalidRequest(
                "messages: is required: a list with at least one message.", param="messages"
            )
        return InvalidRequest(f"{path}: is required.", param=path)
    if match := _validation.match(text):
        expected = " or ".join(
            _EXPECTED.get(kind.strip(), kind.strip()) for kind in match["expected"].split("|")
        )
        got = _EXPECTED.get(match["got"], match["got"])
        if path := match["path"]:
            return InvalidRequest(f"{path}: must be {expected}, got {got}.", param=path)
        return InvalidRequest(f"The request body must be a JSON object, got {got}.")
    return InvalidRequest(f"The request body is not valid: {text}.")


def _not_json(body: bytes, error: msgspec.DecodeError) -> str:
    if not body.strip():
        return "The request body is empty; a JSON object is required."
    reason = str(error).removeprefix("JSON is malformed: ")
    return f"The request body is not valid JSON: {reason[:1].lower()}{reason[1:]}."


def _kind(value: object) -> str:
    names = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)

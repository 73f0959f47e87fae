"""How busy a model server is, as it tells itself: whom to ask what, how to read it, and what it means for the choice.

    server      told apart by `owned_by`  asked for             tells
    llama.cpp   "llamacpp"                /slots, or /metrics   requests in work, slots; requests that wait
    llama.cpp's router  ... and a `status`  nothing more        whether the model is loaded
    vLLM        "vllm"                    /metrics              requests in work, requests that wait
    Ollama      "library"                 /api/ps               whether the model is loaded
    LM Studio   "organization_owner"      /api/v1/models, or    whether the model is loaded
                                          /api/v0/models

`owned_by` stands in the list of models that the probe has just got, so no server is asked what it has never heard of.
None of these loads a model or costs a token. One exception is kept clear of: llama.cpp with `--sleep-idle-seconds`
counts /slots and /metrics as use, so neither is asked while it sleeps, nor once it is left alone (QUIET_SECONDS).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Any, Literal

import msgspec
from msgspec import Struct

Server = Literal["llama.cpp", "vllm", "ollama", "lmstudio"]

READING_SECONDS = 2.0
"""The least time between two readings: polled more than once a second, llama.cpp misses that a client has gone."""
QUIET_SECONDS = 300.0
"""A llama.cpp that got no request of ours for so long is left alone, so that one that sleeps when idle can."""

_OWNERS: Mapping[object, Server] = {
    "llamacpp": "llama.cpp",
    "vllm": "vllm",
    "library": "ollama",
    "organization_owner": "lmstudio",
}


class Reading(Struct, frozen=True):
    """What a server told. None is what it doesn't tell; `running` and `waiting` count the requests of all clients."""

    running: int | None = None
    waiting: int | None = None
    slots: int | None = None
    loaded: bool | None = None


class Load(Struct, frozen=True):
    """A reading that was made at `at`, and what follows for requests of ours from then on.

    `room` is how many of ours may be there at once before they wait; infinite where nobody knows.
    """

    reading: Reading
    at: float
    room: float


class LoadReport(Struct, frozen=True):
    """A load for `/models`. `running` and `waiting` are as of `seconds_ago`."""

    running: int | None
    waiting: int | None
    slots: int | None
    loaded: bool | None
    seconds_ago: float


def load_from(reading: Reading, in_flight: int, at: float) -> Load:
    """The load that a reading tells, `in_flight` of whose requests were ours."""
    there = (reading.running or 0) + (reading.waiting or 0)
    if reading.slots is None:
        return Load(reading, at, room=0 if reading.waiting else inf)
    return Load(reading, at, room=reading.slots - max(0, there - in_flight))


def rank(load: Load | None, in_flight: int) -> int:
    """Who is preferred among equals: 0 is idle, or nobody knows; 1 would make us wait; 2 has to load its model first."""
    if load is None:
        return 0
    if load.reading.loaded is False:
        return 2
    return 1 if in_flight >= load.room else 0


def report(load: Load | None, now: float) -> LoadReport | None:
    """What there is to tell of it at `now`."""
    if load is None:
        return None
    known = load.reading
    return LoadReport(known.running, known.waiting, known.slots, known.loaded, round(now - load.at, 1))


# Who it is


def server_of(listed: Sequence[Mapping[str, Any]]) -> Server | None:
    """Whose list of models that is; None where it doesn't say."""
    servers = {_OWNERS.get(owner) for model in listed if isinstance(owner := model.get("owned_by"), str)}
    return next(iter(servers - {None}), None)


def of_list(listed: Sequence[Mapping[str, Any]], model: str) -> Reading | None:
    """What the list of models itself tells of `model`: llama.cpp's router says whether it is loaded."""
    for each in listed:
        status = each.get("status")
        if each.get("id") == model and isinstance(status, dict) and isinstance(status.get("value"), str):
            return Reading(loaded=status["value"] == "loaded")
    return None


# What it is asked, and what it answers


class _Slot(Struct):
    is_processing: bool


class _Props(Struct):
    is_sleeping: bool = False


class _Running(Struct):
    name: str = ""
    model: str = ""


class _Ps(Struct):
    models: list[_Running] | None


class _Instance(Struct):
    id: str = ""


class _Known(Struct):
    key: str
    loaded_instances: list[_Instance]
    variants: list[str] = []


class _KnownModels(Struct):
    models: list[_Known]


class _Older(Struct):
    id: str
    state: str


class _OlderModels(Struct):
    data: list[_Older]


def is_sleeping(body: bytes) -> bool:
    """Whether llama.cpp's /props say that it has put its model away until the next request."""
    try:
        return msgspec.json.decode(body, type=_Props).is_sleeping
    except (ValueError, RecursionError):
        return False


def _slots(body: bytes, _model: str) -> Reading:
    slots = msgspec.json.decode(body, type=list[_Slot])
    return Reading(running=sum(slot.is_processing for slot in slots), slots=len(slots), loaded=True)


def _metrics(body: bytes, _model: str) -> Reading:
    """Prometheus' text, of llama.cpp or vLLM, where there is a line for each engine."""
    found: dict[str, float] = {}
    for line in body.decode("utf-8", "replace").splitlines():
        name, _, rest = line.partition("{" if "{" in line else " ")
        if name in _COUNTED:
            # The value; a timestamp may follow it.
            value = rest.rpartition("}")[2].split()[0]
            found[_COUNTED[name]] = found.get(_COUNTED[name], 0.0) + float(value)
    return Reading(running=int(found["running"]), waiting=int(found["waiting"]), loaded=True)


_COUNTED = {
    "llamacpp:requests_processing": "running",
    "llamacpp:requests_deferred": "waiting",
    "vllm:num_requests_running": "running",
    "vllm:num_requests_waiting": "waiting",
}


def _ollama(body: bytes, model: str) -> Reading:
    running = msgspec.json.decode(body, type=_Ps).models or []
    names = {_tagged(name) for each in running for name in (each.name, each.model)}
    return Reading(loaded=_tagged(model) in names)


def _tagged(name: str) -> str:
    """A name of Ollama's with its tag, which may be left out where it is `latest`."""
    return (name if ":" in name.rpartition("/")[2] else f"{name}:latest").lower()


def _lmstudio(body: bytes, model: str) -> Reading:
    for each in msgspec.json.decode(body, type=_KnownModels).models:
        if model in {each.key, *each.variants, *(instance.id for instance in each.loaded_instances)}:
            return Reading(loaded=bool(each.loaded_instances))
    return Reading()


def _older_lmstudio(body: bytes, model: str) -> Reading:
    for each in msgspec.json.decode(body, type=_OlderModels).data:
        if each.id == model:
            return Reading(loaded=each.state == "loaded")
    return Reading()


_SOURCES: Mapping[Server, Mapping[str, Callable[[bytes, str], Reading]]] = {
    "llama.cpp": {"slots": _slots, "metrics": _metrics},
    "vllm": {"metrics": _metrics},
    "ollama": {"api/ps": _ollama},
    "lmstudio": {"api/v1/models": _lmstudio, "api/v0/models": _older_lmstudio},
}


def sources(server: Server) -> Sequence[str]:
    """The paths, beside the OpenAI API, where a server tells its load: the best first."""
    return tuple(_SOURCES[server])


def read(server: Server, path: str, body: bytes, model: str) -> Reading | None:
    """What `server` answered, with 200, at `path`; None where that is not what it should be."""
    try:
        return _SOURCES[server][path](body, model)
    except (ValueError, KeyError, IndexError, OverflowError, RecursionError):
        return None

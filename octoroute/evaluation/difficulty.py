"""How much a prompt looks like one that a small model fails and a large one does not: a score, not a decision.

The contract's rules decide by task type, importance and length alone, so nothing here changes where a request goes. The
score orders the requests that the rules treat alike, for the cost-quality curve of strategy `rule`, and shows how much a
prompt's surface could tell. It is length plus a linear correction, of which `docs/routing-quality.md` says how it was
fitted, what it is worth on sets that it was not fitted on, and what did not help.

Only English words are known; a prompt in another language is scored by its length, numbers and shapes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import NamedTuple

from octoroute.routing.words import edges

EDGE_CHARACTERS = 8000
"""How much of a long prompt is looked at, at each of its two ends; its length counts whole."""

_WORD = re.compile(r"[^\W\d_]+")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_DIGIT = re.compile(r"\d")
_OPTION = re.compile(r"^\(?[A-J][.):] ", re.MULTILINE)
_NEGATION = re.compile(r"\b(?:not|except|never|none|no|least|false|incorrect)\b", re.IGNORECASE)
_TASK = re.compile(
    r"\b(?:why|how|explain|prove|show that|derive|compare|evaluate|determine|compute|calculate|find)\b",
    re.IGNORECASE,
)
_SUBJECT = re.compile(
    r"\b(?:sum|product|integers?|equation|polynomial|probability|triangle|function|matrix|derivative|integral"
    r"|real number|prime|divisible|radius|angle|graph|vector|roots?|sequence|mod|remainder|area|volume|ratio|percent"
    r"|velocity|mass|force|energy|pressure|temperature|kg|mol|volts?|current|voltage|joules?|watts?|acid|reaction"
    r"|frequency|wavelength|gas|heat|ft|lb|psia|torr"
    r"|court|plaintiff|defendant|statute|liable|contract|constitutional|jury|trial|attorney|negligence|sued)\b",
    re.IGNORECASE,
)


class _Text(NamedTuple):
    """A prompt, cut once into what the features look at."""

    whole: str
    stem: str
    """What stands before the first option of a multiple choice; everything where there is none."""
    options: str
    option_count: int
    words: int


class Feature(NamedTuple):
    """One number read from a prompt; what it adds to the score is `weight * (value - mean) / deviation`."""

    weight: float
    mean: float
    deviation: float
    value: Callable[[_Text], float]


def _matches(pattern: re.Pattern[str], text: str) -> float:
    return math.log1p(len(pattern.findall(text)))


def _share(part: int, whole: str) -> float:
    return part / max(1, len(whole))


FEATURES: dict[str, Feature] = {
    "length": Feature(1.6, 4.325, 0.735, lambda text: math.log(max(1, text.words))),
    "numbers": Feature(-0.26, 0.932, 0.891, lambda text: _matches(_NUMBER, text.stem)),
    "options": Feature(0.51, 0.854, 0.315, lambda text: min(text.option_count, 10) / 10),
    "option length": Feature(
        -0.56, 3.042, 1.312, lambda text: math.log1p(len(text.options) / max(1, text.option_count))
    ),
    "digits in options": Feature(
        -0.61, 0.112, 0.155, lambda text: _share(len(_DIGIT.findall(text.options)), text.options)
    ),
    "negations": Feature(-0.28, 0.119, 0.317, lambda text: _matches(_NEGATION, text.stem)),
    "subject words": Feature(-0.54, 0.59, 0.832, lambda text: _matches(_SUBJECT, text.whole)),
    "task words": Feature(-0.31, 0.266, 0.356, lambda text: _matches(_TASK, text.stem)),
    "question mark": Feature(0.54, 0.599, 0.49, lambda text: float("?" in text.stem)),
    "digits": Feature(0.51, 0.061, 0.078, lambda text: _share(len(_DIGIT.findall(text.whole)), text.whole)),
}
"""Fitted on `mmlu_pro` and `zeroeval_gsm` alone."""

_FURTHEST = 3.0
"""How many deviations a feature may count: a prompt that is unlike all that the weights were fitted on stays ordinary."""


def values(prompt: str) -> dict[str, float]:
    """The value of each feature, as it is read."""
    text = _cut(prompt)
    return {name: feature.value(text) for name, feature in FEATURES.items()}


def difficulty(prompt: str) -> float:
    """The score of a prompt, 0 to 1; only its order means something. The work is bounded, however long the prompt is."""
    text = _cut(prompt)
    total = 0.0
    for feature in FEATURES.values():
        deviations = (feature.value(text) - feature.mean) / feature.deviation
        total += feature.weight * max(-_FURTHEST, min(_FURTHEST, deviations))
    return 1 / (1 + math.exp(-total))


def _cut(prompt: str) -> _Text:
    view = edges(prompt, EDGE_CHARACTERS)
    options = _OPTION.findall(view)
    first = _OPTION.search(view)
    at = first.start() if first else len(view)
    words = len(_WORD.findall(view)) * len(prompt) / max(1, len(view))
    return _Text(view, view[:at], view[at:], len(options), int(words))

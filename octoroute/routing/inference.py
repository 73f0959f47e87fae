"""What kind of task a prompt is, and how much it matters, read from its words and its shape.

How it works, in five steps:

1. `words` finds the language, and the vocabulary's phrases in the prompt. Each stands for a *concept* that is the
   same in every language (`vocabulary/language.py` lists them): an act ("write", "summarize"), an object ("poem",
   "function"), a question word, a greeting. `structure` finds shapes (a stack trace, a diff, a code fence).
2. Each is evidence for one type, with the points of `POINTS`. An act that needs an object takes the nearest one:
   "write" + "poem" is creative writing, "write" + "function" is code.
3. Where it stands matters: an act counts fully at the beginning of a sentence, after politeness ("could you
   please …"), and only by `LATER` elsewhere and after another act: the first act of a prompt is its task.
4. The points are summed. The best type wins if it has `ENOUGH`, and `MARGIN` more than the next.
5. Small talk is no matter of points: a prompt is talk only if next to nothing is left of it without the greetings
   and the small talk. "Hello, my database is corrupt" is no greeting.

Without a clear winner the task type is None. That is an answer: nothing is known, so no rule may pretend that it is
talk. `other` takes part like a type (translating, writing an email) and becomes None when it wins.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from octoroute.config.model import Importance
from octoroute.openai.request import TaskType
from octoroute.routing import structure
from octoroute.routing.words import LEXICONS, Hit, Words, edges, language_of, split

EDGE_CHARACTERS = 2000
"""How much of a long text is searched for shapes, at each of its two ends. Words are read from less."""

ENOUGH = 1.5
MARGIN = 0.5
LATER = 0.5

POINTS: dict[str, tuple[TaskType | None, float]] = {
    # acts with their object
    "make+creative": ("creative_writing", 4),
    "make+code": ("code", 4),
    "make+plain": (None, 3),
    # acts
    "summarize": ("document_summary", 4),
    "analyze": ("deep_analysis", 3.5),
    "explain": ("question_answer", 2),
    "other": (None, 3),
    # words and phrases that count wherever they stand
    "depth": ("deep_analysis", 3),
    "style": ("creative_writing", 2),
    "creative": ("creative_writing", 2),  # only where no act and no question is: "a haiku about rain"
    "programming": ("code", 2.5),
    "name": ("code", 2.5),
    "shared_name": ("code", 1),
    "thing": ("code", 1),
    "elsewhere": ("code", -3),
    "ask": ("question_answer", 1.5),
    "yes_no": ("question_answer", 1.5),  # only with a question mark
    # shapes
    "code_fence": ("code", 3),
    "traceback": ("code", 3),
    "diff": ("code", 3),
    "sql": ("code", 3),
    "code_line": ("code", 3),
    "code_lines": ("code", 2),
    "shell": ("code", 2),
    "file_name": ("code", 2),
    "call": ("code", 1),
    "identifier": ("code", 1),
    "literal": ("code", 1),
    "choices": ("question_answer", 2),
    "exam": ("question_answer", 3),
    "mathematics": ("question_answer", 1.5),
}
"""For each kind of evidence, the type that it speaks for (None: another one than the six), and its points."""

_AT_MOST = {
    "thing": 2,
    "programming": 2,
    "name": 2,
    "shared_name": 1,
    "depth": 2,
    "ask": 1,
    "yes_no": 1,
    "explain": 2,
}
"""How often a kind counts; once, if it is not here and not an act."""

_ACTS = frozenset({"make", "summarize", "analyze", "explain", "other"})
_OBJECTS = {
    "creative": "creative", "style": "creative", "plain": "plain",
    "programming": "code", "name": "code", "thing": "code", "script": "code",
}  # fmt: skip
_SPEAK_FOR_THEMSELVES = frozenset({"summarize", "analyze", "depth"})
_WANTED = _OBJECTS.keys() | _SPEAK_FOR_THEMSELVES
_AFTER, _BEFORE = 10, 8
"""How many words after an act, else before it, its object is looked for."""

_NAMED = 3
"""How soon a work must be named to be what is asked for without any act."""

_TALK_WORDS = 16
"""Small talk is short."""
_TALK = frozenset({"greeting", "small_talk", "filler", "lead"})
_LEFT_OVER = 2
"""How many words may be left beside small talk: where the weather is, what the joke is about. Beside greetings alone
none may: "thanks, continue" is about the task before it."""


class Inference(msgspec.Struct, frozen=True):
    """What a prompt's text tells."""

    task_type: TaskType | None
    """None: nothing, or contradictions."""
    importance: Importance | None
    """None: the text does not say."""
    evidence: tuple[str, ...]
    """Why that task type: names of shapes and words of our vocabulary, never other words of the prompt."""
    language: str | None
    """ISO 639-1 code of the vocabulary that matched; None where none did."""


def infer(text: str) -> Inference:
    """What `text`, the user's own words, tells. The work is bounded, however long the text is."""
    view = edges(text.strip(), EDGE_CHARACTERS)
    shapes = structure.marks(view)
    prose, fenced = structure.without_fences(view)
    if fenced:
        shapes.append("code_fence")
    words = split(prose)
    code = language_of(words.words)
    lexicon = LEXICONS[code]
    hits = lexicon.find(words.words)
    starts = _starts(words, hits)
    language = code if any(hit.concept not in {"name", "shared_name"} for hit in hits) else None
    importance = _importance(words, hits, starts)
    talk = _talk(words, hits, shapes)
    if talk:
        return Inference("casual_chat", importance, talk, language)
    tally = _Tally()
    for shape in shapes:
        tally.add(shape)
    _weigh(tally, words, hits, starts, free_order=lexicon.language.free_order)
    return Inference(tally.winner(), importance, tuple(tally.evidence), language)


class _Tally:
    """The points of each type so far, and what gave them."""

    def __init__(self) -> None:
        self.points: dict[TaskType | None, float] = {}
        self.evidence: list[str] = []
        self._counts: dict[str, int] = {}

    def add(self, kind: str, words: str = "", *, factor: float = 1) -> None:
        """Count one piece of evidence, unless there was enough of its kind."""
        code = f"{kind}:{words}" if words else kind
        if code in self.evidence or self._counts.get(kind, 0) == _AT_MOST.get(kind, 1):
            return
        task, points = POINTS[kind]
        self.points[task] = self.points.get(task, 0) + points * factor
        self._counts[kind] = self._counts.get(kind, 0) + 1
        self.evidence.append(code)

    def winner(self) -> TaskType | None:
        """The type that is clearly ahead."""
        ranked = sorted(self.points.items(), key=lambda item: -item[1])
        if not ranked or ranked[0][1] < ENOUGH:
            return None
        if len(ranked) > 1 and ranked[0][1] - ranked[1][1] < MARGIN:
            return None
        return ranked[0][0]


def _starts(words: Words, hits: Sequence[Hit]) -> set[int]:
    """Where sentences really begin: politeness, greetings and fillers before the first word are passed over."""
    starts = set(words.starts)
    for hit in hits:
        if hit.start in starts and hit.concept in {"lead", "greeting", "filler", "small_talk"}:
            starts.add(hit.end)
    return starts


def _weigh(tally: _Tally, words: Words, hits: Sequence[Hit], starts: set[int], *, free_order: bool) -> None:
    concepts = {hit.concept for hit in hits}
    technical = not concepts.isdisjoint({"thing", "script", "shared_name", "programming"})
    acted = asked = False
    for at, hit in enumerate(hits):
        concept, at_start = hit.concept, free_order or hit.start in starts
        factor = (1 if at_start else LATER) * (LATER if acted or (asked and not at_start) else 1)
        if concept == "make":
            target = _object(hits, at)
            if target is not None and target.concept not in _SPEAK_FOR_THEMSELVES:
                play = target.concept == "script" and "stage" in concepts and "name" not in concepts
                kind = "creative" if play else _OBJECTS[target.concept]
                tally.add(f"make+{kind}", f"{hit.text}+{target.text}", factor=factor)
                acted = True
        elif concept == "summarize":  # also as a noun, "the key points", it names the task
            tally.add(concept, hit.text, factor=LATER if acted else 1)
            acted = True
        elif concept in _ACTS:
            tally.add(concept, hit.text, factor=factor)
            acted = True
        elif concept == "ask":
            if not asked and (at_start or words.question):
                tally.add(concept, hit.text)
                asked = True
        elif concept == "yes_no":
            if at_start and not asked and (words.question or free_order):
                tally.add(concept, hit.text)
                asked = True
        elif concept == "script":
            if "stage" not in concepts:
                tally.add("thing", hit.text)
        elif concept == "elsewhere":
            if technical:
                tally.add(concept, hit.text)
        elif concept in {"depth", "style", "programming", "name", "shared_name", "thing"}:
            tally.add(concept, hit.text)
    if not acted and "ask" not in concepts and not words.question:
        named = next((hit for hit in hits if hit.concept == "creative" and hit.start <= _NAMED), None)
        if named is not None:
            tally.add("creative", named.text)


def _object(hits: Sequence[Hit], at: int) -> Hit | None:
    """The object of the act `hits[at]`: the next one after it, else the last one before it. Looks at few hits."""
    act = hits[at]
    for hit in hits[at + 1 : at + 1 + _AFTER]:
        if hit.start - act.end >= _AFTER:
            break
        if hit.concept in _WANTED:
            return hit
    for hit in hits[max(0, at - _BEFORE) : at][::-1]:
        if act.start - hit.end >= _BEFORE:
            break
        if hit.concept in _WANTED:
            return hit
    return None


def _talk(words: Words, hits: Sequence[Hit], shapes: Sequence[str]) -> tuple[str, ...]:
    """The greetings and the small talk, if the text is nothing else; else nothing."""
    talk = [hit for hit in hits if hit.concept in {"greeting", "small_talk"}]
    if not talk or shapes or any(hit.concept not in _TALK for hit in hits):
        return ()
    # A character of Chinese, Japanese or Korean is a word here, but about half of one.
    scale = 2 if any(word[0] >= "\u1100" for word in words.words) else 1
    size = len(words.words)
    left_over = size - sum(hit.end - hit.start for hit in hits)
    allowed = _LEFT_OVER if any(hit.concept == "small_talk" for hit in talk) else 0
    if size > _TALK_WORDS * scale or left_over > allowed * scale:
        return ()
    return tuple(dict.fromkeys(f"{hit.concept}:{hit.text}" for hit in talk))


def _importance(words: Words, hits: Sequence[Hit], starts: set[int]) -> Importance | None:
    """Only what says something about the request: at the start of a sentence, or a sentence by itself."""
    urgent = any(
        (hit.concept == "urgent" and hit.start in starts)
        or (hit.concept == "urgent_cry" and hit.start in words.lone)
        for hit in hits
    )
    relaxed = any(hit.concept == "relaxed" and hit.start in starts for hit in hits)
    if urgent == relaxed:
        return None
    return "high" if urgent else "low"

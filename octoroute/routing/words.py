"""A prompt as words, the language they are in, and the vocabulary's phrases among them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

from octoroute.routing.vocabulary import CERTAIN_NAMES, LANGUAGES, SHARED_NAMES, Language
from octoroute.routing.vocabulary.language import CONCEPTS

EDGE_CHARACTERS = 2000
"""How much of a long text is looked at, at each of its two ends."""
EDGE_WORDS = 60
"""How many words of it are: an instruction stands before or after what it is about, rarely amid it."""

# Latin, Cyrillic and Greek accents, Arabic vowel signs. Not Devanagari's or kana's marks: they make the letter.
_ACCENTS = re.compile("[\u0300-\u036f\u064b-\u065f\u0640]")
_CJK = "\u1100-\u11ff\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3"
_TOKEN = re.compile(
    "c\\+\\+|[cf]#"  # languages whose names are no words
    f"|[{_CJK}]"  # each a word of its own
    f"|(?:(?![{_CJK}])[\\w\u0900-\u0903\u093a-\u094f])+"
    "|[.:;,](?=\\s|$)|[!?\\n。、]"  # what ends a sentence, or a part of it  # noqa: RUF001
)
_BREAKS = frozenset(".:;,!?\n。、")  # noqa: RUF001
_SCRIPTS = (
    ("\u0400", "\u052f", "ru"), ("\u0600", "\u06ff", "ar"), ("\u0900", "\u097f", "hi"),
    ("\u1100", "\u11ff", "ko"), ("\uac00", "\ud7a3", "ko"), ("\u3005", "\u3007", "zh"),
    ("\u3400", "\u9fff", "zh"), ("\u3040", "\u30ff", "ja"),
)  # fmt: skip


def edges(text: str, size: int = EDGE_CHARACTERS) -> str:
    """`text`, or its first and last `size` characters where it is longer than both."""
    return text if len(text) <= 2 * size else f"{text[:size]}\n{text[-size:]}"


def fold(text: str) -> str:
    """One spelling for what reads the same: no case, no accents, no width variants (`Résumé` is `resume`)."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    folded = unicodedata.normalize("NFC", _ACCENTS.sub("", decomposed))
    return folded.replace("؟", "?").replace("،", ",")


class Words(NamedTuple):
    """The words of a text, and where its sentences begin."""

    words: list[str]
    starts: set[int]
    """Indexes of words that begin a sentence, or a part after a comma."""
    lone: set[int]
    """Indexes of words that are a sentence by themselves ("URGENT: …")."""
    question: bool
    """There is a question mark."""


def split(folded: str) -> Words:
    """The words of a folded text; of a long one, only those at its two ends."""
    words: list[str] = []
    starts: set[int] = set()
    lone: set[int] = set()
    fresh, question = True, False
    for token in _TOKEN.findall(folded):
        if token in _BREAKS:
            if not fresh and len(words) - 1 in starts:
                lone.add(len(words) - 1)
            fresh = True
            question = question or token == "?"  # noqa: S105  # no password
        else:
            if fresh:
                starts.add(len(words))
                fresh = False
            words.append(token)
    if words and not fresh and len(words) - 1 in starts:
        lone.add(len(words) - 1)
    skipped = len(words) - 2 * EDGE_WORDS
    if skipped > 0:
        tail = len(words) - EDGE_WORDS
        words = words[:EDGE_WORDS] + words[tail:]
        starts = {i for i in starts if i < EDGE_WORDS} | {i - skipped for i in starts if i >= tail}
        lone = {i for i in lone if i < EDGE_WORDS} | {i - skipped for i in lone if i >= tail}
    return Words(words, starts, lone, question)


class Phrase(NamedTuple):
    """One phrase of the vocabulary."""

    words: tuple[str, ...]
    concept: str
    text: str
    """As the vocabulary spells it: what evidence may quote."""

    def fits(self, words: Sequence[str], at: int) -> bool:
        if at + len(self.words) > len(words):
            return False
        for offset, own in enumerate(self.words):
            other = words[at + offset]
            if own != other and not (own[-1] == "*" and other.startswith(own[:-1])):
                return False
        return True


class Hit(NamedTuple):
    """A phrase found in a text: words `start` to `end`."""

    start: int
    end: int
    concept: str
    text: str


def _phrases(listing: str, concept: str) -> list[Phrase]:
    phrases = []
    for text in (" ".join(item.split()) for item in listing.split("|")):
        words: list[str] = []
        for piece in text.split():
            words += split(fold(piece)).words
            if piece.endswith("*"):
                words[-1] += "*"
        if words:
            phrases.append(Phrase(tuple(words), concept, text))
    return phrases


class Lexicon:
    """The phrases of one language, found by their first word; stems by their first three letters."""

    def __init__(self, language: Language) -> None:
        self.language = language
        phrases = [phrase for concept in CONCEPTS for phrase in _phrases(getattr(language, concept), concept)]
        phrases += _phrases(CERTAIN_NAMES, "name") + _phrases(SHARED_NAMES, "shared_name")
        phrases.sort(key=lambda phrase: -len(phrase.words))  # the longest first; sort keeps the order of concepts
        self._exact: dict[str, list[Phrase]] = {}
        self._stems: dict[str, list[Phrase]] = {}
        for phrase in phrases:
            first = phrase.words[0]
            index, key = (self._stems, first[:-1][:3]) if first.endswith("*") else (self._exact, first)
            index.setdefault(key, []).append(phrase)

    def find(self, words: Sequence[str]) -> list[Hit]:
        """The phrases among `words`, in order and without overlap."""
        hits, at = [], 0
        while at < len(words):
            phrase = self._longest(words, at)
            if phrase is None:
                at += 1
            else:
                end = at + len(phrase.words)
                hits.append(Hit(at, end, phrase.concept, phrase.text))
                at = end
        return hits

    def _longest(self, words: Sequence[str], at: int) -> Phrase | None:
        word = words[at]
        for phrase in self._exact.get(word, ()):
            if phrase.fits(words, at):
                return phrase
        for phrase in self._stems.get(word[:3], ()):
            if phrase.fits(words, at):
                return phrase
        return None


LEXICONS = {language.code: Lexicon(language) for language in LANGUAGES}


def _voters() -> dict[str, dict[str, float]]:
    """For each word of a Latin-script language, the languages that have it: half a vote if only in a phrase."""
    voters: dict[str, dict[str, float]] = {}
    for language in LANGUAGES:
        if not language.common:
            continue
        for concept in ("common", *CONCEPTS):
            for phrase in _phrases(getattr(language, concept), concept):
                vote = 1 if len(phrase.words) == 1 else 0.5
                for word in phrase.words:
                    votes = voters.setdefault(word, {})
                    votes[language.code] = max(vote, votes.get(language.code, 0))
    return voters


_VOTERS = _voters()


def language_of(words: Sequence[str]) -> str:
    """The code of the language that most words belong to; English where nothing tells."""
    votes = dict.fromkeys(LEXICONS, 0.0)
    for word in set(words):
        for code, vote in _VOTERS.get(word, {}).items():
            votes[code] += vote
    latin = sum(1 for word in words if word[0] < "\u0250")
    scripts: dict[str, int] = {}
    for word in words:
        if word[0] >= "\u0370":
            for first, last, code in _SCRIPTS:
                if first <= word[0] <= last:
                    scripts[code] = scripts.get(code, 0) + 1
                    break
    if "ja" in scripts:  # kana; Japanese also writes with Chinese characters, never the other way round
        scripts["ja"] += scripts.pop("zh", 0)
    if scripts:
        code = max(scripts, key=lambda code: scripts[code])
        # A character of Chinese, Japanese or Korean is about half a word.
        if scripts[code] / (2 if code in {"zh", "ja", "ko"} else 1) >= latin / 2:
            return code
    return max(votes, key=lambda code: votes[code])

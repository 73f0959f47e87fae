"""A prompt as words, the language they are in, and the vocabulary's phrases among them."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from octoroute.routing.vocabulary import CERTAIN_NAMES, LANGUAGES, SHARED_NAMES, Language
from octoroute.routing.vocabulary.language import CONCEPTS

EDGE_CHARACTERS = 400
"""How much of a long text is read, at each of its two ends: an instruction stands before or after what it is about,
rarely amid it, and what it is about has words of its own."""

# Latin, Cyrillic and Greek accents, Arabic vowel signs. Not Devanagari's or kana's marks: they make the letter.
_ACCENTS = re.compile("[\u0300-\u036f\u064b-\u065f\u0640]")
_SAME = str.maketrans({"\u0131": "i", "؟": "?", "،": ","})  # Turkish's dotless i, Arabic punctuation
_CJK = "\u1100-\u11ff\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3"
# Letters and digits of folded text of every other script, with the marks that belong to them.
_LETTERS = (
    "0-9_a-z\u00df-\u00f6\u00f8-\u02af\u0370-\u060b\u060d-\u061a\u0620-\u066f\u0671-\u06d3\u06d5-\u0963\u0966-\u10ff"
    "\u1e00-\u1fff"
)
_TOKEN = re.compile(
    "c\\+\\+|[cf]#"  # languages whose names are no words
    f"|[{_CJK}]"  # each a word of its own
    f"|[{_LETTERS}]+"
    "|[.:;,](?=\\s|$)|[!?\\n。、।]"  # what ends a sentence, or a part of it
)
_BREAKS = frozenset(".:;,!?\n。、।")
_STRETCHED = re.compile(r"([a-z])\1{2,}")
_SHORT = 100
"""Texts shorter than this may be greetings like "heyyy"."""
# By the high byte of a word's first character; Chinese characters (zh) come last.
_SCRIPTS = {0x04: "ru", 0x06: "ar", 0x09: "hi", 0x11: "ko", 0x30: "ja"}
_SCRIPTS |= dict.fromkeys(range(0xAC, 0xD8), "ko") | dict.fromkeys(range(0x34, 0xA0), "zh")


def edges(text: str, size: int, gap: str = "\n") -> str:
    """`text`, or where it is longer than both, its first and last `size` characters with `gap` between."""
    return text if len(text) <= 2 * size else f"{text[:size]}{gap}{text[-size:]}"


def fold(text: str) -> str:
    """One spelling for what reads the same: no case, no accents, no width variants (`Résumé` is `resume`)."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text)
    decomposed = unicodedata.normalize("NFKD", decomposed.casefold())
    return unicodedata.normalize("NFC", _ACCENTS.sub("", decomposed).translate(_SAME))


class Words(NamedTuple):
    """The words of a text, and where its sentences begin."""

    words: list[str]
    starts: set[int]
    """Indexes of words that begin a sentence, or a part after a comma."""
    lone: set[int]
    """Indexes of words that are a sentence by themselves ("URGENT: …")."""
    question: bool
    """There is a question mark."""


def split(text: str) -> Words:
    """The words of a text, folded; of a long one, those at its two ends."""
    gap = " … "  # ends no sentence: what stands after it begins amid one
    folded = edges(fold(edges(text, EDGE_CHARACTERS, gap)), EDGE_CHARACTERS, gap)  # folding may lengthen
    if len(folded) < _SHORT:
        folded = _STRETCHED.sub(r"\1", folded)
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
    return Words(words, starts, lone, question)


class Phrase(NamedTuple):
    """One phrase of the vocabulary."""

    words: list[str]
    concept: str
    text: str
    """As the vocabulary spells it: what evidence may quote."""

    def fits(self, words: list[str], at: int) -> bool:
        """Do the words from `at` on spell it? The slow way, for phrases with stems."""
        if at + len(self.words) > len(words):
            return False
        return all(
            other.startswith(own[:-1]) if own[-1] == "*" else own == other
            for own, other in zip(self.words, words[at : at + len(self.words)], strict=True)
        )


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
            words += split(piece).words
            if piece.endswith("*"):
                words[-1] += "*"
        if words:
            phrases.append(Phrase(words, concept, text))
    return phrases


class Lexicon:
    """The phrases of one language, kept by their first word; those with stems by its first three letters."""

    def __init__(self, language: Language) -> None:
        self.language = language
        phrases = [phrase for concept in CONCEPTS for phrase in _phrases(getattr(language, concept), concept)]
        phrases += _phrases(CERTAIN_NAMES, "name") + _phrases(SHARED_NAMES, "shared_name")
        phrases.sort(
            key=lambda phrase: -len(phrase.words)
        )  # the longest first; sort keeps the order of concepts
        self._plain: dict[str, list[tuple[int, list[str], Phrase]]] = {}
        self._stems: dict[str, list[Phrase]] = {}
        for phrase in phrases:
            words = phrase.words
            if any(word[-1] == "*" for word in words):
                self._stems.setdefault(words[0].rstrip("*")[:3], []).append(phrase)
            else:
                self._plain.setdefault(words[0], []).append((len(words), words[1:], phrase))

    def find(self, words: list[str]) -> list[Hit]:
        """The phrases among `words`, in order and without overlap."""
        plain, stems = self._plain, self._stems
        hits, at = [], 0
        while at < len(words):
            word = words[at]
            found = None
            for length, rest, phrase in plain.get(word, ()):
                if length == 1 or words[at + 1 : at + length] == rest:
                    found = phrase
                    break
            if stems and (found is None or len(found.words) == 1):
                for phrase in stems.get(word[:3], ()):
                    if (found is None or len(phrase.words) > 1) and phrase.fits(words, at):
                        found = phrase
                        break
            if found is None:
                at += 1
            else:
                hits.append(Hit(at, at + len(found.words), found.concept, found.text))
                at += len(found.words)
        return hits


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
    if not all([word.isascii() for word in words]):  # noqa: C419  # a list is faster
        script = _script_of(words)
        if script:
            return script
    votes = dict.fromkeys(LEXICONS, 0.0)
    for word in set(words):
        for code, vote in _VOTERS.get(word, {}).items():
            votes[code] += vote
    return max(votes, key=lambda code: votes[code])


def _script_of(words: Sequence[str]) -> str | None:
    """The language whose script most words are in; None where that is Latin's, or unknown."""
    latin = 0
    scripts: dict[str, int] = {}
    for block, count in Counter([ord(word[0]) >> 8 for word in words]).items():
        script = _SCRIPTS.get(block)
        if script:
            scripts[script] = scripts.get(script, 0) + count
        else:
            latin += count
    if not scripts:
        return None
    if "ja" in scripts:  # kana; Japanese also writes with Chinese characters, never the other way round
        scripts["ja"] += scripts.pop("zh", 0)
    most = max(scripts, key=lambda code: scripts[code])
    # A character of Chinese, Japanese or Korean is about half a word; a few foreign names do not make a text theirs.
    weight = 0.5 if most in {"zh", "ja", "ko"} else 1
    return most if scripts[most] * weight >= latin / 2 else None

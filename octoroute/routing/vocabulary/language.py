"""What a language tells: for each concept that inference knows, the words and phrases that express it.

A field is one concept; phrases are separated by "|". A word that ends in "*" is a stem: any ending matches
(`функци*`). Case, accents, apostrophes and hyphens do not matter ("what's" is `what s`). Characters of Chinese,
Japanese and Korean are words of their own, so phrases of these languages match without any spaces. Where several
phrases begin at the same word, the longest wins.
"""

from __future__ import annotations

import msgspec


class Language(msgspec.Struct, frozen=True, kw_only=True):
    """One language's words. Concepts that a language has no words for stay empty."""

    code: str
    """ISO 639-1."""
    free_order: bool = False
    """Verbs may stand last and question words anywhere (Japanese, Turkish …)."""

    common: str = ""
    """Frequent little words that tell the language from its neighbours; no concept."""
    lead: str = ""
    """Polite beginnings, after which the sentence really begins ("could you", "I want you to")."""
    filler: str = ""
    """What may stand beside small talk without making it a task ("today", "so much", "everyone")."""
    greeting: str = ""
    """Hello, thanks, good-bye."""
    small_talk: str = ""
    """Questions and remarks that are talk by themselves: well-being, weather, jokes, "who are you"."""
    make: str = ""
    """Acts that say little without their object: write, create, fix, give me."""
    creative: str = ""
    """Works of imagination: poem, story, lyrics, essay."""
    style: str = ""
    """What asks for imagination without naming a work: "in the style of", role play."""
    script: str = ""
    """A program, or beside a word of `stage` a play."""
    stage: str = ""
    """Film, theatre, video."""
    programming: str = ""
    """What only programmers say: regex, unit test, stack trace."""
    thing: str = ""
    """What programmers say, and others too: function, class, test, list."""
    plain: str = ""
    """Objects of writing that belong to none of the six types: email, letter, recipe, title."""
    other: str = ""
    """Acts that belong to none of the six types: translate, proofread, go on."""
    summarize: str = ""
    """Asking for less text: summarize, key points, tl;dr."""
    analyze: str = ""
    """Acts of reasoning: analyse, compare, prove, design."""
    depth: str = ""
    """What such reasoning is about: trade-offs, root cause, pros and cons."""
    explain: str = ""
    """Acts that ask for knowledge: explain, describe, calculate."""
    ask: str = ""
    """Question words: who, what, why."""
    yes_no: str = ""
    """First words of a question without a question word: is, does, can."""
    elsewhere: str = ""
    """Where programmers' words mean something else: liver, pupils, island, film."""
    urgent: str = ""
    """The request itself matters: "this is critical", "production is down", "be thorough"."""
    urgent_cry: str = ""
    """The same as a sentence of its own: "URGENT: …"."""
    relaxed: str = ""
    """The request itself matters little: "quick question", "no rush"."""


CONCEPTS = tuple(
    field for field in Language.__struct_fields__ if field not in {"code", "free_order", "common"}
)

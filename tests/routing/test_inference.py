"""Task type and importance from words: the hand-written table, and the traps of naive matching."""

from __future__ import annotations

from collections import Counter

import pytest

from octoroute.routing import inference, structure
from octoroute.routing.inference import POINTS, infer
from octoroute.routing.vocabulary import LANGUAGES
from octoroute.routing.vocabulary.language import CONCEPTS
from octoroute.routing.words import LEXICONS, _phrases
from tests.routing.prompts import PROMPTS, Prompt

TASKS = (
    "casual_chat",
    "code",
    "creative_writing",
    "deep_analysis",
    "document_summary",
    "question_answer",
    "none",
)


@pytest.mark.parametrize("prompt", PROMPTS, ids=lambda prompt: f"{prompt.language}: {prompt.text[:40]}")
def test_every_prompt_of_the_table(prompt: Prompt) -> None:
    inferred = infer(prompt.text)
    assert (inferred.task_type or "none") == prompt.said, inferred.evidence


def test_the_table_has_every_language_and_every_type() -> None:
    counts = Counter((prompt.language, prompt.wanted) for prompt in PROMPTS)
    assert {language.code for language in LANGUAGES} == {prompt.language for prompt in PROMPTS}
    assert all(counts[language.code, task] >= 2 for language in LANGUAGES for task in TASKS)
    assert len(PROMPTS) >= 250


def test_no_known_miss_is_called_small_talk() -> None:
    assert not [prompt for prompt in PROMPTS if prompt.said == "casual_chat" != prompt.wanted]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\t ",
        "…",
        "👍",
        "ok",
        "yes",
        "this",  # has "hi" in it
        "which",
        "thanks, continue",
        "alles klar, weiter",
        "todo bien, sigue",
        "谢谢，继续",
        "hi, please undo that",
        "Hello, everything is broken since the upgrade",
        "thanks! now the next chapter",
        "good morning vietnam is a film",
        "How are you able to keep the cache coherent across nodes?",
        "What can you do about climate change?",
        "Explain the weather to me",
        "xylophone zebra",
        "สวัสดีครับ ช่วยเขียนโปรแกรมให้หน่อย",  # a language that the vocabulary does not have
    ],
)
def test_without_evidence_it_is_never_small_talk(text: str) -> None:
    assert infer(text).task_type != "casual_chat"


@pytest.mark.parametrize(
    "text",
    [
        "What is the postal code of Springfield?",
        "What is the function of the liver?",
        "Which class should students take first?",
        "Where is the island of Java?",
        "How long does a python live?",
        "What bug has eight legs?",
        "Where do I go to vote?",
        "What is the dress code for a funeral?",
        "How many strings does a violin have?",
        "Who was Kafka?",
        "What do pandas eat?",
        "Wer ist Vulkan, der Gott des Feuers?",
    ],
)
def test_programmers_words_outside_programming(text: str) -> None:
    assert infer(text).task_type != "code"


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("```\nx\n```", "code_fence"),
        ('Traceback (most recent call last):\n  File "a.py", line 1', "traceback"),
        ("java.lang.NullPointerException\n    at com.example.Main.run(Main.java:5)", "traceback"),
        ("@@ -1,2 +1,2 @@\n-a\n+b", "diff"),
        ("SELECT a FROM b", "sql"),
        ("def f(x):\n    return x", "code_line"),
        ("int main() {\n  x = 1;\n}\n", "code_lines"),
        ("look at src/app.py", "file_name"),
    ],
)
def test_the_shape_of_code_is_evidence(text: str, shape: str) -> None:
    inferred = infer(text)
    assert inferred.task_type == "code"
    assert shape in inferred.evidence


def test_what_is_fenced_gives_no_instructions() -> None:
    assert infer("Explain:\n```\n# write a poem about the sea\n```").task_type == "code"


def test_summarizing_a_fenced_text_is_a_contradiction_or_a_summary_never_talk() -> None:
    assert infer("Summarize:\n```\nThe council met.\n```").task_type in {"document_summary", None}


@pytest.mark.parametrize("place", ["head", "tail"])
def test_a_short_instruction_at_either_end_of_a_long_document(place: str) -> None:
    document = (
        "The council met on Tuesday. A poet wrote poems. Somebody fixed the function of the script. " * 300
    )
    text = (
        f"Summarize this text.\n\n{document}"
        if place == "head"
        else f"{document}\n\nSummarize the text above."
    )
    assert infer(text).task_type == "document_summary"


def test_the_first_act_is_the_task() -> None:
    assert infer("Write a Python function that summarizes a text").task_type == "code"
    assert infer("Write a poem about a function that analyzes logs").task_type == "creative_writing"
    assert infer("Summarize this poem").task_type == "document_summary"
    assert infer("Analyze this poem").task_type == "deep_analysis"


def test_a_script_is_a_play_beside_the_stage() -> None:
    assert infer("Write a script for a short film").task_type == "creative_writing"
    assert infer("Write a script that renames files").task_type == "code"


def test_evidence_names_our_vocabulary_and_nothing_else() -> None:
    inferred = infer("Please write a poem about Frau Secretname from Musterstadt")
    assert inferred.evidence == ("make+creative:write+poem",)
    assert infer("Schreibe FUNKTIONEN für Geheimnis").evidence == (
        "make+code:schreibe+funktionen",
        "thing:funktionen",
    )


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("What is the capital of Peru?", "en"),
        ("Was ist die Hauptstadt von Peru?", "de"),
        ("Translate 你好 into English", "en"),
        ("用Python写一个排序函数", "zh"),
        ("Pythonで関数を書いて", "ja"),
        ("xyzzy", None),
        ("", None),
    ],
)
def test_language(text: str, language: str | None) -> None:
    assert infer(text).language == language


@pytest.mark.parametrize(
    ("text", "importance"),
    [
        ("This is critical. Check my contract.", "high"),
        ("URGENT: the site does not load", "high"),
        ("Our production is down, what now?", "high"),
        ("Take your time and be thorough.", "high"),
        ("Explain this. Be very careful.", "high"),
        ("Das ist dringend: wer hat Dienst?", "high"),
        ("C'est urgent, comment faire ?", "high"),
        ("这很重要，请仔细检查", "high"),
        ("Quick question: who wrote Faust?", "low"),
        ("Just curious, why is the sky blue?", "low"),
        ("Kurze Frage: wer schrieb Faust?", "low"),
        ("no rush, but summarize this", "low"),
        ("What is critical theory?", None),
        ("Summarize this urgent memo", None),
        ("Why is it that it is very important to vote?", None),
        ("Who wrote Faust?", None),
        ("Urgent questions of our time are discussed here", None),
        ("Quick question. This is critical.", None),
    ],
)
def test_importance_needs_words_about_the_request_itself(text: str, importance: str | None) -> None:
    assert infer(text).importance == importance


def test_no_phrase_stands_for_two_concepts() -> None:
    for language in LANGUAGES:
        seen: dict[tuple[str, ...], str] = {}
        for concept in CONCEPTS:
            for phrase in _phrases(getattr(language, concept), concept):
                assert seen.setdefault(tuple(phrase.words), concept) == concept, (language.code, phrase.text)


def test_every_kind_of_evidence_has_points() -> None:
    assert set(inference._AT_MOST) <= set(POINTS)
    assert {shape.name for shape in structure.SHAPES} <= set(POINTS)
    assert {f"make+{kind}" for kind in inference._OBJECTS.values()} <= set(POINTS)


def test_every_language_has_words_for_what_decides() -> None:
    for code, lexicon in LEXICONS.items():
        for concept in (
            "greeting",
            "small_talk",
            "make",
            "creative",
            "thing",
            "summarize",
            "analyze",
            "ask",
            "urgent",
        ):
            assert getattr(lexicon.language, concept), (code, concept)


def test_an_exams_question_is_a_question_whatever_its_verbs_are() -> None:
    """Found with public multiple-choice sets: of what they sent to deep, deep gained less than elsewhere."""
    options = "A. It falls.\nB. It rises.\nC. It stays.\nD. Nobody knows."
    for text in (
        "Discuss the effects of heat on pressure.",
        "Evaluate the result.",
        "Compare: which is true?",
    ):
        inferred = infer(f"{text}\n{options}")
        assert inferred.task_type == "question_answer"
        assert "exam" in inferred.evidence


def test_two_or_three_options_may_be_what_is_to_be_compared() -> None:
    text = "Compare these designs in depth:\nA. One queue for all.\nB. One queue each.\nC. No queue."
    inferred = infer(text)
    assert inferred.task_type == "deep_analysis"
    assert "exam" not in inferred.evidence

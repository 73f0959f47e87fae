"""Words, sentences and phrases."""

from __future__ import annotations

from octoroute.routing.words import EDGE_CHARACTERS, LEXICONS, edges, fold, language_of, split


def test_edges_keeps_what_is_short_and_both_ends_of_what_is_long() -> None:
    assert edges("abcd", 2) == "abcd"
    assert edges("abcde", 2) == "ab\nde"


def test_fold_has_one_spelling_for_what_reads_the_same() -> None:
    assert fold("Résumé") == fold("RESUME") == "resume"
    assert fold("ＳＱＬ") == "sql"  # full width
    assert fold("ﬁnd") == "find"
    assert fold("Straße") == "strasse"
    assert fold("İSTANBUL") == fold("istanbul") == fold("ıstanbul")
    assert fold("가나다") == "가나다"
    assert fold("ガ") == fold("ｶﾞ") == "ガ"
    assert fold("هل؟") == "هل?"


def test_split_knows_where_sentences_begin() -> None:
    words = split("Hi. I use C++ and C#, version 3.5! Why? tl;dr")
    assert words.words == ["hi", "i", "use", "c++", "and", "c#", "version", "3", "5", "why", "tl", "dr"]
    assert words.starts == {0, 1, 6, 9, 10}
    assert words.lone == {0, 9}
    assert words.question


def test_characters_of_chinese_are_words() -> None:
    assert split("写Python代码。").words == ["写", "python", "代", "码"]


def test_devanagari_marks_belong_to_their_letters() -> None:
    assert split("क्या है।").words == ["क्या", "है"]


def test_the_tail_of_a_long_text_begins_amid_a_sentence() -> None:
    words = split("a " * EDGE_CHARACTERS + "write " * EDGE_CHARACTERS)
    assert words.starts == {0}


def test_stretched_words_of_short_texts() -> None:
    assert split("heyyyy sooo").words == ["hey", "so"]


def test_the_longest_phrase_wins_and_stems_take_any_ending() -> None:
    hits = LEXICONS["en"].find(split("good morning").words)
    assert [(hit.concept, hit.text) for hit in hits] == [("greeting", "good morning")]
    hits = LEXICONS["ru"].find(split("функциями").words)
    assert [(hit.concept, hit.text) for hit in hits] == [("thing", "функци*")]


def test_language_by_script_then_by_votes() -> None:
    assert language_of(split("これはペンです").words) == "ja"
    assert language_of(split("这是一支笔").words) == "zh"
    assert language_of(split("das ist ein Stift und nicht der andere").words) == "de"
    assert language_of([]) == "en"

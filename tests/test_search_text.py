"""search_text.py: fold texts that look alike to one spelling, in linear time."""

import unicodedata
from types import SimpleNamespace

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st

from feedback_push import search_text
from tests.slots import TEXTS

MARKS = "\u0301\u0323\u0344\u05b0\u05bc\u064b\u0f71\u0f73\u3099\uff9e\uff9f"
CHARACTERS = f"{MARKS}\u200d\u00ad\ufe0f\u202eaßİ\u0131ǅﬃ語カกÅΣ9._ "
TYPED = st.text(st.sampled_from(CHARACTERS) | st.characters(codec="utf-8"), max_size=40)
LONG = [unit * (200_000 // len(unit)) for unit in [*TEXTS.values(), *MARKS, f"{MARKS}\u200d", f"a{MARKS}"]]


@given(TYPED)
@example("\U0001d15e\u0f71\u0f72\u0f81")
def test_a_folded_text_stays_as_it_is_and_its_terms_are_safe_to_index(text: str) -> None:
    folded = search_text.fold(text)
    assert search_text.fold(folded) == folded
    stored = search_text.of(text)
    terms = stored.split(" ") if stored else []
    assert all(term and len(term) <= 100 for term in terms)
    assert not any(char.isascii() and not char.isalnum() for term in terms for char in term)
    assert not any(char.isspace() for term in terms for char in term)


@given(TYPED.map(lambda text: text[:20]))
def test_a_text_is_found_by_itself_in_any_form(text: str) -> None:
    stored = search_text.of(text)
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        query = search_text.query(unicodedata.normalize(form, text))
        assert all(phrase in stored for phrase in query.phrases)
        assert set(query.terms) <= set(stored.split())
        assert all(any(term.startswith(prefix) for term in stored.split()) for prefix in query.prefixes)


def test_no_long_run_of_marks_reaches_the_normalisation(monkeypatch: pytest.MonkeyPatch) -> None:
    longest = []

    def normalize(form: str, text: str) -> str:
        longest.append(max(map(len, regex.findall(r"[\p{M}\uff9e\uff9f]+", text)), default=0))
        return unicodedata.normalize(form, text)  # type: ignore[arg-type]

    monkeypatch.setattr(search_text, "unicodedata", SimpleNamespace(normalize=normalize))
    for text in LONG:
        search_text.of("Ada", "", text)
        search_text.query(text)
    assert 0 < max(longest) <= 2 * 30  # some marks unfold to two


def test_what_is_indexed_of_a_long_message_has_an_end() -> None:
    for text in LONG:
        assert len(search_text.of("Ada", "", text)) <= 180_000
    assert search_text.of("x" * 200, "a" * 40_000, "b " * 10_000 + "end").endswith(" b")


MARKED = [
    ("Ona Žąsis, ŽĄSYS", "zas", ["Žąsis", "ŽĄSYS"]),
    ("The works of workers", "work", ["works", "workers"]),
    ("No homework", "work", []),
    ("Die Stra\u00dfe STRASSE", "strasse", ["Stra\u00dfe", "STRASSE"]),
    ("Cafe\u0301 Donau\u00addampf", "CAF\u00c9 donaudampf", ["Cafe\u0301", "Donau\u00addampf"]),
    ("私は日本人です", "日本人 は", ["は日本人"]),
    ("日本と日本人", "日本人", ["日本人"]),
    ("\uff76\uff9e\uff77\uff9e", "ガギ", ["\uff76\uff9e\uff77\uff9e"]),
    ("<b>bold</b> & more", "b", ["b", "bold", "b"]),
    ("a" * 2000, "a" * 150, ["a" * 2000]),
    ("anything", "", []),
    ("anything", "!!!", []),
]


def test_the_words_that_a_search_finds_are_found_in_the_text_as_it_was_written() -> None:
    for text, typed, found in MARKED:
        spans = search_text.spans(text, search_text.query(typed))
        assert [text[start:end] for start, end in spans] == found, text


@given(TYPED, TYPED)
def test_the_places_of_words_are_within_the_text_and_apart_from_each_other(text: str, typed: str) -> None:
    ends = [at for span in search_text.spans(text, search_text.query(typed)) for at in span]
    assert ends == sorted(set(ends))
    assert all(0 <= at <= len(text) for at in ends)

"""typed_text.py: what people type, made storable."""

import pytest

from feedback_push.typed_text import storable


@pytest.mark.parametrize(
    "text", ["", "one\ntwo", "\ttabs\u2028and\ufeffmore\x07", "👩‍👩‍👧‍👦 سلام \U0010ffff", " blanks "]
)
def test_what_can_be_stored_is_kept_as_it_is(text: str) -> None:
    assert storable(text) == text


@pytest.mark.parametrize(
    ("typed", "stored"),
    [("a\0b\0", "ab"), ("\0", ""), ("a\ud83cb\udfff", "ab"), ("one\r\ntwo\r\n", "one\ntwo\n"), ("\r\0\n", "\n")],
)
def test_the_rest_is_left_out_and_line_ends_are_one_character(typed: str, stored: str) -> None:
    assert storable(typed) == stored


def test_a_field_that_was_not_sent_stays_so() -> None:
    assert storable(None) is None

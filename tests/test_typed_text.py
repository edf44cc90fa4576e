"""typed_text.py: forms accept only typed text, and make it storable."""

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from flask_wtf import FlaskForm
from hypothesis import given
from hypothesis import strategies as st
from wtforms import Field, Form, PasswordField, SelectMultipleField, StringField
from wtforms.validators import Length

from feedback_push.typed_text import TypedForm, is_blank, storable, trimmed
from tests.visits import Visitor

SEEN: list[str] = []


def seen(_form: Form, field: Field) -> None:
    SEEN.extend(field.data if isinstance(field.data, list) else [field.data or ""])


def seen_by_filter(value: str | None) -> str | None:
    SEEN.append(value or "")
    return value


def forms(parent: Any = FlaskForm) -> Iterator[Any]:
    for child in parent.__subclasses__():
        yield child
        yield from forms(child)


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


@given(st.text(alphabet=st.characters(exclude_categories=[])))
def test_every_typed_text_is_storable_afterwards(text: str) -> None:
    stored = storable(text)
    assert stored is not None
    assert "\0" not in stored
    stored.encode()
    assert storable(stored) == stored


# Zero-width and bidi controls, variation selectors, fillers, tags, blanks of all kinds, Braille's empty cell.
INVISIBLE = (
    "\u200b\u200c\u200d\u2060\ufeff\u200e\u200f\u061c\u202a\u202e\u2066\u2069\ufe00\ufe0f\U000e0100\u180b\u180e"
    "\u3164\u115f\u1160\uffa0\u2800\U000e0001\U000e0041\U000e007f\u00ad\u034f\u17b4\ufff9\u2064\u206f"
    "\u00a0\u1680\u2000\u200a\u2028\u2029\u202f\u205f\u3000 \t\n\v\f\r\x1c\x85\x00\x07\x7f\x9f"
)


def test_a_text_without_a_visible_character_is_blank() -> None:
    assert [character for character in INVISIBLE if not is_blank(character)] == []
    assert is_blank("")
    assert is_blank(None)
    assert is_blank(INVISIBLE * 1000)
    assert trimmed(INVISIBLE) == ""


def test_a_visible_character_among_the_invisible_ones_is_a_text_and_what_is_inside_stays() -> None:
    for text in (".", "\u0301", "👩\u200d👧", "❤\ufe0f", "\u0600", "عا\u200cشق", "\U000f0000"):
        assert not is_blank(f"{INVISIBLE}{text}{INVISIBLE}"), text
        assert trimmed(f"{INVISIBLE}{text}{INVISIBLE}") == text.rstrip("\ufe0f")
    assert trimmed(None) is None


@pytest.mark.usefixtures("app")
def test_every_form_takes_only_what_is_typed() -> None:
    assert [
        form for form in forms() if form.__module__.startswith("feedback_push") and not issubclass(form, TypedForm)
    ] == []


@pytest.mark.parametrize(
    "body",
    [
        {"json": {"content": 7, "submitter_name": ["Ada"]}},
        {"json": {"content": "Hello", "submitter_name": "Ada"}},
        {"json": 1e300},
        {"data": {"content": (BytesIO(b"Hello"), "x.txt"), "submitter_name": (BytesIO(b"Ada"), "y.txt")}},
    ],
)
def test_values_of_json_and_uploaded_files_are_not_typed(client: Visitor, body: dict[str, Any]) -> None:
    token = client.read("/feedback/").fields["csrf_token"]
    answer = client.post("/feedback/", headers={"X-CSRFToken": token, "Referer": client.site}, **body)
    assert answer.status_code == 422
    assert "Please write a message." in answer.text


class Small(TypedForm):
    """A form whose fields state their limit in three ways."""

    text = StringField(validators=[Length(max=5, message="At most %(max)s."), seen], filters=[seen_by_filter, storable])
    plain = StringField(validators=[seen], filters=[seen_by_filter])
    secret = PasswordField(validators=[Length(max=5), seen], filters=[seen_by_filter])
    many = SelectMultipleField(validators=[seen], validate_choice=False)


def filled_in(app: Flask, **typed: str | list[str]) -> Small:
    with app.test_request_context("/feedback/", method="POST", data=typed):
        form = Small(meta={"csrf": False})
        before = form.errors
        form.validate()
        assert form.errors == before
        return form


def test_what_is_too_long_is_cut_before_anything_looks_at_it_and_the_page_says_so(app: Flask) -> None:
    SEEN.clear()
    cut = "Only the beginning is shown here; go back to see the whole text."
    form = filled_in(app, text="x" * 6, plain="y" * 1001, secret="z" * 6, many=["m" * 101])
    assert form.errors == {
        "text": [f"At most 5. {cut}"],
        "plain": [f"Please use at most 1,000 characters. {cut}"],
        "secret": ["Please use at most 5 characters."],
        "many": [f"Please use at most 100 characters. {cut}"],
    }
    assert (form.text.data, form.plain.data, form.secret.data) == ("x" * 5, "y" * 1000, "z" * 5)
    assert max(map(len, SEEN)) == 1000


def test_what_fits_is_left_as_it_is_and_a_line_end_is_one_character(app: Flask) -> None:
    SEEN.clear()
    form = filled_in(app, text="\r\n" * 5, plain="é\r\n" * 500, many=[str(number) for number in range(40)])
    assert form.errors == {}
    assert (form.text.data, form.plain.data) == ("\n" * 5, "é\r\n" * 500)
    assert form.many.data == [str(number) for number in range(40)]

"""typed_text.py: forms that take nothing but what people type, and text made storable."""

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from flask_wtf import FlaskForm
from hypothesis import given
from hypothesis import strategies as st

from feedback_push.typed_text import TypedForm, storable
from tests.visits import Visitor


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
def test_whatever_is_typed_can_be_stored_afterwards(text: str) -> None:
    stored = storable(text)
    assert stored is not None
    assert "\0" not in stored
    stored.encode()
    assert storable(stored) == stored


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

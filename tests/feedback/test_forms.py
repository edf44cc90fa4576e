"""feedback/forms.py: accept and refuse a visitor's input."""

from typing import Any

import pytest
from flask import Flask, request
from werkzeug.datastructures import ImmutableMultiDict

from feedback_push.feedback.forms import LONGEST_CONTENT, FeedbackForm

CUT = "Only the beginning is shown here; go back to see the whole text."
FAMILY = "👩‍👩‍👧‍👦"


@pytest.fixture
def fill(app: Flask) -> Any:
    """Fills in the form, without the token that the views test."""

    def fill_in(**typed: str) -> FeedbackForm:
        fields = {"content": "Hello", "submitter_name": "Ada", **typed}
        with app.test_request_context("/feedback/", method="POST"):
            request.form = ImmutableMultiDict(fields)
            form = FeedbackForm(meta={"csrf": False})
            form.validate()
            return form

    return fill_in


@pytest.mark.parametrize(
    "typed",
    [
        {},
        {"submitter_email": ""},
        {"submitter_email": "ada@example.org"},
        {"submitter_email": "a..b@docomo.ne.jp"},
        {"submitter_email": "a.@docomo.ne.jp"},
        {"submitter_email": "ada@localhost"},
        {"submitter_email": "ümlaut@bücher.example"},
        {"content": "x" * LONGEST_CONTENT},
        {"content": FAMILY * 100, "submitter_name": FAMILY},
        {"content": "سلام", "submitter_name": "عایشه"},
        {"submitter_name": "x" * 200},
        {"content": "<script>alert(1)</script>", "submitter_name": "Robert'); DROP TABLE feedback_message;--"},
    ],
    ids=lambda typed: "-".join(typed) or "only-what-is-needed",
)
def test_ordinary_input_is_accepted(fill: Any, typed: dict[str, str]) -> None:
    form = fill(**typed)
    assert form.errors == {}
    assert {name: form[name].data for name in typed} == typed


@pytest.mark.parametrize(
    ("typed", "errors"),
    [
        ({"content": ""}, {"content": ["Please write a message."]}),
        ({"content": " \r\n\t "}, {"content": ["Please write a message."]}),
        ({"content": "\u200b\u3164\u2800\ufe0f\n"}, {"content": ["Please write a message."]}),
        ({"submitter_name": "\u202e\u115f"}, {"submitter_name": ["Please enter your name."]}),
        ({"content": "\0\ud800"}, {"content": ["Please write a message."]}),
        ({"content": "x" * (LONGEST_CONTENT + 1)}, {"content": [f"Please use at most 200,000 characters. {CUT}"]}),
        ({"submitter_name": ""}, {"submitter_name": ["Please enter your name."]}),
        ({"submitter_name": "   "}, {"submitter_name": ["Please enter your name."]}),
        ({"submitter_name": "x" * 201}, {"submitter_name": [f"Please use at most 200 characters. {CUT}"]}),
        ({"submitter_name": "👩" * 201}, {"submitter_name": [f"Please use at most 200 characters. {CUT}"]}),
        ({"submitter_email": "ada"}, {"submitter_email": ["This does not look like an e-mail address."]}),
        ({"submitter_email": "a@b@c"}, {"submitter_email": ["This does not look like an e-mail address."]}),
    ],
)  # fmt: skip
def test_a_missing_or_too_long_field_has_an_error_text(
    fill: Any, typed: dict[str, str], errors: dict[str, list[str]]
) -> None:
    assert fill(**typed).errors == errors


def test_an_address_that_is_too_long_is_refused(fill: Any) -> None:
    assert "submitter_email" in fill(submitter_email=f"{'a' * 310}@example.org").errors


def test_an_address_is_trimmed_and_blanks_are_none(fill: Any) -> None:
    for typed, kept in {
        " a.@docomo.ne.jp ": "a.@docomo.ne.jp",
        "\u200bada@example.org\u202c\n": "ada@example.org",
        "  ": "",
        "\u200b": "",
    }.items():
        form = fill(submitter_email=typed)
        assert (form.errors, form.submitter_email.data) == ({}, kept)


def test_characters_that_no_database_stores_are_removed(fill: Any) -> None:
    form = fill(content="a\0b\ud83dc\udc69d", submitter_name="A\0da", submitter_email="ada\0@example.org")
    assert form.errors == {}
    assert (form.content.data, form.submitter_name.data) == ("abcd", "Ada")
    assert form.submitter_email.data == "ada@example.org"


def test_line_ends_are_kept_as_one_character_each(fill: Any) -> None:
    assert fill(content="one\r\ntwo\n\r\nthree").content.data == "one\ntwo\n\nthree"

"""feedback/submissions.py: one place reads, checks, limits and stores a message, whichever way it comes."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from feedback_push.database import db
from feedback_push.feedback import conversations, lists, site_forms, submissions
from feedback_push.feedback.form_models import DEFAULT_KEY, Form, FormRecipient, Presence, RatingScale
from feedback_push.feedback.models import Message
from feedback_push.feedback.submissions import Invalid
from feedback_push.push.models import OutboxEntry
from tests.conftest import make_user
from tests.feedback.messages import own_form

QUESTIONS = [
    {"id": "why", "labels": {"en": "Why?", "de": "Warum?"}, "required": True, "long": True},
    {"id": "where", "labels": {"en": "Where?"}, "required": False, "long": False},
]
CATEGORIES = [{"en": "Bug", "de": "Fehler"}, {"en": "Praise"}]
ALL = {
    "content": "It works\r\n",
    "name": " Ada",
    "email": " ada@example.org ",
    "category": "Bug",
    "rating": "4",
    "page_url": "https://shop.example/cart?card=4111#top",
    "page_title": " The\n cart ",
    "answer_why": "Because",
}


def full_form(**more: Any) -> Form:
    asks = {"categories": CATEGORIES, "rating": RatingScale.STARS, "questions": QUESTIONS}
    return own_form(**{**asks, "name_field": Presence.OPTIONAL, **more})


def found(key: str = "shop") -> Form:
    form = site_forms.find(key)
    assert form
    return form


def errors(app: Flask, form: Form, sent: dict[str, Any], *, strict: bool = True) -> dict[str, list[str]]:
    with app.test_request_context("/", method="POST"):
        try:
            submissions.read(form, sent, strict=strict)
        except Invalid as invalid:
            return invalid.errors
    return {}


def test_all_fields_are_stored_and_the_message_is_found_by_each(any_app: Flask) -> None:
    full_form()
    with any_app.test_request_context("/", method="POST", headers={"Accept-Language": "de"}):
        submission = submissions.read(found(), {**ALL, "rating": 4}, strict=True)
        received = submissions.store(found(), submission, None, notify=True)
        db.session.commit()
    message = db.session.get_one(Message, received.message_id)
    texts = (message.content, message.submitter_name, message.submitter_email)
    assert texts == ("It works\n", " Ada", "ada@example.org")
    assert (message.form_key, message.category, message.rating) == ("shop", "Bug", "4")
    assert (message.page_url, message.page_title) == ("https://shop.example/cart", "The cart")
    assert message.answers == [{"question": "Why?", "answer": "Because"}]
    assert message.size == len(b"It works\nBecause")
    assert received.entry_id == message.outbox_id is not None
    assert conversations.is_accepted(received.token)
    for words in ("becau", "bug", "cart"):
        assert [row.id for row in lists.page(lists.Filter(words=words)).messages] == [message.id]


def test_the_query_of_a_pages_address_is_kept_only_if_the_owner_says_so(app: Flask) -> None:
    full_form(keeps_query=True)
    for sent, kept in {
        "https://shop.example/cart?card=4111#top": "https://shop.example/cart?card=4111",
        "https://bücher.example/ä b": "https://b%C3%BCcher.example/%C3%A4%20b",
        "http://[::1]:8000": "http://[::1]:8000/",
    }.items():
        with app.test_request_context("/", method="POST"):
            assert submissions.read(found(), {**ALL, "page_url": sent}).page_url == kept


def test_a_bad_value_is_named_by_its_field_and_nothing_is_read(app: Flask) -> None:
    full_form(email_field=Presence.REQUIRED)
    form = found()
    wrong: dict[str, list[Any]] = {
        "content": ["", " \u200b", "x" * 200_001, None, 5, ["a"], {"a": "b"}, True],
        "name": ["x" * 201, 5],
        "email": ["ada", "", "a@" + "b" * 400, ["ada@example.org"]],
        "category": ["Fehler", "Made up", "x" * 10_000_000, 1],
        "rating": ["6", 0, 6, -1, "up", 4.0, True, "x" * 10_000_000],
        "page_url": ["javascript:alert(1)", "/cart", "https://", "https://u:p@x.example/", "https://[", 5,
                     f"https://x.example/{'a' * 2000}", "x" * 10_000_000],
        "page_title": [5],
        "answer_why": ["", "\u3164", "x" * 5001, "x" * 10_000_000, 5],
        "answer_where": [{"a": 1}],
        "made_up": ["x"],
        "answer_none": ["x"],
        "submitter_name": ["Ada"],
    }  # fmt: skip
    for field, values in wrong.items():
        for value in values:
            assert list(errors(app, form, {**ALL, field: value})) == [field], (field, str(value)[:50])
    assert list(errors(app, form, {"x" * 1000: "x", **ALL})) == ["x" * 60]
    assert len(errors(app, form, {f"x{number}": "x" for number in range(1000)})) <= 30
    assert errors(app, form, {**ALL, "made_up": "x"}, strict=False) == {}


def test_a_field_that_is_off_is_unknown(app: Flask) -> None:
    own_form(email_field=Presence.OFF)
    assert list(errors(app, found(), {"content": "Hello", "name": "Ada", "email": "a@b.example", "rating": 1})) == [
        "name",
        "email",
        "rating",
    ]


def test_the_default_form_is_what_the_settings_say_until_it_has_a_row(app: Flask) -> None:
    form = found(DEFAULT_KEY)
    assert form.stored_key is None
    assert form.limits.notify_daily == app.extensions["settings"].notification_daily_limit
    assert form.name_field == Presence.REQUIRED
    own_form(DEFAULT_KEY, words={"en": {"title": "Hello"}})
    assert found(DEFAULT_KEY).words == {"en": {"title": "Hello"}}
    assert found(DEFAULT_KEY).stored_key is None
    with app.test_request_context("/", method="POST"):
        for made_up in ("", "Shop", "shop ", "../shop", "x" * 10_000, "confirm", "%00", "shop\n"):
            assert site_forms.find(made_up) is None


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
def test_only_the_chosen_administrators_are_notified(app: Flask) -> None:
    chosen = make_user("chosen@example.org")
    make_user("other@example.org")
    own_form(notifies_all=False, recipients=[FormRecipient(user_id=chosen.id)])
    with app.test_request_context("/", method="POST"):
        received = submissions.store(found(), submissions.read(found(), {"content": "Hello"}), None, notify=True)
        db.session.commit()
    entry = db.session.get_one(OutboxEntry, received.entry_id)
    assert entry.recipients == [chosen.id]
    conversation = conversations.find(received.token)
    assert conversation
    reply = db.session.get_one(OutboxEntry, conversations.write_again(conversation, "Again", notify=True))
    assert reply.recipients == [chosen.id]
    db.session.commit()
    db.session.delete(chosen)
    db.session.commit()
    assert site_forms.recipients("shop") is None  # rather all of them than nobody
    assert db.session.scalar(select(FormRecipient)) is None

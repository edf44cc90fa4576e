"""Notifications: Declarative Web Push JSON, never too large, and never cut inside a visible character."""

import json
import re
import time
from dataclasses import replace
from typing import Any

import pytest
import regex
from flask import Flask
from flask_babel import force_locale
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from feedback_push.database import db
from feedback_push.feedback import inbox
from feedback_push.feedback.models import Message
from feedback_push.push import notification
from feedback_push.push.models import OutboxEntry
from feedback_push.push.notification import (
    FEEDBACK,
    LARGEST_PAYLOAD,
    OPTIONAL_KINDS,
    TEST,
    Action,
    Kind,
    Notification,
    summarised,
    summary_of,
)

FAMILY = "\N{WOMAN}\N{ZERO WIDTH JOINER}\N{WOMAN}\N{ZERO WIDTH JOINER}\N{GIRL}\N{ZERO WIDTH JOINER}\N{BOY}"
FLAG = "\N{REGIONAL INDICATOR SYMBOL LETTER N}\N{REGIONAL INDICATOR SYMBOL LETTER L}"
ENGLAND = "\N{WAVING BLACK FLAG}" + "".join(chr(0xE0000 + ord(letter)) for letter in "gbeng") + "\N{CANCEL TAG}"
THUMB = "\N{THUMBS UP SIGN}\N{EMOJI MODIFIER FITZPATRICK TYPE-5}"
ACCENTED = "e\N{COMBINING ACUTE ACCENT}\N{COMBINING CEDILLA}"
HANGUL = "\N{HANGUL CHOSEONG HIEUH}\N{HANGUL JUNGSEONG A}\N{HANGUL JONGSEONG NIEUN}"
DEVANAGARI = "\N{DEVANAGARI LETTER KA}\N{DEVANAGARI VOWEL SIGN I}"
KEYCAP = "1\N{VARIATION SELECTOR-16}\N{COMBINING ENCLOSING KEYCAP}"
HEBREW = "\N{HEBREW LETTER SHIN}\N{HEBREW POINT QAMATS}\N{HEBREW POINT SHIN DOT}"
CLUSTERS = [FAMILY, FLAG, ENGLAND, THUMB, ACCENTED, HANGUL, DEVANAGARI, KEYCAP, HEBREW, "\r\n"]
_TYPED = st.text() | st.lists(st.sampled_from([*CLUSTERS, "a", " ", "\n", '"', "\\", "\x00", "\x1b", "é"])).map("".join)


def note(**fields: Any) -> Notification:
    usual = {
        "title": "Ada:",
        "body": "Hello",
        "navigate": "https://feedback.example.org/admin/messages/1",
        "tag": "m-1",
    }
    return Notification(**{**usual, **fields})


def test_the_payload_is_declarative_web_push() -> None:
    assert json.loads(note().to_json()) == {
        "web_push": 8030,
        "notification": {
            "title": "Ada:",
            "body": "Hello",
            "navigate": "https://feedback.example.org/admin/messages/1",
            "tag": "m-1",
            "dir": "auto",
            "data": {"receipt": ""},
        },
    }


def test_the_number_for_the_icon_stands_where_every_browser_looks() -> None:
    payload = json.loads(note(app_badge=0).to_json())
    assert (payload["app_badge"], payload["notification"]["app_badge"]) == (0, 0)
    assert len(note(app_badge=1000, body="x" * 5000).to_json().encode()) <= LARGEST_PAYLOAD


def test_its_actions_travel_with_the_address_that_each_opens() -> None:
    assert "actions" not in json.loads(note().to_json())["notification"]
    answer = Action("answer", "Answer", "https://feedback.example.org/admin/messages/1#answer")
    told = json.loads(replace(note(), actions=(answer,)).to_json())["notification"]["actions"]
    assert told == [
        {"action": "answer", "title": "Answer", "navigate": "https://feedback.example.org/admin/messages/1#answer"}
    ]


def test_text_of_any_script_travels_as_it_is() -> None:
    assert "שלום, مرحبا, 你好" in note(body="שלום, مرحبا, 你好").to_json()


def test_the_topic_is_32_base64url_characters_and_the_same_for_the_same_tag() -> None:
    assert re.fullmatch("[A-Za-z0-9_-]{32}", note().topic)
    assert note().topic == note(title="Grace:", body="Bye").topic
    assert note().topic != note(tag="m-2").topic


def test_a_text_of_120_characters_is_whole_and_one_of_121_is_cut() -> None:
    assert notification.excerpt("a" * 120) == "a" * 120
    assert notification.excerpt("a" * 121) == "a" * 120 + "..."


def test_the_cut_is_at_the_end_of_a_word_if_one_ends_within_the_last_20_characters() -> None:
    for end in range(90, 121):
        for space in (" ", "\n", "\N{NO-BREAK SPACE}", " \N{COMBINING ACUTE ACCENT}"):
            text = "a" * end + space + "b" * 50
            kept = text[:end] if end > 100 else text[:120]
            assert notification.excerpt(text) == kept + "...", (end, space)
    assert notification.excerpt("a" * 110 + FAMILY + " " * 40) == "a" * 110 + FAMILY + "..."
    assert notification.excerpt("我" * 200) == "我" * 120 + "..."  # a script without spaces


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_the_cut_is_never_inside_a_character(cluster: str) -> None:
    for before in range(120 - len(cluster), 121):
        text = "a" * before + cluster + "b" * 20
        whole = before + len(cluster) <= 120 and not cluster.isspace()  # or the cut is where the word ends
        kept = "a" * before + cluster if whole else "a" * before
        assert notification.excerpt(text) == (kept + "b" * 20)[: 120 if whole else before] + "..."


def test_flags_are_cut_in_pairs() -> None:
    assert notification.excerpt("a" + FLAG * 100) == "a" + FLAG * 59 + "..."


def test_a_character_longer_than_the_whole_excerpt_is_cut_all_the_same() -> None:
    zalgo = "e" + "\N{COMBINING ACUTE ACCENT}" * 1000
    assert notification.excerpt(zalgo) == zalgo[:120] + "..."


@given(_TYPED, st.integers(1, 200))
def test_an_excerpt_is_a_beginning_of_whole_characters(text: str, length: int) -> None:
    short = notification.excerpt(text, length)
    if len(text) <= length:
        assert short == text
        return
    kept = short.removesuffix("...")
    assert short == kept + "..."
    assert text.startswith(kept)
    assert len(kept) <= length
    clusters = regex.findall(r"\X", text)
    ends = {0, *(sum(map(len, clusters[: i + 1])) for i in range(len(clusters)))}
    assert len(kept) in ends or len(clusters[0]) > length


@given(
    body=st.text(st.characters(exclude_categories=["Cs"]))
    | st.text("\0\x1f\U0001f600\u0301", min_size=500, max_size=4000)
)
def test_whatever_the_body_is_the_payload_is_json_within_the_limit(body: str) -> None:
    payload = note(body=body).to_json()
    assert len(payload.encode()) <= LARGEST_PAYLOAD
    assert json.loads(payload)["notification"]["title"] == "Ada:"


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("a\x00b\x07c\x1b[31md\x7fe\x85f", "abc[31mdef"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\ud800half a pair\udfff", "half a pair"),
        (FAMILY + HEBREW, FAMILY + HEBREW),
        ("", ""),
    ],
)
def test_control_characters_are_left_out(typed: str, shown: str) -> None:
    assert notification.printable(typed) == shown


def test_a_payload_that_would_be_too_large_loses_from_its_body() -> None:
    payload = note(body="x" * 100_000).to_json()
    assert LARGEST_PAYLOAD // 2 < len(payload.encode()) <= LARGEST_PAYLOAD
    assert json.loads(payload)["notification"]["body"].endswith("x...")


def test_a_title_that_fills_the_payload_leaves_no_body() -> None:
    assert json.loads(note(title="t" * 2780, body=FAMILY * 20).to_json())["notification"]["body"] == ""


def test_a_payload_that_cannot_be_shortened_is_an_error() -> None:
    with pytest.raises(ValueError, match="too large"):
        note(title="t" * 3000).to_json()


def test_the_payload_without_its_body_keeps_everything_else() -> None:
    whole, short = json.loads(note().to_json()), json.loads(notification.without_body(note().to_json()))
    assert "body" not in short["notification"]
    assert {**short["notification"], "body": "Hello"} == whole["notification"]
    assert notification.without_body(json.dumps(short, separators=(",", ":"))) == json.dumps(
        short, separators=(",", ":")
    )


def bidi_free(text: str) -> str:
    return re.sub("[\u2066-\u2069]", "", text)


@given(name=_TYPED, content=_TYPED)
@example(name="\u2066" * 200, content="\u2066" * 100_000)
@example(name="Ada", content="Hello")
@example(name="Ada", content="h" * 100_000)
@example(name="\N{GRINNING FACE}" * 200, content=FAMILY * 4000)
@example(name='"' * 200, content="\\" * 100_000)
@example(name="\x00" * 200, content="\x1b" * 100_000)
@example(name="\n" * 200, content="\n" * 100_000)
@example(name="עדה", content="\N{RIGHT-TO-LEFT OVERRIDE}שלום " * 10_000)
@example(name="e" + "\N{COMBINING ACUTE ACCENT}" * 199, content="e" + "\N{COMBINING ACUTE ACCENT}" * 100_000)
@example(name="\uffff\U0010ffff", content="\u2028\u2029\ufeff")
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_was_typed_becomes_a_notification_within_the_limit(app: Flask, name: str, content: str) -> None:
    message = Message(content=content, submitter_name=name[:200], submitter_email="")
    try:
        entry = db.session.get_one(OutboxEntry, inbox.receive(message))
        shown = json.loads(entry.payload)["notification"]
        assert len(entry.payload.encode()) <= LARGEST_PAYLOAD
        assert shown["title"] == f"{notification.name(name[:200])}:"
        assert shown["body"] == notification.beginning(content)
        assert len(bidi_free(shown["body"])) <= 123
        site = app.extensions["settings"]
        assert shown["navigate"] == f"{site.site_url}{site.admin_url}messages/{message.id}"
    finally:
        db.session.rollback()


def test_a_very_long_text_costs_no_more_than_its_length() -> None:
    started = time.perf_counter()
    for text in ("a" * 100_000, FAMILY * 10_000, "e" + "\N{COMBINING ACUTE ACCENT}" * 100_000):
        notification.excerpt(notification.printable(text))
    assert time.perf_counter() - started < 60  # in quadratic time it would take hours


@pytest.mark.parametrize("kind", OPTIONAL_KINDS.values())
def test_a_code_leaves_room_for_what_a_summary_puts_before_it(kind: Kind) -> None:
    assert len(summary_of(kind)) <= OutboxEntry.kind.type.length
    assert OPTIONAL_KINDS[kind.code] is kind


def test_a_summary_knows_its_kind_and_nothing_else_is_one() -> None:
    assert summarised(summary_of(FEEDBACK)) is FEEDBACK
    assert summarised(FEEDBACK.code) is None
    assert summarised(TEST) is None
    assert summarised("summary:gone") is None


@pytest.mark.parametrize(
    ("language", "count", "words"),
    [("en", 1, "1 new message"), ("en", 2, "2 new messages"), ("en", 12345, "12,345 new messages")],
)
def test_a_summarys_title_is_a_translated_count(app: Flask, language: str, count: int, words: str) -> None:
    with force_locale(language):
        assert FEEDBACK.summary_title(count) == words

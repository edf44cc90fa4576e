"""feedback/search.py: every query finds the messages that contain it, on both databases."""

from datetime import timedelta

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, text

from feedback_push import database
from feedback_push.database import db, utcnow
from feedback_push.feedback import lists, search
from feedback_push.feedback.lists import Filter
from feedback_push.feedback.models import Message, MessageState
from tests.feedback.messages import message, receive
from tests.test_migrations import migrate


def found(typed: str) -> list[int]:
    return [row.id for row in lists.page(Filter(words=typed)).messages]


def forget(stored: Message) -> None:
    db.session.delete(stored)
    db.session.commit()


FOUND = [
    ("The search works", ["search", "SEARCH works", "wor sea"]),
    ("semi-detached", ["detached"]),
    ("write to eve.smith@example.com now", ["smith example"]),
    ("see https://example.org/a_path?x=1", ["path"]),
    ("Žąsis café", ["zasis CAFE", "žąsis cafe\u0301"]),
    ("cafe\u0301 Zasis", ["café", "žąsis"]),
    ("हिन्दी में", ["हिन्दी", "हि"]),
    ("שָׁלוֹם", ["שָׁלוֹם"]),
    ("한국어", ["한국"]),
    ("„Hello“ – she said…", ["hello said"]),  # noqa: RUF001
    ("don't", ["don't"]),
    ("version 12.5", ["12.5"]),
    ("v1e5 1e5", ["1e5", "v1"]),
    ("100 %", ["100"]),
    ("a" * 2000, ["a" * 20, "a" * 190]),
    ("Die Straße", ["strasse", "STRASSE", "straße", "STRA\u1e9eE"]),
    ("Die Strasse", ["straße"]),
    ("\uff35\uff34\uff26\uff0d\uff18 \uff76\uff9e\uff77\uff9e", ["utf 8", "ガ", "ガギ"]),
    ("UTF-8 ガギ", ["\uff35\uff34\uff26", "\uff76\uff9e\uff77\uff9e"]),
    ("İSTANBUL", ["istanbul", "İstanbul", "\u0131stanbul", "ISTANBUL"]),
    ("ISPARTA", ["\u0131sparta", "isparta", "İsparta"]),
    ("\u0131sparta", ["ISPARTA", "isparta"]),
    ("Łódź Ærø", ["lodz aero", "łódź ærø"]),
    ("ΣΊΣΥΦΟΣ", ["σισυφος", "σίσυφοσ"]),
    ("Donau\u00addampf", ["donaudampf"]),
    ("私は日本人です", ["日本", "日本人", "私", "人", "す", "本 私は", "日本人です"]),
    ("日本語です", ["日本語"]),
    ("Python入門", ["入門", "python入", "門"]),
    ("辻\U000e0100さん", ["辻さん"]),
    ("ฉันกินข้าว", ["กินข้าว", "ข้า", "ก"]),
    ("ຂ້ອຍກິນເຂົ້າ", ["ກິນ"]),
    ("ខ្ញុំញ៉ាំបាយ", ["ញ៉ាំ"]),
    ("ကျွန်တော်", ["တော်"]),
]
NOT_FOUND = [("日本 人気", "日本人"), ("本日は人", "日本"), ("日本人 人本日", "日本人本"), ("กน", "กิน"), ("דג", "דָּג")]


@pytest.mark.usefixtures("any_app")
def test_a_search_finds_texts_that_look_the_same() -> None:
    receive(content="Something else")
    for stored, queries in FOUND:
        wanted = receive(content=stored)
        assert [found(typed) for typed in queries] == [[wanted.id]] * len(queries), stored
        forget(wanted)
    for stored, typed in NOT_FOUND:
        other = receive(content=stored)
        assert found(typed) == [], stored
        forget(other)


@pytest.mark.usefixtures("any_app")
def test_name_and_address_are_searched_too_and_all_words_must_be_there() -> None:
    ada = receive(submitter_name="Ada Lovelace", submitter_email="ada@example.org", content="An engine")
    receive(submitter_name="Ada Smith", content="A loom")
    assert found("love") == [ada.id]
    assert found("example") == [ada.id]
    assert found("ada engine") == [ada.id]
    assert found("ada engine loom") == []


SYNTAX = [
    *('"', "'", "hello AND", "NOT hello", "hello OR", "content:hello", "hello*", "(hello", "^hello", "{hello}"),
    *("NEAR(a b)", "hello & !", "<->", "\\", "a:*", "%", "_", "\u0301", "\u200d", "hello\u2028", "🙂", "!!!"),
    *("日本" * 50, "日 " * 100, "\u05b0\u05bc" * 100, "'日本':*", "日%本", "日_本"),
]


@pytest.mark.usefixtures("any_app")
def test_nothing_that_is_typed_is_an_error() -> None:
    receive(content="hello")
    for typed in SYNTAX:
        assert found(typed) in ([], [1]), typed


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stored=st.text(), typed=st.text())
@pytest.mark.usefixtures("any_app")
def test_no_text_is_too_strange_to_be_stored_or_searched_for(stored: str, typed: str) -> None:
    try:
        kept = receive(content=f"{stored} first".replace("\x00", ""))
        found(typed)
        assert found("first") == [kept.id]
    finally:
        db.session.rollback()
        db.session.execute(delete(Message))
        db.session.commit()


@pytest.mark.usefixtures("app")
def test_signs_alone_find_nothing() -> None:
    receive(content="???")
    assert found("???") == []
    assert found(" ") == []


LONG = [
    "x" * 200_000,
    "語" * 200_000,
    "".join(f"{chr(0x4E00 + n % 20_000)}{chr(0x4E00 + n // 20_000)} " for n in range(66_000)),
    "\ufdfa " * 100_000,
    "\U00020000" * 200_000,
    "e\u0301" * 100_000,
    ". " * 100_000,
    "\u0301\u0323" * 100_000,
    "\u05bc\u05b0" * 100_000,
    ("\u05bc\u05b0\u0591" * 9 + "\u200d") * 7_000,
    "\uff76" + "\uff9e\uff9f" * 100_000,
    "".join(f"{chr(0x20000 + n % 40_000)}{chr(0x20000 + n * 7 % 40_000)}" for n in range(100_000)),
    "".join(f"\ufdfa{chr(0x4E00 + n % 20_000)} " for n in range(66_000)),
]


@pytest.mark.usefixtures("any_app")
def test_no_message_is_too_long_to_be_stored() -> None:
    for content in LONG:
        stored = receive(content=f"first {content}"[:200_000])
        assert found("first")[0] == stored.id
        assert len(stored.search_text.encode()) < 2**20 - 1  # the most that a tsvector can hold


@pytest.mark.usefixtures("any_app")
def test_changed_and_removed_texts_are_no_longer_found() -> None:
    stored, other = receive(content="before"), receive(content="untouched")
    stored.content = "after"
    db.session.commit()
    assert (found("before"), found("after")) == ([], [stored.id])
    stored.state = MessageState.READ
    db.session.commit()
    assert found("after") == [stored.id]
    db.session.execute(delete(Message).where(Message.id == stored.id))
    db.session.commit()
    assert found("after") == []
    assert found("untouched") == [other.id]


def test_messages_from_before_the_upgrade_are_found_and_none_is_too_long_for_it(any_app: Flask) -> None:
    assert migrate(any_app, "downgrade", "0008")
    if db.engine.dialect.name == "postgresql":
        # It took a transaction of its own for each of these, and minutes.
        db.session.execute(text("DROP INDEX ix_feedback_message_search"))
    texts = ["Straße", *["a" + "\u0301\u0323" * 10_000] * 6, "b" + "\u05bc\u05b0" * 100_000, *["日本人"] * 250]
    insert = (
        "INSERT INTO feedback_message (content, submitter_name, submitter_email, created_at, state) "
        "VALUES (:content, 'Ädä', 'ada@example.org', '2026-01-01 00:00:00+00:00', 'new')"
    )
    db.session.execute(text(insert), [{"content": each} for each in texts])
    db.session.commit()
    database.upgrade(any_app)
    assert found("strasse ada example") == [1]
    assert found("a") == list(range(258, 208, -1))
    assert len(found("本人")) == 50
    assert found("b") == [8]
    later = receive(content="Strasse")
    assert found("straße") == [later.id, 1]
    if db.engine.dialect.name == "sqlite":
        assert migrate(any_app, "downgrade", "0008")
        matching = text("SELECT rowid FROM feedback_search WHERE feedback_search MATCH 'content:straße'")
        assert db.session.scalars(matching).all() == [1]


@pytest.mark.usefixtures("any_app")
def test_the_newest_come_first_page_by_page_however_many_match(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_LOOKED_THROUGH", 60)
    db.session.add_all(message(content="common" if number % 2 else "rare") for number in range(240))
    db.session.commit()
    pages = [lists.page(Filter(words="common"))]
    while cursor := pages[-1].older:
        pages.append(lists.page(Filter(words="common"), cursor))
    ids = [[row.id for row in page.messages] for page in pages]
    assert [len(page) for page in ids] == [50, 50, 20]
    assert [id_ for page in ids for id_ in page] == list(range(240, 0, -2))


@pytest.mark.usefixtures("app")
def test_only_the_first_words_count() -> None:
    stored = receive(content=" ".join(f"word{number}" for number in range(10)))
    assert found(f"{stored.content} another") == [stored.id]


@pytest.mark.usefixtures("app")
def test_as_many_are_counted_as_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    db.session.add_all(message(content="common 日本人" if number % 2 else "rare 本日") for number in range(130))
    db.session.commit()
    receive(content="common", state=MessageState.ARCHIVED)
    receive(content="common", deleted_at=utcnow())
    for words, number in {"common": 65, "日本人": 65, "日": 130, "nothing": 0, "!!!": 0, "": 130}.items():
        assert lists.count(Filter(words=words)) == number, words
    assert lists.count(Filter("all", words="common")) == 66
    assert lists.count(Filter("deleted", words="common")) == 1
    assert lists.count(Filter(words="common", since=utcnow() + timedelta(days=1))) == 0
    assert lists.count(Filter(words="common", until=utcnow() + timedelta(days=1))) == 65
    monkeypatch.setattr(lists, "MOST_COUNTED", 20)
    assert (lists.count(Filter(words="common")), lists.count(Filter())) == (20, 20)

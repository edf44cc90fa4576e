"""feedback/search.py: whatever is typed finds the messages that hold it, on both databases."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, update

from feedback_push.database import db
from feedback_push.feedback import lists, search
from feedback_push.feedback.lists import Filter
from feedback_push.feedback.models import Message, MessageState
from tests.feedback.messages import message, receive


def found(typed: str) -> list[int]:
    return [row.id for row in lists.page(Filter(words=typed)).messages]


@pytest.mark.usefixtures("any_app")
@pytest.mark.parametrize(
    ("stored", "typed"),
    [
        ("The search works", "search"),
        ("The search works", "SEARCH works"),
        ("The search works", "wor sea"),
        ("semi-detached", "detached"),
        ("write to eve.smith@example.com now", "smith example"),
        ("see https://example.org/a_path?x=1", "path"),
        ("Žąsis café", "zasis CAFE"),
        ("Zasis cafe", "žąsis café"),
        ("cafe\u0301", "café"),
        ("हिन्दी में", "हिन्दी"),
        ("שָׁלוֹם", "שָׁלוֹם"),
        ("日本語です", "日本語"),
        ("한국어", "한국"),
        ("„Hello“ – she said…", "hello said"),  # noqa: RUF001
        ("don't", "don't"),
        ("version 12.5", "12.5"),
        ("v1e5 1e5", "1e5"),
        ("100 %", "100"),
        ("a" * 2000, "a" * 20),
    ],
)
def test_a_word_is_found_by_its_beginning(stored: str, typed: str) -> None:
    receive(content="Something else")
    wanted = receive(content=stored)
    assert found(typed) == [wanted.id]


@pytest.mark.usefixtures("any_app")
def test_name_and_address_are_searched_too_and_all_words_must_be_there() -> None:
    ada = receive(submitter_name="Ada Lovelace", submitter_email="ada@example.org", content="An engine")
    receive(submitter_name="Ada Smith", content="A loom")
    assert found("love") == [ada.id]
    assert found("example") == [ada.id]
    assert found("ada engine") == [ada.id]
    assert found("ada engine loom") == []


@pytest.mark.usefixtures("any_app")
@pytest.mark.parametrize(
    "typed",
    [
        '"',
        "'",
        "hello AND",
        "NOT hello",
        "hello OR",
        "content:hello",
        "hello*",
        "(hello",
        "^hello",
        "{hello}",
        "NEAR(a b)",
        *("hello & !", "<->", "\\", "a:*", "%", "_", "\u0301", "\u200d", "hello\u2028", "🙂", "!!!"),
    ],
)
def test_nothing_that_is_typed_is_an_error(typed: str) -> None:
    receive(content="hello")
    assert found(typed) in ([], [1])


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


@pytest.mark.usefixtures("any_app")
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
    "".join(f"\ufdfa{chr(0x4E00 + n % 20_000)} " for n in range(66_000)),
]


@pytest.mark.usefixtures("any_app")
def test_no_message_is_too_long_to_be_stored() -> None:
    for content in LONG:
        stored = receive(content=f"first {content}"[:200_000])
        assert found("first")[0] == stored.id


@pytest.mark.usefixtures("any_app")
def test_what_is_changed_or_removed_is_not_found_as_it_was() -> None:
    stored, other = receive(content="before"), receive(content="untouched")
    db.session.execute(update(Message).where(Message.id == stored.id).values(content="after"))
    db.session.commit()
    assert (found("before"), found("after")) == ([], [stored.id])
    stored.state = MessageState.READ
    db.session.commit()
    assert found("after") == [stored.id]
    db.session.execute(delete(Message).where(Message.id == stored.id))
    db.session.commit()
    assert found("after") == []
    assert found("untouched") == [other.id]


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


@pytest.mark.usefixtures("any_app")
def test_only_the_first_words_count() -> None:
    stored = receive(content=" ".join(f"word{number}" for number in range(search.MOST_WORDS)))
    assert found(f"{stored.content} another") == [stored.id]

"""feedback/lists.py: the messages of a list, their number and their order."""

import re
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import delete, event, text, update

from feedback_push.database import db, utcnow
from feedback_push.feedback import lists
from feedback_push.feedback.lists import Filter
from feedback_push.feedback.models import LISTS, Message, MessageState
from tests.feedback.messages import message, receive

INBOX = Filter()
NOW = utcnow()


def ids(shown: Filter, before: int | None = None) -> list[int]:
    return [row.id for row in lists.page(shown, before).messages]


def at(days_ago: float) -> datetime:
    return NOW - timedelta(days=days_ago)


@pytest.fixture
def one_in_each(app: Flask) -> dict[str, int]:
    """The id of a message in each state, and of a deleted one of each."""
    for state in MessageState:
        receive(state=state, deleted_at=utcnow())
    return {state.value: receive(state=state).id for state in MessageState}


def test_each_list_shows_its_own_and_nothing_that_is_deleted(one_in_each: dict[str, int]) -> None:
    shown = {name: ids(Filter(name)) for name in LISTS}
    assert shown == {
        "inbox": [one_in_each["read"], one_in_each["new"]],
        "new": [one_in_each["new"]],
        **{name: [one_in_each[name]] for name in ("answered", "archived", "spam")},
    }
    assert ids(Filter(lists.ALL)) == [one_in_each[state] for state in ("spam", "archived", "answered", "read", "new")]
    assert ids(Filter(lists.DELETED)) == [5, 4, 3, 2, 1]
    assert lists.counts() == {"inbox": 2, "new": 1, "answered": 1, "archived": 1, "spam": 1, "deleted": 5}
    assert lists.unread() == 1


@pytest.mark.usefixtures("app")
def test_the_newest_messages_come_first_and_every_page_follows_the_one_before() -> None:
    stored = [receive(content=str(number)).id for number in range(2 * lists.PAGE_SIZE + 1)]
    newest = list(reversed(stored))
    first = lists.page(INBOX)
    assert [row.id for row in first.messages] == newest[:50]
    assert first.is_first
    receive(content="one that arrives meanwhile")
    second = lists.page(INBOX, first.older)
    assert [row.id for row in second.messages] == newest[50:100]
    assert not second.is_first
    third = lists.page(INBOX, second.older)
    assert [row.id for row in third.messages] == newest[100:]
    assert third.older is None


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize(("stored", "has_older"), [(0, False), (49, False), (50, False), (51, True)])
def test_there_is_an_older_page_only_where_there_are_older_messages(stored: int, has_older: bool) -> None:
    db.session.add_all(message() for _ in range(stored))
    db.session.commit()
    page = lists.page(INBOX)
    assert len(page.messages) == min(stored, 50)
    assert (page.older is not None) is has_older


@pytest.mark.usefixtures("app")
def test_a_removed_message_leaves_the_pages_whole() -> None:
    stored = [receive().id for _ in range(52)]
    cursor = lists.page(INBOX).older
    assert cursor == stored[2]
    db.session.execute(delete(Message).where(Message.id == cursor))
    assert ids(INBOX, cursor) == [stored[1], stored[0]]
    assert ids(INBOX, 0) == []
    assert lists.page(INBOX, -1).older is None


@pytest.mark.usefixtures("app")
def test_the_list_holds_the_beginning_of_a_long_text() -> None:
    receive(content="é" * 100_000)
    [row] = lists.page(INBOX).messages
    assert row.beginning == "é" * 300


@pytest.mark.usefixtures("app")
def test_counting_stops_at_a_thousand() -> None:
    db.session.add_all(message() for _ in range(lists.MOST_COUNTED + 5))
    db.session.commit()
    assert (lists.unread(), lists.counts()["inbox"]) == (1000, 1000)
    db.session.execute(update(Message).where(Message.id > 10).values(state=MessageState.READ))
    assert (lists.unread(), lists.counts()["inbox"]) == (10, 1000)


def test_to_count_no_message_is_read_but_its_index_only(any_app: Flask) -> None:
    db.session.add_all(message(state="new" if number < 100 else "read") for number in range(3000))
    db.session.commit()
    on_postgresql = db.engine.dialect.name == "postgresql"
    if on_postgresql:
        with db.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(text("VACUUM ANALYZE feedback_message"))
    asked: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    lists.unread()
    statement = re.sub(r"\?|%\(\w+\)s(::\w+)?", "1000", asked[-1])
    explain = "EXPLAIN" if on_postgresql else "EXPLAIN QUERY PLAN"
    plan = " ".join(str(row) for row in db.session.execute(text(f"{explain} {statement}")))
    assert ("Index Only Scan" if on_postgresql else "COVERING INDEX") in plan
    assert "ix_feedback_message_new" in plan


def test_the_deleted_messages_are_found_by_their_index(any_app: Flask) -> None:
    db.session.add_all(message(deleted_at=NOW if number == 7 else None) for number in range(2000))
    db.session.commit()
    on_postgresql = db.engine.dialect.name == "postgresql"
    if on_postgresql:
        db.session.execute(text("ANALYZE feedback_message"))
        db.session.commit()
    asked: list[tuple[str, object]] = []
    event.listen(db.engine, "before_cursor_execute", lambda *args: asked.append((args[2], args[3])))
    assert ids(Filter(lists.DELETED)) == [8]
    explain = "EXPLAIN" if on_postgresql else "EXPLAIN QUERY PLAN"
    statement, values = asked[-1]
    plan = db.session.connection().exec_driver_sql(f"{explain} {statement}", values)  # type: ignore[arg-type]
    assert "ix_feedback_message_deleted_at" in " ".join(str(row) for row in plan)


@pytest.mark.usefixtures("any_app")
def test_the_dates_include_their_beginning_and_exclude_their_end() -> None:
    stored = {days: receive(created_at=at(days)).id for days in (5, 4, 3, 2, 1)}
    assert ids(Filter(since=at(3))) == [stored[1], stored[2], stored[3]]
    assert ids(Filter(until=at(3))) == [stored[4], stored[5]]
    assert ids(Filter(since=at(4), until=at(2))) == [stored[3], stored[4]]
    assert ids(Filter(since=at(0.5))) == []
    assert ids(Filter(until=at(6))) == []
    assert ids(Filter(since=at(2), until=at(4))) == []
    assert ids(Filter(since=at(4)), stored[2]) == [stored[3], stored[4]]
    assert ids(Filter(since=at(4), words="hello")) == [stored[1], stored[2], stored[3], stored[4]]


@pytest.mark.usefixtures("any_app")
def test_writers_who_overtook_each_other_are_found_by_their_dates() -> None:
    late, early = receive(created_at=at(1)).id, receive(created_at=at(2)).id
    assert ids(Filter(since=at(1.5))) == [late]
    assert ids(Filter(until=at(1.5))) == [early]
    assert ids(Filter(since=at(3), until=at(0))) == [early, late]


@pytest.mark.usefixtures("app")
def test_what_has_come_after_a_message_is_found_in_its_list_only() -> None:
    known = receive(content="common").id
    receive(state=MessageState.SPAM)
    first, second = receive(content="common").id, receive(content="other").id
    assert [row.id for row in lists.since(INBOX, known)] == [second, first]
    assert [row.id for row in lists.since(Filter(words="common"), known)] == [first]
    assert lists.since(INBOX, second) == []


@pytest.mark.usefixtures("app")
def test_the_neighbours_of_a_message_are_those_of_its_list() -> None:
    oldest, spam, middle, newest = (
        receive(content=content, state=state).id
        for content, state in (("one", "new"), ("one", "spam"), ("two", "new"), ("one", "read"))
    )
    assert lists.neighbours(INBOX, middle) == (newest, oldest)
    assert lists.neighbours(INBOX, newest) == (None, middle)
    assert lists.neighbours(INBOX, oldest) == (middle, None)
    assert lists.neighbours(INBOX, spam) == (middle, oldest)
    assert lists.neighbours(Filter(words="one"), newest) == (None, oldest)
    assert lists.neighbours(Filter(words="one"), oldest) == (newest, None)


@pytest.mark.usefixtures("any_app")
def test_all_parts_together_are_the_list_and_no_transaction_is_open_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "PART_SIZE", 2)
    stored = [receive(content=f"Message {number}").id for number in range(5)]
    receive(state=MessageState.ARCHIVED)
    seen = []
    for part in lists.parts(INBOX):
        assert not db.session().in_transaction()
        seen.append([each.message.id for each in part])
    assert seen == [stored[:2:-1], stored[2:0:-1], stored[:1]]
    assert not db.session().in_transaction()

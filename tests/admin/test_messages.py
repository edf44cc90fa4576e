"""admin/messages.py: lists and filters in the address, and updates of an open page."""

import re
from datetime import UTC, datetime

import pytest
from flask import Flask
from sqlalchemy import update

from feedback_push import sqlite
from feedback_push.auth.models import User
from feedback_push.database import db, utcnow
from feedback_push.feedback import lists
from feedback_push.feedback.models import LISTS, Message, MessageState
from feedback_push.feedback.spam_reasons import SpamReason
from tests.conftest import PASSWORD, make_user
from tests.feedback.messages import message, receive
from tests.visits import Page, Visitor


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    visitor = Visitor(app)
    visitor.sign_in(make_user("staff@example.org").email, PASSWORD)
    return visitor


def names(page: Page) -> list[str]:
    return [link.words for link in page.all("a", class_="row-link")]


def test_each_list_has_its_address_and_its_count(visitor: Visitor) -> None:
    for state in MessageState:
        receive(state=state, submitter_name=state.value)
    shown = {name: names(visitor.read(f"/admin/?list={name}")) for name in LISTS}
    assert shown == {"inbox": ["read", "new"], **{name: [name] for name in ("new", "answered", "archived", "spam")}}
    page = visitor.read("/admin/?list=spam")
    assert {element.attributes["data-count"]: element.words for element in page.all("span", class_="number")} == {
        "inbox": "2", "new": "1", "answered": "1", "archived": "1", "spam": "1", "deleted": "0",
    }  # fmt: skip
    assert [element.attributes["data-count"] for element in page.all("span", class_="number")] == [*lists.COUNTED]
    assert page.one("h1").words == "Spam"
    assert page.one("a", class_="row-link").attributes["href"].endswith("?list=spam")


def test_a_count_ends_at_a_thousand(dashboard: Visitor) -> None:
    db.session.add_all(message() for _ in range(1001))
    db.session.commit()
    page = dashboard.read("/admin/")
    assert page.one(id="unread").words == "1000 or more unread"
    assert page.one("span", data_count="inbox").words == "1000+"


@pytest.mark.usefixtures("any_app")
def test_words_and_dates_narrow_it_and_stay_in_the_address(visitor: Visitor) -> None:
    for day in range(1, 6):
        receive(submitter_name=f"Visitor {day}", content="Hello", created_at=datetime(2026, 3, day, 23, 30, tzinfo=UTC))
    page = visitor.read("/admin/?q=hello&from=2026-03-02&until=2026-03-04")
    assert names(page) == ["Visitor 4", "Visitor 3", "Visitor 2"]
    assert page.one("input", name="q").attributes["value"] == "hello"
    assert page.one("input", name="until").attributes["value"] == "2026-03-04"
    assert page.one("input", name="back").attributes["value"] == "/admin/?q=hello&from=2026-03-02&until=2026-03-04"
    assert names(visitor.read("/admin/?q=visitor+3")) == ["Visitor 3"]
    assert "Nothing found" in visitor.read("/admin/?q=nobody").one(id="empty").words


def test_a_day_is_one_of_the_readers_time_zone(dashboard: Visitor, staff: User) -> None:
    receive(created_at=datetime(2026, 3, 1, 23, 30, tzinfo=UTC))
    assert names(dashboard.read("/admin/?from=2026-03-02")) == []
    staff.time_zone = "Europe/Vilnius"
    db.session.commit()
    assert names(dashboard.read("/admin/?from=2026-03-02")) == ["Ada"]
    assert names(dashboard.read("/admin/?until=2026-03-01")) == []


@pytest.mark.usefixtures("any_app")
def test_a_made_up_filter_counts_as_none(visitor: Visitor) -> None:
    receive()
    for query in (
        *("list=nothing", "list=read", "from=yesterday", "until=0001-01-01", "from=9999-12-31", "until=2026-02-30"),
        *("before=x", "q=", "q=%20", "select=some", "from=1970-01-01&until=8999-12-31", "list=inbox&list=spam"),
    ):
        assert (query, names(visitor.read(f"/admin/?{query}"))) == (query, ["Ada"])


@pytest.mark.usefixtures("any_app")
def test_no_filter_is_an_error(visitor: Visitor) -> None:
    receive()
    for query in ("q=%00", "q=%22", "q=%ED%A0%80", "q=" + "x" * 5000, "before=0", "q=a&before=-1"):
        assert (query, visitor.get(f"/admin/?{query}").status_code) == (query, 200)


def test_an_open_page_gets_the_messages_that_came_later(visitor: Visitor) -> None:
    known = receive(submitter_name="Known").id
    receive(state=MessageState.SPAM)
    nothing = visitor.get(f"/admin/news?after={known}").get_json()
    assert (nothing["said"], nothing["unread"], nothing["unreadLabel"]) == ("", 1, "1 unread")
    come = receive(submitter_name="<b>Eve</b>", content="x" * 300)
    told = visitor.get(f"/admin/news?after={known}&q=eve").get_json()
    assert told["said"] == "1 new message"
    no_others = {"answered": "0", "archived": "0", "deleted": "0"}
    assert told["counts"] == {"inbox": "2", "new": "2", "spam": "1", **no_others}
    assert told["messages"] == [
        {
            "id": come.id,
            "name": [["<b>", False], ["Eve", True], ["</b>", False]],
            "excerpt": [["x" * 280 + "…", False]],
            "at": come.created_at.isoformat(timespec="seconds"),
            "address": f"/admin/messages/{come.id}?q=eve",
            "isNew": True,
            "about": {"rating": None, "symbols": None, "pills": []},
        }
    ]
    assert visitor.get("/admin/news").get_json()["messages"] == []


def test_a_page_can_make_rows_itself_from_where_it_stands(dashboard: Visitor) -> None:
    newest = [receive().id for _ in range(51)][-1]
    text = dashboard.get("/admin/").text
    assert f'data-newest="{newest}"' in text
    assert re.search(r'<template id="row">\s*<li class="unread">', text)
    older = dashboard.read(f"/admin/?before={newest}").one(id="messages")
    assert "data-newest" not in older.attributes


def test_times_are_in_the_language_and_zone_of_the_reader(dashboard: Visitor, staff: User) -> None:
    receive(created_at=datetime(2026, 3, 1, 12, 0, tzinfo=UTC))
    time = dashboard.read("/admin/").one("time")
    assert time.attributes["title"] == "March 1, 2026, 12:00:00\u202fPM UTC"
    assert re.fullmatch(r"\d+ \w+ ago, March 1, 2026, 12:00:00 PM UTC", time.words)
    staff.language, staff.time_zone = "de", "Europe/Vilnius"
    db.session.commit()
    page = dashboard.read("/admin/")
    assert page.one("time").attributes["title"] == "1. März 2026, 14:00:00 OEZ"
    assert page.one("time").words.startswith("vor ")
    assert page.one("script", id="local-times").attributes["data-time-zone"] == "Europe/Vilnius"


def test_spam_shows_its_reason_in_the_list_and_on_its_page(visitor: Visitor) -> None:
    caught = receive(state=MessageState.SPAM, spam_reason=SpamReason.TOO_FAST)
    marked = receive(state=MessageState.SPAM)
    unknown = receive(state=MessageState.SPAM, spam_reason="no longer known")
    why = "It was sent faster than a person can type, and nobody confirmed it."
    assert visitor.read("/admin/?list=spam").one("form", id="selection").words.count(why) == 1
    assert why in visitor.read(f"/admin/messages/{caught.id}").one(id="spam-reason").words
    for other in (marked, unknown):
        assert visitor.read(f"/admin/messages/{other.id}").all(id="spam-reason") == []


def test_opening_a_read_message_waits_for_no_writer(dashboard: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = receive()
    address = f"/admin/messages/{stored.id}"
    assert dashboard.get(address).status_code == 200
    monkeypatch.setattr(sqlite, "_PATIENCE", 0.01)  # seconds, after which a waiting writer fails
    with db.engine.connect() as writer:
        writer.execute(update(Message).values(submitter_name="Ada"))
        assert dashboard.get(address).status_code == 200
        writer.rollback()


def test_the_unread_are_counted_only_beside_the_lists_that_have_them(dashboard: Visitor) -> None:
    receive()
    shown = {name: len(dashboard.read(f"/admin/?list={name}").all(id="unread")) for name in lists.NAMES}
    assert shown == {**dict.fromkeys(lists.NAMES, 0), "inbox": 1, "new": 1}


def test_a_search_says_what_it_covers_and_how_many_it_has_found(visitor: Visitor) -> None:
    for state in MessageState:
        receive(state=state, submitter_name=state.value, content="Žąsis & <b>geese</b>")
    receive(content="Something else")
    receive(content="geese", deleted_at=utcnow())

    def links(page: Page) -> dict[str, str]:
        return {link.words: link.attributes["href"] for link in page.all("a")}

    page = visitor.read("/admin/?q=zasis")
    assert page.one(id="results").words == "2 results in Inbox"
    assert page.one("input", name="q").attributes["placeholder"] == "Search in Inbox"
    everywhere = links(page)["Search everywhere"]
    assert everywhere == "/admin/?q=zasis&list=all"
    page = visitor.read(everywhere)
    assert page.one(id="results").words == "5 results everywhere"
    assert names(page) == ["spam", "archived", "answered", "read", "new"]
    assert [pill.words for pill in page.all("span", class_="pill")] == ["Spam", "Archived", "Answered"]
    assert page.one("input", name="list").attributes["value"] == "all"
    assert page.one("a", class_="row-link", id="from-1").attributes["href"] == "/admin/messages/1?list=all&q=zasis"
    assert links(page)["Search in the inbox only"] == "/admin/?q=zasis"
    assert visitor.read("/admin/?list=archived&q=zasis").one(id="results").words == "1 result in Archived"
    assert visitor.read("/admin/?q=nobody").one(id="results").words == "0 results in Inbox"
    assert visitor.read("/admin/?until=2020-01-01").one(id="results").words == "0 results in Inbox"
    assert visitor.read("/admin/").all(id="results") == []


def test_the_words_found_are_marked_and_nothing_else_becomes_markup(visitor: Visitor) -> None:
    receive(submitter_name="Ona Žąsis", content="<b>Two ŽĄSYS and a žąsis.</b>")
    html = visitor.get("/admin/?q=zas").text
    assert "Ona <mark>Žąsis</mark></bdi>" in html
    assert "&lt;b&gt;Two <mark>ŽĄSYS</mark> and a <mark>žąsis</mark>.&lt;/b&gt;</p>" in html
    assert visitor.read("/admin/").all("mark") == []


def test_pages_of_a_search_keep_its_scope_and_its_count(dashboard: Visitor) -> None:
    db.session.add_all(message(state=MessageState.ARCHIVED if number % 2 else MessageState.NEW) for number in range(60))
    db.session.commit()
    page = dashboard.read("/admin/?list=all&q=hello")
    assert page.one(id="results").words == "60 results everywhere"
    older = page.one("a", rel="next").attributes["href"]
    assert older.startswith("/admin/?list=all&q=hello&before=")
    page = dashboard.read(older)
    assert (page.one(id="results").words, len(names(page))) == ("60 results everywhere", 10)


def test_what_was_deleted_is_listed_and_brought_back_to_where_it_was(visitor: Visitor) -> None:
    ids = [receive(state=state, submitter_name=state.value).id for state in MessageState]
    token = visitor.read("/admin/settings").fields["csrf_token"]

    def send(**fields: object) -> None:
        data = {"csrf_token": token, "back": "/admin/?list=deleted", **fields}
        assert visitor.post("/admin/messages/move", data=data).status_code == 303

    send(move="delete", id=ids)
    page = visitor.read("/admin/?list=deleted")
    assert page.one("span", data_count="deleted").words == "5"
    assert [row.words for row in page.all("bdi", class_="row-name")] == ["spam", "archived", "answered", "read", "new"]
    assert names(page) == []
    assert [button.attributes["value"] for button in page.all("button", name="restore")] == [
        str(id_) for id_ in ids[::-1]
    ]
    assert {button.attributes["value"] for button in page.all("button", name="move")} == {"restore"}
    send(restore=ids[0], id=ids)  # the button beside one message, for any selection
    page = visitor.read("/admin/?list=new")
    assert page.one("form", class_="notice undo").words == "1 message restored."
    assert names(page) == ["new"]
    send(move="restore", id=ids[1:])
    shown = {name: names(visitor.read(f"/admin/?list={name}")) for name in ("inbox", "answered", "archived", "spam")}
    assert shown == {"inbox": ["read", "new"], "answered": ["answered"], "archived": ["archived"], "spam": ["spam"]}
    assert "Nothing here" in visitor.read("/admin/?list=deleted").one(id="empty").words

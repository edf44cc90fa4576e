"""admin/export.py: what a list shows, whole and streamed, and harmless in a spreadsheet."""

import csv
import io
import json
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextvars import Context

import pytest
from flask import Flask
from flask.testing import FlaskClient

from feedback_push.auth import audit
from feedback_push.database import db
from feedback_push.feedback import lists
from feedback_push.feedback.models import MessageState
from tests.conftest import PASSWORD, make_user
from tests.feedback.messages import message, receive
from tests.visits import Visitor

COLUMNS = ["id", "created_at", "state", "submitter_name", "submitter_email", "content"]


@pytest.fixture
def visitor(any_app: Flask) -> Visitor:
    visitor = Visitor(any_app)
    visitor.sign_in(make_user("staff@example.org").email, PASSWORD)
    return visitor


def table(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


def test_both_hold_what_the_filter_shows(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "PART_SIZE", 2)
    wanted = [receive(content=f'Grüße, "{number}"\nund mehr', submitter_email="a@example.org") for number in range(5)]
    receive(content="Something else")
    receive(content="Grüße", state=MessageState.SPAM)
    values = [
        [row.id, row.created_at.isoformat(), "new", "Ada", "a@example.org", row.content] for row in reversed(wanted)
    ]
    answer = visitor.get("/admin/messages.csv?q=grüße")
    assert answer.content_type == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="feedback-')
    assert answer.headers["Cache-Control"] == "no-store"
    assert table(answer.text) == [COLUMNS, *([str(value) for value in row] for row in values)]
    answer = visitor.get("/admin/messages.json?q=grüße")
    assert answer.content_type == "application/json"
    assert json.loads(answer.text) == [dict(zip(COLUMNS, row, strict=True)) for row in values]


def test_nothing_is_exported_as_nothing(visitor: Visitor) -> None:
    assert table(visitor.get("/admin/messages.csv").text) == [COLUMNS]
    assert visitor.get("/admin/messages.json").get_json() == []


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_spreadsheet_runs_nothing_of_it(dashboard: Visitor, start: str) -> None:
    receive(content=f"{start}1+1", submitter_name=f"{start}cmd")
    [_, row] = table(dashboard.get("/admin/messages.csv").text)
    assert row[3:] == [f"'{start}cmd", "", f"'{start}1+1"]
    assert dashboard.get("/admin/messages.json").get_json()[0]["content"] == f"{start}1+1"


def test_a_slow_reader_keeps_nobody_from_writing(
    dashboard: Visitor, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "PART_SIZE", 1)
    receive()
    receive()
    db.session.rollback()

    def write() -> None:
        with app.app_context():
            db.session.add(message(content="written meanwhile"))
            db.session.commit()

    def read(parts: Iterator[bytes]) -> None:
        next(parts)
        next(parts)
        writer = threading.Thread(target=write)
        writer.start()
        writer.join(5)
        assert not writer.is_alive()
        assert len(list(parts)) == 1

    stream(dashboard, "/admin/messages.csv", read)


def test_memory_does_not_grow_with_the_number_of_messages(dashboard: Visitor) -> None:
    db.session.add_all(message(content="x" * 5000) for _ in range(3000))
    db.session.commit()
    db.session.expunge_all()

    def read(parts: Iterator[bytes]) -> None:
        tracemalloc.start()
        length = sum(len(part) for part in parts)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert length > 15_000_000
        assert peak < 6_000_000

    stream(dashboard, "/admin/messages.json", read)


def stream(visitor: Visitor, address: str, read: Callable[[Iterator[bytes]], None]) -> None:
    """Ask for an address and read the answer while it is made, in one context as a server does."""

    def run() -> None:
        answer = FlaskClient.open(visitor, address, base_url=visitor.site, buffered=False)
        read(iter(answer.response))  # type: ignore[arg-type]
        answer.close()

    Context().run(run)


def test_who_exports_messages_is_in_the_log(visitor: Visitor) -> None:
    for extension in ("csv", "json"):
        visitor.get(f"/admin/messages.{extension}")
    told = [(entry.email, audit.words(entry)) for entry in audit.page().entries if entry.event == "messages-exported"]
    assert told == [("staff@example.org", "Exported messages: JSON"), ("staff@example.org", "Exported messages: CSV")]

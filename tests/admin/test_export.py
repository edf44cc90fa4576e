"""admin/export.py and xlsx.py: exports are complete, streamed, and harmless in a spreadsheet."""

import csv
import io
import json
import re
import string
import tempfile
import threading
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextvars import Context
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import insert, select

from feedback_push.admin import xlsx
from feedback_push.auth import audit
from feedback_push.auth.models import User
from feedback_push.database import db, utcnow
from feedback_push.feedback import (
    assignments,
    conversation_data,
    conversations,
    lists,
    personal_data,
    streamed_json,
    tags,
)
from feedback_push.feedback.form_models import DEFAULT_KEY
from feedback_push.feedback.models import MessageState, Reply
from tests.conftest import PASSWORD, make_user
from tests.feedback.messages import message, receive
from tests.visits import Visitor

COLUMNS = [
    *("id", "created_at", "state", "submitter_name", "submitter_email", "content", "tags", "assigned_to", "replies"),
    *("form", "category", "rating", "page_url", "page_title", "answers"),
]
OF_NO_FORM: list[Any] = [DEFAULT_KEY, None, None, None, None, []]


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    visitor = Visitor(app)
    visitor.sign_in(make_user("staff@example.org").email, PASSWORD)
    return visitor


def table(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


@pytest.mark.usefixtures("any_app")
def test_both_hold_what_the_filter_shows(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "PART_SIZE", 2)
    wanted = [receive(content=f'Grüße, "{number}"\nund mehr', submitter_email="a@example.org") for number in range(5)]
    receive(content="Something else")
    receive(content="Grüße", state=MessageState.SPAM)
    values: list[list[Any]] = [
        [row.id, row.created_at.isoformat(), "new", "Ada", "a@example.org", row.content, [], None, [], *OF_NO_FORM]
        for row in reversed(wanted)
    ]
    tags.add(wanted[-1].id, ["zebra", "=1+1"])
    staff = db.session.scalars(select(User)).one()
    assert assignments.assign(wanted[-1].id, staff.id)
    replied_to = wanted[-1]
    link = conversations.begin(replied_to)
    conversations.answer(replied_to, staff, "=2+2")
    conversation = conversations.find(link)
    assert conversation
    conversations.write_again(conversation, "Danke", notify=False)  # into the inbox again
    db.session.commit()
    answered_at, thanked_at = (row.created_at.isoformat() for row in conversations.replies(replied_to))
    values[0][6:9] = [
        ["=1+1", "zebra"],
        staff.email,
        [
            {"from": "site", "by": staff.email, "written_at": answered_at, "content": "=2+2"},
            {"from": "visitor", "by": None, "written_at": thanked_at, "content": "Danke"},
        ],
    ]
    answer = visitor.get("/admin/messages.csv?q=grüße")
    assert answer.content_type == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="feedback-')
    assert answer.headers["Cache-Control"] == "no-store"
    cells = [[str(value) for value in row[:6]] + ["", "", "", DEFAULT_KEY, "", "", "", "", ""] for row in values]
    written = f"{staff.email}, {answered_at}:\n'=2+2\n\nvisitor, {thanked_at}:\nDanke"
    cells[0][6:9] = ["'=1+1, zebra", staff.email, written]
    assert table(answer.text) == [COLUMNS, *cells]
    answer = visitor.get("/admin/messages.json?q=grüße")
    assert answer.content_type == "application/json"
    assert json.loads(answer.text) == [dict(zip(COLUMNS, row, strict=True)) for row in values]


def test_nothing_is_exported_as_nothing(visitor: Visitor) -> None:
    assert table(visitor.get("/admin/messages.csv").text) == [COLUMNS]
    assert visitor.get("/admin/messages.json").get_json() == []


def test_a_spreadsheet_runs_nothing_wherever_it_begins_a_cell(dashboard: Visitor) -> None:
    signs = "=+-@\uff1d\uff0b\uff0d\uff20\u2212"
    begins = ["", *(f"x{separator}" for separator in ";,\t\n\r")]
    hostile = [
        f"{begin}{dropped}{sign}1+1"
        for begin in begins
        for dropped in ("", '"', ' "', "\u200b\xa0", '""')
        for sign in signs
    ]
    for text in hostile:
        answers = [{"question": text, "answer": text}]
        more = {"category": text, "page_title": text, "answers": answers}
        db.session.add(message(content=text, submitter_name=text, submitter_email=text, **more))
    db.session.commit()
    exported = dashboard.get("/admin/messages.csv").text
    for separator in ",;\t":  # as spreadsheets of other countries read it, and one that knows no quotes at all
        read = csv.reader(io.StringIO(exported, newline=None), delimiter=separator)
        cells = [cell for row in read for cell in row]
        assert runnable(cells) == []
    assert runnable(re.split("[;,\t\r\n]", exported)) == []
    [*rows] = table(exported)[:0:-1]
    assert [row[5].replace("'", "") for row in rows] == hostile
    assert [row["content"] for row in dashboard.get("/admin/messages.json").get_json()[::-1]] == hostile


def runnable(cells: list[str]) -> list[str]:
    return [cell for cell in cells if re.match('["\\s\u200b\ufeff]*[=+\\-@\uff1d\uff0b\uff0d\uff20\u2212]', cell)]


def test_text_that_runs_nowhere_is_exported_as_it_is(dashboard: Visitor) -> None:
    harmless = ["a - b, c", "me@example.org; you", "1+1=2", 'say "hi"', "it's", "'=1"]
    for text in harmless:
        receive(content=text)
    assert [row[5] for row in table(dashboard.get("/admin/messages.csv").text)[:0:-1]] == harmless
    receive(content="\tx")
    assert table(dashboard.get("/admin/messages.csv").text)[1][5] == "'\tx"


def test_a_workbook_holds_texts_as_texts_and_times_as_times(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "PART_SIZE", 2)
    db.session.scalars(select(User)).one().time_zone = "Asia/Tokyo"
    texts = [
        "=1+1",
        "https://example.org",
        "007",
        " blanks \n\tand lines ",
        "\x07\x1b\r_x0041_\ufffe\x85",
        '<r><t/></r></is></c><c r="G9"><f>1+1</f></c><c t="inlineStr"><is><r></r>',
        "👩‍👩‍👧‍👦" * 9,
    ]
    at = datetime(2026, 1, 31, 23, 30, 15, tzinfo=UTC)
    stored = [message(content=text, submitter_name=text, submitter_email=text, created_at=at) for text in texts]
    db.session.add_all(stored)
    db.session.commit()
    tags.add(stored[0].id, ["=1+1"])
    tagged = [(row, "=1+1" if row is stored[0] else "") for row in reversed(stored)]
    receive(content="found by no filter", state=MessageState.ARCHIVED)
    answer = visitor.get("/admin/messages.xlsx?until=2026-02-01")
    assert answer.content_type == "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    assert answer.headers["Content-Disposition"].endswith('.xlsx"')
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.content_length == len(answer.data)
    [sheet] = sheets(answer.data)
    assert sheet[0] == [
        *("id", "created_at (Asia/Tokyo)", "state", "submitter_name", "submitter_email", "tags", "assigned_to"),
        *("form", "category", "rating", "page_url", "page_title", "answers"),
        *("content", "content_continued"),
    ]
    tokyo = datetime(2026, 2, 1, 8, 30, 15)  # noqa: DTZ001 - a spreadsheet's times have no zone
    assert sheet[1:] == [
        [row.id, tokyo, "new", *[row.content] * 2, tag, "", DEFAULT_KEY, *[""] * 5, row.content] for row, tag in tagged
    ]
    [nothing] = sheets(visitor.get("/admin/messages.xlsx?q=nowhere").data)
    assert nothing == sheet[:1]


def test_a_workbook_goes_on_in_the_next_cell_and_the_next_sheet(
    dashboard: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xlsx, "ROWS_PER_SHEET", 3)
    longest = "a" + "👩" * 199_999
    for content in ("x" * 32_768, longest, "last"):
        receive(content=content)
    first, second = sheets(dashboard.get("/admin/messages.xlsx").data)
    assert [row[13:] for row in (first[1], second[1])] == [["last"], ["x" * 32_767, "x"]]
    cells = first[2][13:]
    assert "".join(cells) == longest
    assert max(len(cell.encode("utf-16-le")) // 2 for cell in cells) <= 32_767
    assert second[0] == first[0]


def test_a_workbook_has_the_replies_in_a_sheet_of_their_own(dashboard: Visitor, staff: User) -> None:
    written = receive()
    conversations.answer(written, staff, "=1+1")
    db.session.commit()
    [reply] = conversations.replies(written)
    messages, replies = sheets(dashboard.get("/admin/messages.xlsx?list=answered").data)
    assert [row[0] for row in messages] == ["id", written.id]
    assert replies[0] == ["message_id", "written_at (UTC)", "from", "by", "content"]
    at = reply.created_at.replace(tzinfo=None, microsecond=0)
    [row] = replies[1:]
    assert [row[0], *row[2:]] == [written.id, "site", staff.email, "=1+1"]
    assert abs(row[1] - at) <= timedelta(seconds=1)


LETTERS = string.ascii_uppercase
SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def sheets(data: bytes) -> list[list[list[Any]]]:
    """Return the rows of every sheet, read without the library that wrote them; fail for a formula or a link."""
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        assert book.testzip() is None
        assert not [name for name in book.namelist() if "sheets/_rels" in name]
        styles = parsed(book.read("xl/styles.xml"))
        names = sorted(name for name in book.namelist() if name.startswith("xl/worksheets/sheet"))
        return [rows(parsed(book.read(name)), styles) for name in names]


def parsed(data: bytes) -> ET.Element:
    return ET.fromstring(data)  # noqa: S314 - our own file


def rows(sheet: ET.Element, styles: ET.Element) -> list[list[Any]]:
    assert {child.tag.removeprefix(SHEET) for child in sheet} <= {
        *("dimension", "sheetViews", "sheetFormatPr", "cols", "sheetData", "pageMargins"),
    }
    formats = {each.get("numFmtId"): each.get("formatCode") for each in styles.iter(f"{SHEET}numFmt")}
    styled = styles.find(f"{SHEET}cellXfs")
    assert styled is not None
    found = []
    for row in sheet.iter(f"{SHEET}row"):
        cells = {str(cell.get("r")).rstrip("0123456789"): value(cell, formats, styled) for cell in row}
        found.append([cells.get(column, "") for column in LETTERS[: LETTERS.index(max(cells)) + 1]])
    return found


def value(cell: ET.Element, formats: dict[str | None, str | None], styled: ET.Element) -> Any:
    assert {child.tag for child in cell} <= {f"{SHEET}v", f"{SHEET}is"}
    style = styled[int(cell.get("s", "0"))]
    if cell.get("t") == "inlineStr":
        assert style.get("quotePrefix") == "1" or cell.get("r", "").endswith("1")
        text = "".join(part.text or "" for part in cell.iter(f"{SHEET}t"))
        return re.sub("_x([0-9A-F]{4})_", lambda match: chr(int(match[1], 16)), text)
    number = float(cell.findtext(f"{SHEET}v") or "")
    if formats.get(style.get("numFmtId")) == "yyyy-mm-dd hh:mm:ss":
        days = timedelta(seconds=round(number * 86400))
        return datetime(1899, 12, 30) + days  # noqa: DTZ001
    return int(number)


def test_a_slow_reader_keeps_nobody_from_writing(
    dashboard: Visitor, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "PART_SIZE", 1)
    monkeypatch.setattr(streamed_json, "BUFFER", 1)
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
        assert len(list(parts)) == 3  # the rest of the first message, and the other one

    stream(dashboard, "/admin/messages.csv", read)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_messages_and_no_file_is_left(
    dashboard: Visitor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    db.session.add_all(message(content=f"{number:05}" * 1000) for number in range(2000))
    db.session.commit()
    db.session.expunge_all()
    lengths: dict[str, int] = {}
    for extension in ("json", "xlsx"):
        dashboard.get(f"/admin/messages.{extension}?q=nowhere")  # loads modules that are imported once

        def read(parts: Iterator[bytes], extension: str = extension) -> None:
            lengths[extension] = sum(len(part) for part in parts)

        tracemalloc.start()
        stream(dashboard, f"/admin/messages.{extension}", read)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 6_000_000, extension
    assert lengths["json"] > 10_000_000  # more than the memory
    assert lengths["xlsx"] > 50_000
    assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_memory_does_not_grow_with_the_replies_of_a_message(dashboard: Visitor) -> None:
    text = 'He said: "=1+1";\n=2+2 ' * 200
    written = [receive(submitter_email="ada@example.org") for _ in range(4)]
    ours = {"is_answer": False, "created_at": utcnow()}
    texts = [f"{number} {text}" for number in range(500)]
    every = [{**ours, "message_id": each.id, "content": content} for each in written for content in texts]
    db.session.execute(insert(Reply), every)
    whole, token = len(text) * len(every), conversations.begin(written[0])
    db.session.commit()
    db.session.expunge_all()
    del every, texts

    def of_visitor() -> int:
        conversation = conversations.find(token)
        assert conversation
        return max(map(len, conversation_data.export(conversation)))

    def of_person() -> int:
        return max(len(told["replies"]) for told in personal_data.messages("ada@example.org"))

    exports: list[Callable[[], int]] = [
        partial(_largest, dashboard, f"/admin/messages.{extension}") for extension in ("json", "csv", "xlsx")
    ]
    shares = {**dict.fromkeys(exports, 0.2), of_visitor: 0.25, of_person: 0.6}
    # All of them load modules, which are imported once.
    for extension in ("json", "csv", "xlsx"):
        dashboard.get(f"/admin/messages.{extension}?q=nowhere")
    of_visitor()
    of_person()
    for export, share in shares.items():
        tracemalloc.start()
        assert export() < whole / 20
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < whole * share, (export, peak, whole)
    told = dashboard.get("/admin/messages.json").get_json()
    numbers = [str(number) for number in range(500)]
    assert [[each["content"].split()[0] for each in message["replies"]] for message in told] == [numbers] * 4
    before = csv.field_size_limit(whole)
    lines = table(dashboard.get("/admin/messages.csv").text)
    csv.field_size_limit(before)
    assert {line[COLUMNS.index("replies")].count("'=2+2") for line in lines[1:]} == {500 * 200}


def _largest(visitor: Visitor, address: str) -> int:
    """Return the size of the largest part of an answer."""
    sizes: list[int] = []
    stream(visitor, address, lambda parts: sizes.append(max(map(len, parts))))
    return sizes[0]


def stream(visitor: Visitor, address: str, read: Callable[[Iterator[bytes]], None]) -> None:
    """Ask for an address and read the answer while it is made, in one context as a server does."""

    def run() -> None:
        answer = FlaskClient.open(visitor, address, base_url=visitor.site, buffered=False)
        read(iter(answer.response))  # type: ignore[arg-type]
        answer.close()

    Context().run(run)


def test_a_link_on_another_site_leads_to_the_list_instead(dashboard: Visitor) -> None:
    for extension in ("csv", "xlsx", "json"):
        address = f"/admin/messages.{extension}?q=x"
        for site, status in {"cross-site": 302, "same-site": 302, "same-origin": 200, "none": 200}.items():
            answer = dashboard.get(address, headers={"Sec-Fetch-Site": site})
            assert answer.status_code == status, (extension, site)
        assert dashboard.get(address, headers={"Sec-Fetch-Site": "cross-site"}).location == "/admin/?q=x"


def test_an_export_is_in_the_log(visitor: Visitor) -> None:
    for extension in ("csv", "xlsx", "json"):
        visitor.get(f"/admin/messages.{extension}")
    told = [(entry.email, audit.label(entry)) for entry in audit.page().entries if entry.event == "messages-exported"]
    assert told == [("staff@example.org", f"Exported messages: {kind}") for kind in ("JSON", "XLSX", "CSV")]

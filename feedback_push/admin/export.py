"""Exporting what a list shows, as CSV and as JSON, part by part: a million messages take no more memory than a page."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any

from flask import stream_with_context
from flask.typing import ResponseReturnValue
from flask.wrappers import Response
from flask_login import current_user
from sqlalchemy import Row

from feedback_push.admin import shown
from feedback_push.admin.pages import blueprint
from feedback_push.auth import audit
from feedback_push.auth.models import AuditEvent
from feedback_push.concurrency_limit import ConcurrencyLimit
from feedback_push.database import db, utcnow
from feedback_push.feedback import lists
from feedback_push.feedback.lists import Filter

_COLUMNS = ("id", "created_at", "state", "submitter_name", "submitter_email", "content")
_RUN_BY_SPREADSHEETS = ("=", "+", "-", "@", "\t", "\r")
_exports = ConcurrencyLimit(2)  # a reader who is slow holds a thread for as long as the file does not fit a buffer
_BYTE_ORDER_MARK = "\ufeff"  # without which Excel takes UTF-8 for something else


@blueprint.get("/messages.csv")
@_exports.share
def export_csv() -> ResponseReturnValue:
    """A table for spreadsheets, with cells that do nothing when they are opened."""
    return _download(_as_csv(shown.asked_for().filter), "text/csv", "csv")


@blueprint.get("/messages.json")
@_exports.share
def export_json() -> ResponseReturnValue:
    """A list of objects for programs."""
    return _download(_as_json(shown.asked_for().filter), "application/json", "json")


def _download(text: Iterator[str], mimetype: str, extension: str) -> Response:
    audit.note(AuditEvent.MESSAGES_EXPORTED, current_user, messages=extension.upper())
    db.session.commit()  # from here on only the parts use the database
    response = Response(stream_with_context(text), mimetype=mimetype)
    response.headers["Content-Disposition"] = f'attachment; filename="feedback-{utcnow():%Y-%m-%d}.{extension}"'
    return response


def _as_csv(chosen: Filter) -> Iterator[str]:
    yield _BYTE_ORDER_MARK + _lines([_COLUMNS])
    for part in lists.parts(chosen):
        yield _lines(map(_harmless, map(_values, part)))


def _as_json(chosen: Filter) -> Iterator[str]:
    separator = "[\n"
    for part in lists.parts(chosen):
        objects = (dict(zip(_COLUMNS, _values(row), strict=True)) for row in part)
        yield separator + ",\n".join(json.dumps(each, ensure_ascii=False) for each in objects)
        separator = ",\n"
    yield "[]\n" if separator == "[\n" else "\n]\n"


def _values(row: Row[Any]) -> tuple[Any, ...]:
    return (row.id, row.created_at.isoformat(), row.state, row.submitter_name, row.submitter_email, row.content)


def _harmless(values: Iterable[Any]) -> list[Any]:
    return [f"'{value}" if str(value).startswith(_RUN_BY_SPREADSHEETS) else value for value in values]


def _lines(rows: Iterable[Iterable[Any]]) -> str:
    written = io.StringIO()
    csv.writer(written, quoting=csv.QUOTE_ALL).writerows(rows)
    return written.getvalue()

"""Export the messages of a list as CSV, XLSX or JSON. A million messages take no more memory than a page."""

import csv
import io
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import regex
from flask import redirect, request, stream_with_context
from flask.typing import ResponseReturnValue
from flask.wrappers import Response
from flask_login import current_user
from sqlalchemy import Row
from werkzeug.wsgi import wrap_file

from feedback_push import csrf, language
from feedback_push.admin import fresh_authentication, message_query
from feedback_push.admin.pages import blueprint
from feedback_push.auth import audit
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.concurrency_limit import ConcurrencyLimit
from feedback_push.database import db, utcnow
from feedback_push.feedback import form_words, lists, replies, streamed_json, tags
from feedback_push.feedback.form_models import DEFAULT_KEY
from feedback_push.feedback.lists import Filter, Whole

_BEFORE = ("id", "created_at", "state", "submitter_name", "submitter_email", "content", "tags", "assigned_to")
_AFTER = ("form", "category", "rating", "page_url", "page_title", "answers")
_COLUMNS = (*_BEFORE, "replies", *_AFTER)
_EXPORTS = {"admin.export_csv", "admin.export_xlsx", "admin.export_json"}
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
# A spreadsheet may start a cell after each of these. It depends on the reader's country, not on this file's separator.
_SEPARATORS = r";,\t\n\v\f\r\x85\p{Zl}\p{Zp}"
# =, +, - and @, their full-width and small forms, and the minus sign.
_SIGNS = r"=+\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b\u2212"
# The position before a cell that would run as a formula. An import drops quotes, blanks and invisible characters before
# the sign.
_FORMULA = regex.compile(
    rf"(?V1)\A(?=[\t\n\r])|(?:\A|(?<=[{_SEPARATORS}]))(?=[[\s\p{{Cc}}\p{{Cf}}\"]--[{_SEPARATORS}]]*+[{_SIGNS}])"
)
_exports = ConcurrencyLimit(2)  # a slow reader holds a thread until the rest of the file fits into a buffer
_BYTE_ORDER_MARK = "\ufeff"  # without it, Excel does not recognise UTF-8


@blueprint.before_request
def _only_from_this_site() -> ResponseReturnValue | None:
    # A link on another site must not make the server write a million messages into somebody's downloads.
    if request.endpoint in _EXPORTS and not csrf.is_from_this_site():
        return redirect(message_query.from_request().at())
    return None


@blueprint.get("/messages.csv")
@fresh_authentication.required
@_exports.share
def export_csv() -> ResponseReturnValue:
    """Export a table for spreadsheets. No cell runs as a formula when the table is opened."""
    return _download(_as_csv(message_query.from_request().filter), "text/csv", "csv")


@blueprint.get("/messages.xlsx")
@fresh_authentication.required
@_exports.share
def export_xlsx() -> ResponseReturnValue:
    """Export a workbook that contains every text as it was written."""
    from feedback_push.admin import xlsx  # noqa: PLC0415 - few processes ever need its library

    chosen = message_query.from_request().filter
    _note("XLSX")
    file = xlsx.write(chain.from_iterable(lists.parts(chosen)), language.time_zone())
    size = file.seek(0, 2)
    file.seek(0)
    response = Response(wrap_file(request.environ, file), mimetype=_XLSX, direct_passthrough=True)
    response.content_length = size
    return _attached(response, "xlsx")


@blueprint.get("/messages.json")
@fresh_authentication.required
@_exports.share
def export_json() -> ResponseReturnValue:
    """Export a list of objects for programs."""
    return _download(_as_json(message_query.from_request().filter), "application/json", "json")


def _download(text: Iterator[str], mimetype: str, extension: str) -> Response:
    _note(extension.upper())
    return _attached(Response(stream_with_context(text), mimetype=mimetype), extension)


def _note(kind: str) -> None:
    audit.record(AuditEvent.MESSAGES_EXPORTED, current_user, messages=kind)
    db.session.commit()  # from here on, only `lists.parts` uses the database


def _attached(response: Response, extension: str) -> Response:
    response.headers["Content-Disposition"] = f'attachment; filename="feedback-{utcnow():%Y-%m-%d}.{extension}"'
    return response


def _as_csv(chosen: Filter) -> Iterator[str]:
    yield _BYTE_ORDER_MARK + _quoted(_COLUMNS) + "\r\n"
    yield from streamed_json.buffered(chain.from_iterable(map(_line, chain.from_iterable(lists.parts(chosen)))))


def _as_json(chosen: Filter) -> Iterator[str]:
    return streamed_json.buffered(_objects(chosen))


def _objects(chosen: Filter) -> Iterator[str]:
    separator = "[\n"
    for exported in chain.from_iterable(lists.parts(chosen)):
        yield separator
        before = dict(zip(_BEFORE, _values(exported.message), strict=True))
        after = dict(zip(_AFTER, (*_of_form(exported.message), exported.message.answers or []), strict=True))
        yield from streamed_json.pieces(before, "replies", map(replies.as_json, exported.replies), after)
        separator = ",\n"
    yield "[]\n" if separator == "[\n" else "\n]\n"


def _values(row: Row[Any]) -> tuple[Any, ...]:
    written = (row.created_at.isoformat(), row.state, row.submitter_name, row.submitter_email, row.content)
    return (row.id, *written, tags.of_row(row), row.assigned_to)


def _of_form(row: Row[Any]) -> tuple[Any, ...]:
    return (row.form_key or DEFAULT_KEY, row.category, row.rating, row.page_url, row.page_title)


def _harmless(values: Iterable[Any]) -> list[Any]:
    return [_FORMULA.sub("'", str(value)) for value in values]


def _line(exported: Whole) -> Iterator[str]:
    """Yield the line of a message; the cell of its replies comes in pieces."""
    row = exported.message
    before = (", ".join(value) if isinstance(value, list) else value for value in _values(row))
    after = (*_of_form(row), form_words.answers_text(row.answers or ()))
    yield _quoted(before) + ',"'
    separator = ""
    for reply in map(replies.as_json, exported.replies):
        # A piece begins after a line break, so its formulas are those of the whole cell.
        [text] = _harmless([f"{reply['by'] or reply['from']}, {reply['written_at']}:\n{reply['content']}"])
        yield separator + text.replace('"', '""')
        separator = "\n\n"
    yield '",' + _quoted(after) + "\r\n"


def _quoted(values: Iterable[Any]) -> str:
    written = io.StringIO()
    cells = _harmless("" if value is None else value for value in values)
    csv.writer(written, quoting=csv.QUOTE_ALL, lineterminator="").writerow(cells)
    return written.getvalue()

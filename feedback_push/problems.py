"""Describe the errors of the API as problem details (RFC 9457), so that programs can tell them apart."""

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from flask.wrappers import Response
from flask_babel import lazy_gettext as _
from werkzeug.exceptions import HTTPException
from werkzeug.http import HTTP_STATUS_CODES

MIME_TYPE = "application/problem+json"
_LONGEST_FIELD = 200
# Instead of the texts of the pages, because nobody came from a page or can go back to one.
DETAILS = {
    400: _("The request is malformed."),
    404: _("There is nothing at this address."),
    413: _("The request is larger than this address accepts."),
}


class Fault(NamedTuple):
    """A part of a request that is wrong: its place (`body`, `query`, `header` or `path`), its name, and the reason."""

    place: str
    field: str
    detail: str


class Problem(HTTPException):
    """An error of the API with the fields that caused it."""

    def __init__(
        self, status: int, detail: str, faults: Sequence[Fault] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(str(detail))
        self.code: int = status
        self.faults = faults
        self.headers = dict(headers or {})


def answer(
    status: int, detail: str, faults: Sequence[Fault] = (), headers: Mapping[str, str] | None = None
) -> Response:
    """Return an error as problem details; its status says all about its type, so that has no address of its own."""
    body = {
        "type": "about:blank",
        "title": HTTP_STATUS_CODES.get(status, "Error"),
        "status": status,
        "detail": str(detail),
    }
    if faults:
        body["errors"] = [{**fault._asdict(), "field": fault.field[:_LONGEST_FIELD]} for fault in faults]
    text = json.dumps(body, ensure_ascii=False)
    return Response(f"{text}\n", status, dict(headers or {}), mimetype=MIME_TYPE)

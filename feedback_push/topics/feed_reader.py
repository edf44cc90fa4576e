"""Read a feed from its address: request it only if it has changed, and parse it in a process of its own."""

import json
import subprocess
import sys
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple

from feedback_push import http_client
from feedback_push.http_client import Answer, Failure
from feedback_push.topics import feed_document
from feedback_push.topics.feed_document import Document, Entry
from feedback_push.webpush import responses

LONGEST_ETAG = 500
LONGEST_DATE = 100
_SECONDS_TO_PARSE = 10  # of computing time, or twice as much on a busy machine
_ACCEPT = "Accept: application/atom+xml, application/rss+xml, application/feed+json, application/xml;q=0.9, */*;q=0.5"


class Fault(StrEnum):
    """The reason why an answer is of no use; `http_client.Reason` has those for no answer."""

    GONE = "gone"
    STATUS = "status"
    EMPTY = "empty"
    WEB_PAGE = "web-page"
    NOT_A_FEED = "not-a-feed"
    TOO_COMPLEX = "too-complex"


class Known(NamedTuple):
    """The parts of the last answer that tell if the feed has changed; all empty before the first."""

    etag: str = ""
    last_modified: str = ""
    content_hash: str = ""


class Reading(NamedTuple):
    """A feed that was read; `document` is None if it has not changed, `retry_after` in seconds."""

    status: int
    known: Known
    document: Document | None
    moved_to: str
    retry_after: float | None


class Unreadable(Exception):
    """The feed could not be read; `reason` is a Fault or an `http_client.Reason`."""

    def __init__(self, reason: str, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason, self.status, self.retry_after = reason, status, retry_after


def read(url: str, known: Known) -> Reading:
    """Request a feed and parse it if it has changed. Raise Unreadable."""
    try:
        answer = http_client.get(url, _headers(known))
    except Failure as failure:
        raise Unreadable(failure.reason.value) from None
    retry_after = responses.retry_after(answer.headers.get("retry-after"))
    if answer.status == 304:
        return Reading(304, known, None, answer.moved_to, retry_after)
    if answer.status != 200:
        raise Unreadable(Fault.GONE if answer.status == 410 else Fault.STATUS, answer.status, retry_after)
    now_known = _known(answer)
    if now_known.content_hash == known.content_hash:
        return Reading(200, now_known, None, answer.moved_to, retry_after)
    return Reading(200, now_known, _parse(answer), answer.moved_to, retry_after)


def _headers(known: Known) -> tuple[str, ...]:
    etag = (f"If-None-Match: {known.etag}",) if known.etag else ()
    date = (f"If-Modified-Since: {known.last_modified}",) if known.last_modified else ()
    return (_ACCEPT, *etag, *date)


def _known(answer: Answer) -> Known:
    return Known(
        etag=_header(answer, "etag", LONGEST_ETAG),
        last_modified=_header(answer, "last-modified", LONGEST_DATE),
        content_hash=sha256(answer.body).hexdigest(),
    )


def _header(answer: Answer, name: str, longest: int) -> str:
    value = answer.headers.get(name, "")
    return value if len(value) <= longest and value.isascii() and value.isprintable() else ""


def _parse(answer: Answer) -> Document:
    content_type = answer.headers.get("content-type", "")[:200]
    given = {"url": answer.url, "content_type": content_type, "seconds": _SECONDS_TO_PARSE}
    sent = json.dumps(given).encode() + b"\n" + answer.body
    command = [sys.executable, "-I", feed_document.__file__]
    try:
        run = subprocess.run(  # noqa: S603 - our own file, without a shell
            command, input=sent, capture_output=True, timeout=2 * _SECONDS_TO_PARSE, env={}, check=True
        )
        found = json.loads(run.stdout)
    except (subprocess.SubprocessError, ValueError):
        raise Unreadable(Fault.TOO_COMPLEX, answer.status) from None
    if "error" in found:
        raise Unreadable(Fault(found["error"]), answer.status)
    return Document(**found | {"entries": [Entry(*entry) for entry in found["entries"]]})

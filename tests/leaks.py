"""Find secrets in logs: a test fails if it logs a known secret, or text that looks like one."""

import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_WORD = re.compile(r"[\w-]{16,}")
_SHAPES = [
    # 32 bytes in base64url: a VAPID private key, or the token of a session.
    re.compile(r"(?<![\w-])(?=[\w-]*[a-z])(?=[\w-]*[A-Z])(?=[\w-]*[0-9])[\w-]{43}(?![\w-])"),
    re.compile(r"\b[0-9]+\.[0-9a-f]{32}\b"),  # a receipt's token
    re.compile(r"link#[\w-]{20,}"),  # a sign-in link
    re.compile(r"/(wpush|send)/[\w:/-]{8,}"),  # the path of an endpoint
    re.compile(r"://[^/\s:@]*:(?!\*+@)[^/\s@]+@"),  # the password of a database or a broker
]
_sentences = {"a secret for tests only", "correct horse battery"}
_words: set[str] = set()
_leaked: list[str] = []
_make_record = logging.getLogRecordFactory()
_make_with_extra = logging.Logger.makeRecord


def know(*secrets: str) -> None:
    """Treat these as secrets from now on; each has at least 16 letters, digits, `-` or `_`."""
    _words.update(secrets)


def lines(text: str) -> list[str]:
    """Return the lines of a log that contain a secret."""
    return [line for line in text.splitlines() if any(map(_holds_a_secret, _texts(line)))]


def refuse(log: str) -> None:
    """Fail with the lines of a log that contain a secret, if there are any."""
    if leaked := lines(log):
        raise AssertionError("\n".join(["secrets in the log:", *leaked]))


def watch() -> None:
    """Check every record of every logger; the next application that configures logging would remove a handler."""
    logging.setLogRecordFactory(_look)
    logging.Logger.makeRecord = _look_at_extra  # type: ignore[assignment] # the factory sees no `extra`


@contextmanager
def guard() -> Iterator[None]:
    """Fail at the end of the block if a secret was logged by then."""
    yield
    leaked = "\n".join(_leaked)
    _leaked.clear()
    refuse(leaked)


def _texts(line: str) -> list[str]:
    """Return a line, or the values of one that is JSON, because an escaped character can hide where a secret begins."""
    try:
        event = json.loads(line) if line.startswith("{") else None
    except ValueError:
        event = None
    return [part for value in event.values() for part in str(value).splitlines()] if event else [line]


def _holds_a_secret(line: str) -> bool:
    return (
        any(sentence in line for sentence in _sentences)
        or not _words.isdisjoint(_WORD.findall(line))
        or any(shape.search(line) for shape in _SHAPES)
    )


def _look(*arguments: Any, **more: Any) -> logging.LogRecord:
    record = _make_record(*arguments, **more)
    _leaked.extend(lines(logging.Formatter().format(record)))
    return record


def _look_at_extra(logger: logging.Logger, *arguments: Any, **more: Any) -> logging.LogRecord:
    record = _make_with_extra(logger, *arguments, **more)
    known = {*vars(logging.makeLogRecord({})), "message", "asctime"}
    _leaked.extend(lines("\n".join(str(value) for name, value in vars(record).items() if name not in known)))
    return record

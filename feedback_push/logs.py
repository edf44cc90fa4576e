"""Log to standard error, one event per line: for people on a terminal, as JSON elsewhere.

Our loggers and those of Flask, Celery and waitress are the standard library's; structlog formats their records and adds
the ids that are bound to the current request or task.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from logging.config import dictConfig
from typing import Any

import structlog
from flask import Flask

from feedback_push.config import Settings, current_settings

_LONGEST = 20_000  # characters of one text, so that no traceback fills the log
_HIDDEN = "[hidden]"
# A second guard: our own lines contain none of these, but the text of a library's error might.
_SECRETS = re.compile(
    r"""
      (?<=://)[^/\s@]{1,500}@                                 # a user and a password in an address
    | (?<=/wpush/)\S{8,} | (?<=/send/)\S{8,}                  # the path of an endpoint
    | (?<=/conversations/)[\w-]{16,}                          # a private link
    | (?<=link\#)[\w-]{16,}                                   # a sign-in link
    | \b\d+\.[0-9a-f]{32}\b                                   # the token of a receipt
    | (?<![\w-])(?=[\w-]{0,42}[a-z])(?=[\w-]{0,42}[A-Z])(?=[\w-]{0,42}\d)[\w-]{43}(?![\w-])  # 32 bytes in base64url
    | (?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}  # an e-mail address
    """,
    re.VERBOSE | re.ASCII,
)
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def init_app(app: Flask) -> None:
    """Send the log to standard error, unless the process has a log already, in which the site then writes its events.

    LOG_LEVEL is for our own events. Libraries stay at WARNING, because their debug logs contain addresses.
    """
    configure(current_settings(app))


def configure(settings: Settings) -> None:
    """Do the same by these settings."""
    level = settings.log_level.upper()
    logging.getLogger("feedback_push").setLevel(level)
    if logging.getLogger().handlers:
        return
    libraries = max(logging.WARNING, logging.getLevelNamesMapping()[level])
    dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"line": {"()": formatter, "settings": settings}},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
            "root": {"level": libraries, "handlers": ["stderr"]},
        }
    )
    logging.captureWarnings(True)


def formatter(settings: Settings) -> logging.Formatter:
    """Return the formatter for LOG_FORMAT; `auto` is JSON unless standard error is a terminal."""
    on_terminal = sys.stderr.isatty()
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not on_terminal)
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,  # a plain traceback: one with local variables would show typed text
            hide_secrets,
            *(_JSON if as_json else _console(colors=on_terminal)),
        ],
    )


def hide_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hide everything in an event that looks like a secret, and escape characters that could forge a line."""
    for key, value in event.items():
        if isinstance(value, str):
            kept = value[-_LONGEST:] if key == "exception" else value[:_LONGEST]  # the end of a traceback says most
            event[key] = _UNPRINTABLE.sub(_escaped, _SECRETS.sub(_HIDDEN, kept))
    return event


def _indent(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Indent the further lines of a text, so that none looks like the beginning of an event."""
    event["event"] = str(event["event"]).replace("\n", "\n    ")
    return event


def _escaped(match: re.Match[str]) -> str:
    return ascii(match[0])[1:-1]


def _console(*, colors: bool) -> list[Any]:
    return [
        _indent,
        structlog.dev.ConsoleRenderer(
            colors=colors, pad_event_to=0, exception_formatter=structlog.dev.plain_traceback, sort_keys=False
        ),
    ]


_JSON = [structlog.processors.EventRenamer("event"), structlog.processors.JSONRenderer(default=str)]

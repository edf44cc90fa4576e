"""Report errors to Sentry if SENTRY_DSN is set. The library is an extra and is loaded only then.

An event is built from a list of the parts that may leave the server, because a list of secrets would miss some. It has
no address, cookie, header, body, variable or text of an exception: each can contain a visitor's text or a secret.
"""

import logging
from importlib import import_module
from typing import Any

from flask import Flask
from structlog.contextvars import get_contextvars

from feedback_push.config import ConfigError, current_settings

_SAFE = ("event_id", "timestamp", "level", "logger", "platform", "release", "environment", "server_name", "sdk")
_OF_EXCEPTION = ("type", "module")
_OF_FRAME = ("filename", "function", "module", "lineno", "in_app", "context_line", "pre_context", "post_context")
_TAGS = ("request_id", "task", "task_id")
_OUR_LOGGERS = ("feedback_push.", "celery.")  # their messages are templates; others may be finished texts
_MOST_FRAMES = 100
_SECONDS_TO_SEND = 2


def init_app(app: Flask) -> None:
    """Send every logged error to Sentry, in the web server and in the worker."""
    dsn = current_settings(app).sentry_dsn
    if not dsn:
        return
    try:
        sentry = import_module("sentry_sdk")
        parts = {name: import_module(f"sentry_sdk.integrations.{name}") for name in ("logging", "atexit", "dedupe")}
    except ImportError:
        raise missing("SENTRY_DSN", "sentry") from None
    # Every error of ours is logged, those of requests and tasks too, so no other integration is needed. Each would
    # collect more: addresses, arguments, queries.
    integrations = [
        parts["logging"].LoggingIntegration(level=None, event_level=logging.ERROR),
        parts["atexit"].AtexitIntegration(callback=lambda *_: None),
        parts["dedupe"].DedupeIntegration(),
    ]
    sentry.init(
        dsn=dsn,
        release=f"feedback-push@{app.config['VERSION']}",
        before_send=scrub,
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=integrations,
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        auto_session_tracking=False,
        shutdown_timeout=_SECONDS_TO_SEND,
    )


def missing(setting: str, extra: str) -> ConfigError:
    """Return the error for a setting whose library is not installed."""
    return ConfigError(
        f"The settings cannot be used:\n  {setting}: needs a library. Install it: pip install 'feedback-push[{extra}]'"
    )


def scrub(event: dict[str, Any], _hint: object) -> dict[str, Any]:
    """Return the event as it may leave the server."""
    safe = {name: event[name] for name in _SAFE if name in event}
    bound = get_contextvars()
    safe["tags"] = {name: bound[name] for name in _TAGS if name in bound}
    logger = event.get("logger") or ""
    template = (event.get("logentry") or {}).get("message")
    if isinstance(template, str) and f"{logger}.".startswith(_OUR_LOGGERS):
        safe["logentry"] = {"message": template}
    errors = (event.get("exception") or {}).get("values") or []
    if errors:
        safe["exception"] = {"values": [_exception(error) for error in errors]}
    return safe


def _exception(error: dict[str, Any]) -> dict[str, Any]:
    frames = ((error.get("stacktrace") or {}).get("frames") or [])[-_MOST_FRAMES:]
    kept = [{name: frame[name] for name in _OF_FRAME if name in frame} for frame in frames]
    return {name: error[name] for name in _OF_EXCEPTION if name in error} | {"stacktrace": {"frames": kept}}

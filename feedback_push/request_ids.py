"""One id for a request and for everything that follows from it: its log lines, its tasks and its pushes.

The id is always our own: a client could send the same one twice to hide among others. The id that a trusted proxy
sends is logged beside it.
"""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask, g, request
from flask.wrappers import Response
from structlog.contextvars import bind_contextvars, bound_contextvars, get_contextvars, reset_contextvars

from feedback_push.config import current_settings

HEADER = "X-Request-ID"
LENGTH = 32  # characters: 128 bits in hexadecimal digits
_OURS = re.compile(r"[0-9a-f]{32}")
_OF_PROXY = re.compile(r"[\w.:=/+-]{1,100}", re.ASCII)


def init_app(app: Flask) -> None:
    """Give every request an id, and put it into the response; call this before anything that can refuse a request."""
    app.before_request(_begin)
    app.after_request(_put_into)
    app.teardown_request(_end)


def current() -> str | None:
    """Return the id of the request that this thread answers, or that its task follows from."""
    found = get_contextvars().get("request_id")
    return found if isinstance(found, str) else None


def headers() -> dict[str, str]:
    """Return the headers of a task's message, which carry the current id."""
    found = current()
    return {"request_id": found} if found else {}


@contextmanager
def of_task(name: str, task_id: str | None, sent: dict[str, Any] | None) -> Iterator[None]:
    """Bind a task's name, its id and the id in its message's headers to the log lines of this block."""
    request_id = (sent or {}).get("request_id")
    ids = {"task_id": task_id, "request_id": request_id if is_id(request_id) else current()}
    with bound_contextvars(task=name, **{key: value for key, value in ids.items() if value}):
        yield


def is_id(value: object) -> bool:
    """Return whether a value is an id as this module makes them."""
    return isinstance(value, str) and _OURS.fullmatch(value) is not None


def _begin() -> None:
    ids = {"request_id": secrets.token_hex(LENGTH // 2)}
    from_proxy = request.headers.get(HEADER, "") if current_settings().trusted_proxies else ""
    if _OF_PROXY.fullmatch(from_proxy):
        ids["proxy_request_id"] = from_proxy
    g.request_ids = bind_contextvars(**ids)


def _put_into(response: Response) -> Response:
    found = current()
    if found and request.endpoint != "static":  # which caches share
        response.headers[HEADER] = found
    return response


def _end(_error: BaseException | None) -> None:
    if tokens := g.pop("request_ids", None):
        reset_contextvars(**tokens)

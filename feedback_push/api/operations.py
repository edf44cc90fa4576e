"""A blueprint whose operations check the key, read their arguments, and describe both in OpenAPI."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Any, NoReturn

from flask import Request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_smorest import Blueprint
from marshmallow import RAISE, Schema, ValidationError
from webargs.flaskparser import FlaskParser, is_json_request

from feedback_push import request_limits
from feedback_push.api import authentication, idempotency
from feedback_push.auth.api_keys import Scope
from feedback_push.problems import Fault, Problem

View = Callable[..., ResponseReturnValue]
_PLACES = {"json": "body", "query": "query"}
_MOST_FAULTS = 20
_SMALL = 64 * 1024  # bytes, in which no number of parts matters
_MOST_PARTS = 1_000
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_TEXT = {"schema": {"type": "string"}}
_LIMIT_HEADERS = {
    "RateLimit": {**_TEXT, "description": "The number of requests left, and the seconds until there are more."},
    "RateLimit-Policy": {**_TEXT, "description": "The number of requests that a key has, and in how many seconds."},
}
_IDEMPOTENCY_KEY = {
    "in": "header",
    "name": idempotency.HEADER,
    "schema": {"type": "string", "minLength": 8, "maxLength": 100, "pattern": r"^[!#-\[\]-~]+$"},
    "description": "A random text, such as a UUID. The same request with the same key is carried out once in 24 hours.",
}


class Parser(FlaskParser):
    """Read arguments strictly: unknown ones are refused wherever they stand, and a body is JSON in UTF-8."""

    DEFAULT_UNKNOWN_BY_LOCATION: dict[str, str | None] = {"query": RAISE, "json": RAISE}  # noqa: RUF012 - as its parent

    def load_json(self, req: Request, _schema: Schema) -> Any:
        """Return the body; raise Problem if it is none that can be read."""
        if not is_json_request(req):
            raise Problem(415, _("Send the body as application/json."))
        body = req.get_data()
        if len(body) > _SMALL and _parts(body) > _MOST_PARTS:
            raise Problem(413, _("The body has too many parts."))
        try:
            return json.loads(body.decode())
        except (ValueError, RecursionError):
            raise Problem(400, _("The body is not JSON in UTF-8."), [Fault("body", "", _("Not valid JSON."))]) from None

    def handle_error(self, error: ValidationError, *_context: Any, **_more: Any) -> NoReturn:
        """Raise Problem with the fields that are wrong."""
        messages: dict[str, Any] = error.normalized_messages()  # type: ignore[no-untyped-call]
        found = [fault for place, some in messages.items() for fault in _faults(place, some)]
        raise Problem(422, _("Some fields are missing or wrong."), found[:_MOST_FAULTS]) from None


class Operations(Blueprint):  # type: ignore[misc]
    """A part of the API."""

    ARGUMENTS_PARSER = Parser()

    def operation(
        self,
        rule: str,
        answer: type[Schema],
        *,
        status: int = 200,
        scope: Scope | None = None,
        query: type[Schema] | None = None,
        body: type[Schema] | None = None,
        problems: tuple[int, ...] = (),
        size: int | None = None,
    ) -> Callable[[View], View]:
        """Decorate a view: `rule` is its method and address, `size` the largest body in bytes.

        The view gets the arguments as a dict, and returns the values that `answer` shows.
        """
        method, address = rule.split(" ")

        def decorate(view: View) -> View:
            inner: View = self.response(status, answer, headers=_LIMIT_HEADERS if scope else None)(view)
            if query:
                inner = self.arguments(query, location="query")(inner)
            if body:
                inner = self.arguments(body, location="json")(inner)

            @wraps(inner)
            def checked(*args: Any, **more: Any) -> ResponseReturnValue:
                if scope:
                    authentication.require(scope)
                return inner(*args, **more)

            outer: View = self.doc(**_manual(view, method, scope, _statuses(scope, query, body, problems)))(checked)
            if size:
                outer = request_limits.takes_up_to(size)(outer)
            self.add_url_rule(address, view.__name__, outer, methods=[method])
            return view

        return decorate


def _parts(body: bytes) -> int:
    """Return the number of separators outside the texts of a body; each part takes far more memory than its bytes."""
    outside = _STRING.sub(b"", body)
    return sum(outside.count(separator) for separator in (b",", b"[", b"{"))


def _statuses(
    scope: Scope | None, query: type[Schema] | None, body: type[Schema] | None, problems: tuple[int, ...]
) -> list[int]:
    found = {*problems, *((401, 403, 429) if scope else ()), *((400, 413, 415, 422) if body else ())}
    return sorted({*found, 422} if query else found)


def _manual(view: View, method: str, scope: Scope | None, statuses: list[int]) -> dict[str, Any]:
    """Return what the decorators do not say themselves."""
    return {
        "operationId": view.__name__,
        "responses": {status: f"Problem{status}" for status in statuses},
        **({"security": [{"key": [scope.value]}]} if scope else {"security": []}),
        **({"parameters": [_IDEMPOTENCY_KEY]} if method == "POST" else {}),
    }


def _faults(place: str, messages: Any, field: str = "") -> Iterator[Fault]:
    if isinstance(messages, Mapping):
        for name, more in messages.items():
            below = field if name == "_schema" else f"{field}.{name}" if field else str(name)
            yield from _faults(place, more, below)
        return
    for message in messages if isinstance(messages, list) else [messages]:
        yield Fault(_PLACES.get(place, place), field, str(message))

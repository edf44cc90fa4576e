"""Limit the size of request bodies: refuse one that is too large before anything parses it."""

from collections.abc import Callable
from typing import IO, Any, TypeVar
from urllib.parse import unquote_to_bytes

from flask import Flask, Request, current_app, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser

from feedback_push.concurrency_limit import Busy, ConcurrencyLimit

LARGEST_BODY = 64 * 1024  # bytes; the default for a view
_DECODED_AT_ONCE = 16 * 1024  # characters
MOST_FIELDS = 50  # of a form; the default for a view
# Parsing a large form occupies a core for a moment, and several at once would slow down all other requests.
_large_forms = ConcurrencyLimit(1, waiting=2)

View = TypeVar("View", bound=Callable[..., ResponseReturnValue])


class _LimitedForm(FormDataParser):
    """A parser that refuses a form that is too large before parsing it, and drops fields without a name.

    Without a name, a field of a multipart form would make the check of CSRF tokens fail.
    """

    most_characters: int | None = None

    def parse(self, stream: IO[bytes], mimetype: str, *args: Any, **kwargs: Any) -> Any:
        if mimetype == "application/x-www-form-urlencoded":
            form, files = self.cls(_decoded(self._checked(stream.read()))), self.cls()
        else:
            stream, form, files = super().parse(stream, mimetype, *args, **kwargs)
        named = [(name, value) for name, value in form.items(multi=True) if name is not None]
        # A line end is two characters in a form, and one in the stored text.
        if self.most_characters and sum(len(text) - text.count("\r\n") for _, text in named) > self.most_characters:
            raise RequestEntityTooLarge
        return stream, self.cls(named), files

    def _checked(self, body: bytes) -> bytes:
        # Werkzeug counts only the parts of multipart forms. Both counts take a millisecond for the largest body.
        too_many = self.max_form_parts is not None and body.count(b"&") >= self.max_form_parts
        decoded = len(body) - 2 * body.count(b"%")
        if too_many or (self.most_characters and decoded > 4 * self.most_characters):  # UTF-8 has at most 4 bytes each
            raise RequestEntityTooLarge
        return body


class LimitedRequest(Request):
    """A request whose form has the limits of its view."""

    form_data_parser_class = _LimitedForm
    most_characters: int | None = None

    def make_form_data_parser(self) -> FormDataParser:
        """Return Werkzeug's parser, which also knows the limit of this view."""
        parser = super().make_form_data_parser()
        parser.most_characters = self.most_characters  # type: ignore[attr-defined]
        return parser


def takes_up_to(
    size: int = LARGEST_BODY, *, fields: int = MOST_FIELDS, characters: int | None = None
) -> Callable[[View], View]:
    """Decorate a view to accept larger requests than the default; only the route may be outside this decorator.

    `size` is in bytes. `characters` is the total length of the form's texts, which a page may show again.
    """

    def mark(view: View) -> View:
        view.limits = size, fields, characters  # type: ignore[attr-defined]
        return view

    return mark


def largest_body(app: Flask) -> int:
    """Return the size in bytes of the largest request body that any view accepts."""
    return max(_limits(view)[0] for view in app.view_functions.values())


def limit_body() -> None:
    """Refuse the request if its body is larger than its view accepts; for before_request."""
    size, fields, characters = _limits(current_app.view_functions.get(request.endpoint or ""))
    request.max_content_length = request.max_form_memory_size = size
    request.max_form_parts = fields
    request.most_characters = characters  # type: ignore[attr-defined]
    if request.environ.get("feedback_push.overloaded"):  # set by the web server when it discarded the body
        raise Busy(retry_after=5)
    announced = request.content_length or 0
    if announced > size:
        raise RequestEntityTooLarge
    if announced > LARGEST_BODY:
        _large_forms.enter_for_request()


def _limits(view: Callable[..., Any] | None) -> tuple[int, int, int | None]:
    limits: tuple[int, int, int | None] = getattr(view, "limits", (LARGEST_BODY, MOST_FIELDS, None))
    return limits


def _decoded(body: bytes) -> list[tuple[str, str]]:
    """Return the fields of a form as Werkzeug does, with a sixth of the memory."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return []
    pairs = [pair.partition("=") for pair in text.split("&") if pair]
    return [(_unquoted(name), _unquoted(value)) for name, _, value in pairs]


def _unquoted(text: str) -> str:
    # Part by part, because the library needs 75 times the memory of the text that it decodes.
    text = text.replace("+", " ")
    decoded, start = bytearray(), 0
    while start < len(text):
        end = start + _DECODED_AT_ONCE
        if (cut := text.rfind("%", end - 2, end)) >= 0:
            end = cut
        decoded += unquote_to_bytes(text[start:end])
        start = end
    return decoded.decode("utf-8", "werkzeug.url_quote")

"""Limit the URL, header lines and cookies of a request before anything parses them.

Values that only describe the browser or the request's route are cut, because no request may be refused for them. Any
other value that is too long makes the request fail.
"""

from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, request
from werkzeug.exceptions import RequestHeaderFieldsTooLarge, RequestURITooLarge

from feedback_push.config import current_settings
from feedback_push.security import API

LONGEST_PATH = 2_048  # characters, each of which is one byte here (PEP 3333)
LONGEST_QUERY = 8_192
LONGEST_COOKIES = 16_384
LONGEST_LINE = 8_192
# For these the beginning is enough.
_CUT = {"HTTP_USER_AGENT": 512, "HTTP_ACCEPT": 1_024, "HTTP_ACCEPT_LANGUAGE": 512}
# Trusted proxies wrote the end of these.
_CUT_AT_THE_BEGINNING = {"HTTP_X_FORWARDED_FOR": 2_048, "HTTP_X_FORWARDED_HOST": 2_048, "HTTP_X_FORWARDED_PROTO": 2_048}
_REFUSED = "feedback_push.refused"  # the WSGI environment's key for the error to answer with

_Environment = dict[str, Any]
_Application = Callable[[_Environment, Any], Iterable[bytes]]


def init_app(app: Flask) -> None:
    """Limit every request, outside all other WSGI middleware."""
    application, site_path = app.wsgi_app, current_settings(app).site_path

    def bounded(environ: _Environment, start_response: Any) -> Iterable[bytes]:
        _bound(environ, site_path)
        return application(environ, start_response)

    app.wsgi_app = bounded  # type: ignore[method-assign]
    app.before_request(_refuse)


def _refuse() -> None:
    if error := request.environ.get(_REFUSED):
        raise error


def _bound(environment: _Environment, site_path: str) -> None:
    for name, most in _CUT.items():
        if name in environment:
            environment[name] = environment[name][:most]
    for name, most in _CUT_AT_THE_BEGINNING.items():
        if name in environment:
            environment[name] = environment[name][-most:]
    if len(environment.get("PATH_INFO", "")) > LONGEST_PATH or len(environment.get("QUERY_STRING", "")) > LONGEST_QUERY:
        is_api = environment.get("PATH_INFO", "").startswith(f"{site_path}{API}")  # whose errors have another form
        environment |= {
            "PATH_INFO": f"{site_path}{API if is_api else '/'}",
            "QUERY_STRING": "",
            _REFUSED: RequestURITooLarge(),
        }
    for name in [name for name, value in environment.items() if _is_too_long(name, value)]:
        environment[name] = ""
        environment[_REFUSED] = RequestHeaderFieldsTooLarge()


def _is_too_long(name: str, value: Any) -> bool:
    if not name.startswith("HTTP_") and name != "CONTENT_TYPE":
        return False
    return len(value) > (LONGEST_COOKIES if name == "HTTP_COOKIE" else LONGEST_LINE)

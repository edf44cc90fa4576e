"""Serve the site under the path of SITE_URL, and build the addresses that leave it."""

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Request, url_for
from werkzeug.routing import MapAdapter

from feedback_push.config import Settings, current_settings

_Environment = dict[str, Any]
_Application = Callable[[_Environment, Any], Iterable[bytes]]


def init_app(app: Flask) -> None:
    """Make url_for and the cookies know the path, and remove it from the path of each request.

    url_for then works without a request, too, and its addresses are absolute there.
    """
    settings = current_settings(app)
    app.add_template_global(absolute_url)
    app.config["APPLICATION_ROOT"] = settings.site_path or "/"
    app.wsgi_app = _below(settings.site_path, app.wsgi_app)  # type: ignore[assignment, method-assign]
    of_request, without_request = app.create_url_adapter, _adapter(app, settings)

    def create_url_adapter(request: Request | None) -> MapAdapter | None:
        return without_request if request is None else of_request(request)

    app.create_url_adapter = create_url_adapter  # type: ignore[method-assign]


def absolute_url(endpoint: str, **values: Any) -> str:
    """Return the address of a page under SITE_URL, whatever host and scheme the current request has used."""
    return current_settings().site_origin + url_for(endpoint, **values, _external=False)


def _below(path: str, application: _Application) -> _Application:
    """Split each request's path after the site's own (PEP 3333: SCRIPT_NAME and PATH_INFO).

    It may arrive whole, or already split by the application that this one is mounted in, or without the site's path if
    a proxy has removed it. In every case SCRIPT_NAME becomes the site's path, so all addresses are right.
    """

    def serve(environ: _Environment, start_response: Any) -> Iterable[bytes]:
        whole = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        if path and f"{whole}/".startswith(f"{path}/"):
            environ["PATH_INFO"] = whole.removeprefix(path)
        environ["SCRIPT_NAME"] = path
        return application(environ, start_response)

    return serve


def _adapter(app: Flask, settings: Settings) -> MapAdapter:
    site = urlsplit(settings.site_url)
    return app.url_map.bind(site.netloc, settings.site_path or "/", url_scheme=site.scheme)

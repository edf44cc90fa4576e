"""Let the pages of a form's origins use the public part of the API: CORS, and no page of another origin."""

from typing import cast

from flask import g, request
from flask.wrappers import Response
from flask_babel import gettext as _

from feedback_push.database import DATABASE_ERRORS
from feedback_push.feedback import form_loads, origins, site_forms
from feedback_push.feedback.form_models import Form
from feedback_push.problems import Fault, Problem

LOADS = "api_forms.get_form"  # the endpoint that a page asks first
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Accept-Language, Content-Type, Idempotency-Key",
    "Access-Control-Max-Age": "600",
}


def require_form() -> None:
    """Find the form of this request; raise Problem if there is none, or if a page of another origin asks for it.

    A request without an origin comes from no page: it needs the same proof of work. For before_request.
    """
    form = _form()
    if form is None:
        raise Problem(404, _("There is no such form."))
    if request.endpoint == LOADS and request.method == "GET":
        form_loads.record(form, origins.of_request())
    if not origins.allows(form, request.headers.get("Origin")):
        detail = _("This form is not for pages of this origin. Its owner can add the origin in the dashboard.")
        raise Problem(403, detail, [Fault("header", "Origin", detail)])


def form() -> Form:
    """Return the form of this request."""
    return cast("Form", g.api_form)


def allow(response: Response) -> Response:
    """Let the page read this answer, also an error, if it may use the form; for after_request."""
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.vary.add("Origin")
    origin = request.headers.get("Origin")
    if origin is not None and _allows(origin):
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = "Retry-After"
        if request.method == "OPTIONS":
            response.headers.update(_PREFLIGHT)
    return response


def _allows(origin: str) -> bool:
    try:
        found = _form()
    except DATABASE_ERRORS:
        return False
    return found is not None and origins.allows(found, origin)


def _form() -> Form | None:
    # An earlier function may have refused the request, such as one that is too large.
    if "api_form" not in g:
        g.api_form = site_forms.find((request.view_args or {}).get("key", ""))
    return cast("Form | None", g.api_form)

"""The OpenAPI description of the API, made from the operations themselves when somebody first asks for it."""

from typing import Any

from flask import Blueprint, Flask, current_app, jsonify
from flask.typing import ResponseReturnValue
from flask_smorest import Api
from marshmallow import fields
from werkzeug.http import HTTP_STATUS_CODES

from feedback_push import problems
from feedback_push.api.blueprint import PREFIX
from feedback_push.api.operations import Operations
from feedback_push.api.schemas import Answer
from feedback_push.config import current_settings
from feedback_push.feedback.form_models import LONGEST_KEY
from feedback_push.feedback.site_forms import KeyConverter

_OPENAPI = "3.1.0"
_VERSION = "1"
_KEY = {"type": "http", "scheme": "bearer", "description": "A key from the page “API keys” of the dashboard."}
_PROBLEMS = (400, 401, 403, 404, 409, 410, 413, 415, 422, 429)


class FaultSchema(Answer):
    """A part of the request that is wrong."""

    place = fields.String(required=True, metadata={"description": "`body`, `query`, `header` or `path`."})
    field = fields.String(required=True, metadata={"description": "Its name; names inside it follow after a dot."})
    detail = fields.String(required=True)


class ProblemSchema(Answer):
    """An error (RFC 9457)."""

    type = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    errors = fields.List(fields.Nested(FaultSchema))


class _Description(Api):  # type: ignore[misc]
    DEFAULT_ERROR_RESPONSE_NAME = None

    def _register_error_handlers(self) -> None:
        # errors.py answers the errors. The library's handler would answer those of all pages.
        pass


blueprint = Blueprint("api_description", __name__, url_prefix=PREFIX)


@blueprint.get("/openapi.json")
def openapi() -> ResponseReturnValue:
    """Return the description of the whole API."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined] # noqa: SLF001 - Werkzeug's name for it
    made = app.extensions.get("api_description") or of_app(app)
    app.extensions["api_description"] = made
    return jsonify(made)


def of_app(app: Flask) -> dict[str, Any]:
    """Return the description of the application's API."""
    settings = current_settings(app)
    made = _Description(
        app,
        spec_kwargs={
            "title": settings.site_name,
            "version": _VERSION,
            "openapi_version": _OPENAPI,
            "servers": [{"url": settings.site_url}],
        },
    )
    components = made.spec.components
    components.security_scheme("key", _KEY)
    for status in _PROBLEMS:
        content = {problems.MIME_TYPE: {"schema": ProblemSchema}}
        components.response(f"Problem{status}", {"description": HTTP_STATUS_CODES[status], "content": content})
    made.register_converter(KeyConverter, lambda _: {"type": "string", "maxLength": LONGEST_KEY})
    for name, part in app.blueprints.items():
        if isinstance(part, Operations):
            part.register_views_in_doc(made, app, made.spec, name=name, parameters=None)
            made.spec.tag({"name": name, "description": part.description})
    described: dict[str, Any] = made.spec.to_dict()
    return described

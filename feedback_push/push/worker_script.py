"""Serve the service workers: texts in the reader's language, then the part that all of them share, then their own."""

import json
from typing import Any

from flask import request
from flask.wrappers import Response

from feedback_push import branding, static_files
from feedback_push.config import current_settings


def respond(name: str, texts: dict[str, Any]) -> Response:
    """Return the service worker in this static file, with the constants in front that push/worker.js describes.

    Browsers ask for it again and again, and get 304 if it has not changed.
    """
    site_path = current_settings().site_path
    constants = {"TEXTS": texts, "ICON": branding.current().notification_icon_url, "SITE_PATH": site_path}
    parts = [f"const {constant} = {json.dumps(value)};\n" for constant, value in constants.items()]
    parts += [static_files.script(file).content.decode() for file in ("push/worker.js", name)]
    response = Response("".join(parts), mimetype="text/javascript")
    response.headers["Cache-Control"] = "no-cache"
    response.vary.add("Accept-Language")
    response.add_etag()
    response.make_conditional(request)
    return response

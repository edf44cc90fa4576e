"""Serve `/.well-known/security.txt` (RFC 9116), the contacts for vulnerability reports, if the operator set any."""

from datetime import timedelta

from flask import Blueprint, Response, abort
from flask.typing import ResponseReturnValue

from feedback_push.config import current_settings
from feedback_push.database import utcnow
from feedback_push.language import LANGUAGES

blueprint = Blueprint("security_txt", __name__)
_PATH = "/.well-known/security.txt"
_USABLE_FOR = timedelta(days=180)  # the RFC recommends less than a year; every response renews it


@blueprint.get(_PATH)
def show() -> ResponseReturnValue:
    """Answer with the contacts in SECURITY_CONTACT, or 404 if there are none."""
    settings = current_settings()
    if not settings.security_contact:
        abort(404)
    expires = utcnow() + _USABLE_FOR
    lines = [
        *(f"Contact: {contact}" for contact in settings.security_contact),
        *([f"Policy: {settings.security_policy}"] if settings.security_policy else []),
        f"Expires: {expires:%Y-%m-%d}T00:00:00Z",
        f"Preferred-Languages: {', '.join(LANGUAGES)}",
        f"Canonical: {settings.site_origin}{_PATH}",  # the RFC wants it there, whatever the path of the site
    ]
    return Response("".join(f"{line}\n" for line in lines), mimetype="text/plain")

"""Serve the scripts, manifest and offline page that make the dashboard an installable app."""

from typing import Any

from flask import jsonify, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_login import current_user

from feedback_push import branding, language, static_files
from feedback_push.admin.pages import blueprint
from feedback_push.push import worker_script

_SUBSCRIBE = "admin/push-subscribe.js"


@blueprint.get("/sw.js")
def service_worker() -> ResponseReturnValue:
    """Return the service worker with its texts in the reader's language and the notifications' icon.

    Its address makes the dashboard its scope.
    """
    _set_reader_locale()
    texts = {
        "lang": language.current(),
        "title": _("New feedback"),
        "body": _("Open the inbox to read it."),
        "actions": {"answer": _("Answer")},  # by the action's name in a notification
    }
    return worker_script.respond("admin/sw.js", texts)


@blueprint.get("/push-subscribe.js")
def subscribe_script() -> ResponseReturnValue:
    """Return the script of the opt-in card."""
    script = static_files.script(_SUBSCRIBE)
    return script.respond(request.environ, immutable=request.args.get("v") == script.version)


@blueprint.app_url_defaults
def version_subscribe_script(endpoint: str, values: dict[str, Any]) -> None:
    """Add the script's version to its address, so that browsers can keep it."""
    if endpoint == "admin.subscribe_script":
        values["v"] = static_files.script(_SUBSCRIBE).version


@blueprint.get("/offline")
def offline() -> ResponseReturnValue:
    """Return the page that the service worker shows without a network, with `unsent` for a form. It is not personal."""
    _set_reader_locale()
    return render_template("admin/offline.html", is_unsent="unsent" in request.args)


@blueprint.get("/manifest.webmanifest")
def manifest() -> ResponseReturnValue:
    """Return the manifest that makes the dashboard installable. iPhones and iPads allow push in installed apps only."""
    site, inbox = branding.current(), url_for("admin.inbox")
    icons = _icons(site)
    response = jsonify(
        name=site.name,
        short_name=site.name,
        description=_("Read feedback from your visitors and get a notification when somebody writes."),
        lang=language.current(),
        dir=get_locale().text_direction,
        id=inbox,
        start_url=inbox,
        scope=url_for("feedback.home"),  # the app includes the sign-in page
        display="standalone",
        background_color="#f4f7f6",
        theme_color=site.theme_color,  # for the light scheme; pages set one for each scheme
        icons=icons,
        shortcuts=[
            {"name": _("Inbox"), "url": inbox, "icons": icons[:1]},
            {"name": _("Devices"), "url": url_for("admin.devices"), "icons": icons[:1]},
        ],
    )
    response.mimetype = "application/manifest+json"
    return response


def _set_reader_locale() -> None:
    if current_user.is_authenticated:
        language.set_locale(current_user.language, current_user.time_zone)


def _icons(site: branding.Branding) -> list[dict[str, str]]:
    if site.has_own_logo and site.logo.media_type != "image/jpeg":  # browsers do not accept JPEG for an app
        return [{"src": site.logo_url, "sizes": "any", "type": site.logo.media_type, "purpose": "any"}]
    return [_icon("icon-192.png", 192), _icon("icon-512.png", 512), _icon("icon-maskable-512.png", 512, "maskable")]


def _icon(name: str, size: int, purpose: str = "any") -> dict[str, str]:
    address = url_for("static", filename=f"icons/{name}")
    return {"src": address, "sizes": f"{size}x{size}", "type": "image/png", "purpose": purpose}

"""The dashboard's pages, and the service worker, subscribe script and manifest that belong to them."""

from typing import Any

from flask import Blueprint, abort, jsonify, redirect, render_template, request, send_from_directory, url_for
from flask.typing import ResponseReturnValue
from flask.wrappers import Response
from flask_login import current_user

from feedback_push import config, language, security
from feedback_push.admin import push_status, words
from feedback_push.database import db
from feedback_push.feedback import inbox
from feedback_push.push import deliveries, subscriptions

blueprint = Blueprint("admin", __name__)
blueprint.after_request(security.no_store)
_SCRIPTS = config.ROOT / "static" / "admin"
_PUBLIC = {"admin.service_worker", "admin.subscribe_script", "admin.manifest"}


@blueprint.before_request
def _only_for_administrators() -> ResponseReturnValue | None:
    if request.endpoint in _PUBLIC:
        return None
    if current_user.is_authenticated:
        language.speak(current_user.language, current_user.time_zone)
        return None
    wanted = request.full_path.rstrip("?") if request.method == "GET" else None
    return redirect(url_for("auth.login", next=wanted))


@blueprint.get("/", endpoint="inbox")
def show_inbox() -> ResponseReturnValue:
    """The newest messages, or those before the cursor in `before`."""
    before = request.args.get("before", type=_cursor)
    return _page("admin/inbox.html", page=inbox.page(before), unread=inbox.unread())


@blueprint.get("/messages/<int(max=9223372036854775807):message_id>", endpoint="message")
def show_message(message_id: int) -> ResponseReturnValue:
    """One message with its delivery ledger: what a notification opens. Opening it marks it read."""
    message = inbox.find(message_id) or abort(404)
    inbox.mark_read(message)
    db.session.commit()
    ledger = [(delivery, words.reason(delivery)) for delivery in deliveries.of(message.outbox_id)]
    return _page("admin/message.html", message=message, ledger=ledger)


@blueprint.get("/devices", endpoint="devices")
def show_devices() -> ResponseReturnValue:
    """The browsers of the signed-in administrator."""
    return _page("admin/devices.html", devices=subscriptions.of(current_user))


@blueprint.post("/devices/<int(max=9223372036854775807):device_id>/remove")
def remove_device(device_id: int) -> ResponseReturnValue:
    """Forget one of the caller's browsers."""
    subscriptions.remove_device(device_id, user=current_user)
    db.session.commit()
    return redirect(url_for("admin.devices"), 303)


@blueprint.get("/sw.js")
def service_worker() -> ResponseReturnValue:
    """The service worker; its address gives it the dashboard as scope."""
    return _script("sw.js")


@blueprint.get("/push-subscribe.js")
def subscribe_script() -> ResponseReturnValue:
    """The script behind the opt-in card."""
    return _script("push-subscribe.js")


@blueprint.get("/manifest.webmanifest")
def manifest() -> ResponseReturnValue:
    """What makes the dashboard installable; iPhones and iPads give push to installed apps only."""
    response = jsonify(
        name="Feedback Push",
        short_name="Feedback",
        id=url_for("admin.inbox"),
        start_url=url_for("admin.inbox"),
        scope=url_for("admin.inbox"),
        display="standalone",
        background_color="#f4f7f6",
        theme_color="#f4f7f6",
        icons=[_icon("icon-192.png", 192), _icon("icon-512.png", 512), _icon("icon-maskable-512.png", 512, "maskable")],
    )
    response.mimetype = "application/manifest+json"
    return response


def _page(template: str, **context: Any) -> str:
    # Not a context processor: that would ask the database for error pages too.
    return render_template(template, push=push_status.current(), **context)


def _icon(name: str, size: int, purpose: str = "any") -> dict[str, str]:
    address = url_for("static", filename=f"icons/{name}")
    return {"src": address, "sizes": f"{size}x{size}", "type": "image/png", "purpose": purpose}


def _cursor(value: str) -> int:
    number = int(value)
    if not 0 <= number < 2**63:  # what an id can be; anything else counts as no cursor
        raise ValueError
    return number


def _script(name: str) -> Response:
    response = send_from_directory(_SCRIPTS, name, mimetype="text/javascript")
    response.headers["Cache-Control"] = "no-cache"
    return response

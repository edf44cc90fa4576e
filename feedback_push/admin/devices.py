"""The devices of the signed-in administrator: add a phone, and rename, test, pause and remove devices."""

from typing import Any

from flask import abort, jsonify, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from feedback_push import browser_name, ids, typed_text
from feedback_push.admin import fresh_authentication, labels, phone, push_status
from feedback_push.admin.pages import ID, blueprint, page
from feedback_push.auth import audit, sign_in_links
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.config import current_settings
from feedback_push.database import db, utcnow
from feedback_push.push import digests, history, keys, outbox, preferences, subscriptions
from feedback_push.push.models import Subscription

LONGEST_NAME = 100
_LONGEST_TYPED = 1_000  # including the spaces that are removed


@blueprint.get("/devices", endpoint="devices")
def show_devices() -> ResponseReturnValue:
    """Show the administrator's browsers, and the result of the test notification in `tested`."""
    return _page()


@blueprint.post("/devices", endpoint="show_qr_code")
@fresh_authentication.required
def show_qr_code() -> ResponseReturnValue:
    """Show the same page with a new sign-in link as a QR code; the link is not stored, so only this answer has it."""
    address = sign_in_links.make(current_user)
    db.session.commit()
    expires_at = utcnow() + sign_in_links.LASTS
    return _page(link=address, qr_code=phone.qr_code(address), link_expires_at=expires_at)


@blueprint.get(f"/devices/tests/<{ID}:entry_id>.json")
def show_test(entry_id: int) -> ResponseReturnValue:
    """Return the result of a test notification so far, for the script that polls for it."""
    found = outbox.find_test(entry_id, current_user) or abort(404)
    text, final = labels.test_result(*found, utcnow())
    return jsonify(text=text, final=final)


@blueprint.post(f"/devices/<{ID}:device_id>/test")
def test_device(device_id: int) -> ResponseReturnValue:
    """Send a real push to one of the caller's browsers, even if it is paused."""
    if keys.cached().current is None:
        abort(404)
    entry = outbox.enqueue_test(_own(device_id))
    db.session.commit()
    outbox.wake(entry.id)
    return _back(device_id, tested=entry.id)


@blueprint.post(f"/devices/<{ID}:device_id>/rename")
def rename_device(device_id: int) -> ResponseReturnValue:
    """Rename one of the caller's browsers. Without a new name, it keeps the old one."""
    device = _own(device_id)
    name = " ".join((typed_text.storable(request.form["name"][:_LONGEST_TYPED]) or "").split())[:LONGEST_NAME]
    if not typed_text.is_blank(name) and name not in (device.name, browser_name.localized(device.name)):
        before, device.name = device.name, name
        audit.record(AuditEvent.DEVICE_RENAMED, current_user, before=before, device=device.name)
    db.session.commit()
    return _back(device_id)


@blueprint.post(f"/devices/<{ID}:device_id>/pause")
def pause_device(device_id: int) -> ResponseReturnValue:
    """Send no ordinary notifications to a browser until it is resumed."""
    device = _own(device_id)
    device.paused_at = device.paused_at or utcnow()
    digests.cancel_pending(device)
    db.session.commit()
    return _back(device_id)


@blueprint.post(f"/devices/<{ID}:device_id>/resume")
def resume_device(device_id: int) -> ResponseReturnValue:
    """Send notifications to a browser again."""
    _own(device_id).paused_at = None
    db.session.commit()
    return _back(device_id)


@blueprint.post(f"/devices/<{ID}:device_id>/remove")
def remove_device(device_id: int) -> ResponseReturnValue:
    """Remove one of the caller's browsers."""
    subscriptions.remove_device(device_id, user=current_user)
    db.session.commit()
    return redirect(url_for("admin.devices"), 303)


def _page(**more: Any) -> str:
    devices = subscriptions.of(current_user)
    errors = {device.id: last for device in devices if (last := history.last_failed(device))}
    reasons = {device_id: (labels.reason(last), last.entry.created_at) for device_id, last in errors.items()}
    tested = outbox.find_test(request.args.get("tested", 0, type=ids.parse), current_user)
    return page(
        "admin/devices.html",
        devices=devices,
        failing=subscriptions.FAILING,
        forgotten_after=subscriptions.KEEP_GONE,
        quiet_until=preferences.quiet_until(current_user),
        reasons=reasons,
        tested=tested[0] if tested else None,
        test_result=labels.test_result(*tested, utcnow())[0] if tested else None,
        rotation=push_status.rotation_progress(),
        proxy=phone.proxy_needed(),
        site_url=current_settings().site_url,
        **more,
    )


def _own(device_id: int) -> Subscription:
    return subscriptions.find(device_id, user=current_user) or abort(404)


def _back(device_id: int, **query: Any) -> ResponseReturnValue:
    return redirect(url_for("admin.devices", **query, _anchor=f"device-{device_id}"), 303)

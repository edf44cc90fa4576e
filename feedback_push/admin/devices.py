"""The devices of the signed-in administrator."""

from flask import redirect, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from feedback_push.admin import push_status
from feedback_push.admin.pages import ID, blueprint, page
from feedback_push.database import db
from feedback_push.push import subscriptions


@blueprint.get("/devices", endpoint="devices")
def show_devices() -> ResponseReturnValue:
    """The browsers of the signed-in administrator."""
    return page("admin/devices.html", devices=subscriptions.of(current_user), moved=push_status.moved())


@blueprint.post(f"/devices/<{ID}:device_id>/remove")
def remove_device(device_id: int) -> ResponseReturnValue:
    """Forget one of the caller's browsers."""
    subscriptions.remove_device(device_id, user=current_user)
    db.session.commit()
    return redirect(url_for("admin.devices"), 303)

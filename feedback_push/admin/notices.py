"""A notice of the account's security: when and where it was, and the answer of its reader."""

from flask import abort, flash, redirect, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user

from feedback_push import browser_name
from feedback_push.admin.pages import ID, blueprint, page
from feedback_push.auth import audit, known_browser, notices, roles, sessions
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.auth.models import Notice
from feedback_push.database import db
from feedback_push.push import subscriptions


@blueprint.get(f"/notices/<{ID}:notice_id>", endpoint="notice")
def show_notice(notice_id: int) -> ResponseReturnValue:
    """Show a notice of the caller's account. A notification opens this page."""
    notice = _own(notice_id)
    is_here = notice.session_id is not None and notice.session_id == sessions.current_id(current_user)
    return page(
        "admin/notice.html",
        notice=notice,
        title=notices.title(notice),
        network=notices.network,
        role_name=roles.label,
        is_here=is_here,
    )


@blueprint.post(f"/notices/<{ID}:notice_id>/seen")
def confirm_notice(notice_id: int) -> ResponseReturnValue:
    """Show a notice no longer."""
    notices.mark_seen(_own(notice_id))
    db.session.commit()
    return redirect(url_for("admin.inbox"), 303)


@blueprint.post(f"/notices/<{ID}:notice_id>/not-me")
def deny_notice(notice_id: int) -> ResponseReturnValue:
    """End the session that caused a notice, remove its devices, and lead to the change of the password.

    Each later sign-in from another browser gets a notice again.
    """
    notice = _own(notice_id)
    if notice.session_id is not None and notice.session_id == sessions.current_id(current_user):
        flash(_("This is the session that you are using. If somebody else uses it too, change your password."))
        return redirect(url_for("admin.account", _anchor="password-title"), 303)
    audit.record(AuditEvent.NOT_ME, current_user, notice=notice.event)
    notices.mark_seen(notice)
    devices = subscriptions.of_session(notice.session_id, user=current_user)
    browser = notices.end_session(notice, current_user)
    for device in devices:
        subscriptions.remove_device(device, user=current_user)
    answer = redirect(url_for("admin.account", _anchor="password-title"), 303)
    known_browser.remember(answer, current_user)
    db.session.commit()
    flash(_told(browser))
    return answer


def _told(browser: str | None) -> str:
    ended = (
        _("That session has ended already.")
        if browser is None
        else _("The session of %(browser)s has ended.", browser=browser_name.localized(browser))
    )
    then = _("Now change your password, and remove passkeys and API keys that are not yours.")
    return f"{ended} {then}"


def _own(notice_id: int) -> Notice:
    return notices.find(notice_id, current_user) or abort(404)

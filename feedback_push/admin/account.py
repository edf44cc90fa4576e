"""The account of the signed-in administrator: the password, the sessions, and the latest events."""

from flask import abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user
from flask_wtf import FlaskForm
from wtforms import PasswordField

from feedback_push import browser_name
from feedback_push.admin import fresh_authentication
from feedback_push.admin.pages import ID, blueprint, page
from feedback_push.auth import (
    accounts,
    api_keys,
    audit,
    passkeys,
    recovery_codes,
    roles,
    second_factor,
    sessions,
    sign_in,
    throttle,
    totp,
)
from feedback_push.auth.accounts import AccountError
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.auth.forms import NameForm, PasswordForm
from feedback_push.auth.models import User
from feedback_push.database import db
from feedback_push.push import suspension
from feedback_push.webpush import endpoints

_LATEST = 10  # entries of the audit log


@blueprint.get("/account", endpoint="account")
def show_account() -> ResponseReturnValue:
    """Show the account page."""
    return _page(PasswordForm())


@blueprint.post("/account/name")
def change_name() -> ResponseReturnValue:
    """Change the name that other administrators see; without one, they see the e-mail address."""
    if "name" not in request.form:  # an empty name is allowed, but this is no form
        abort(400)
    form = NameForm()
    if not form.validate():
        return _page(PasswordForm(formdata=None), form), 422
    name = form.name.data or ""
    if name != current_user.name:
        current_user.name = name
        audit.record(AuditEvent.NAME_CHANGED, current_user, name=name)
    db.session.commit()
    flash(_("Your name is saved."))
    return redirect(url_for("admin.account"), 303)


@blueprint.post("/account/password")
def change_password() -> ResponseReturnValue:
    """Change the password, end all other sessions, and continue this session with a new token."""
    user: User = current_user._get_current_object()  # noqa: SLF001 - Werkzeug's name for it
    # The current password, which the form asks for, is a fresh proof by itself; but not where it is only one of two.
    if second_factor.is_set_up(user) and not sessions.is_fresh(user):
        return fresh_authentication.ask()
    form = PasswordForm()
    if not form.validate():
        return _page(form), 422
    if refused := wrong_password(user, form, form.current):
        return _page(form), *refused
    try:
        accounts.set_password(user, form.new.data, keep_current=True)
    except AccountError as error:
        form.new.errors = [str(error)]
        return _page(form), 422
    if (endpoint := request.form.get("endpoint")) is not None:
        # The script names this browser's device. Any other device in this session was added with a copied cookie.
        suspension.suspend_others(user, endpoint if endpoints.is_plain(endpoint) else "")
    sign_in.continue_session(user)
    flash(_("Your password is changed. All other sessions have ended."))
    return redirect(url_for("admin.account"), 303)


def wrong_password(user: User, form: FlaskForm, field: PasswordField) -> tuple[int, dict[str, str]] | None:
    """Check the password in a field, as often as signing in may be tried; return None if it is the user's.

    Otherwise give the form its error, and return the status and the headers of the answer.
    """
    tries = throttle.of_user(user)
    db.session.rollback()  # hold no transaction open while asking Redis
    if seconds := tries.start():
        form.form_errors.append(throttle.message(seconds))
        return 429, {"Retry-After": str(seconds)}
    if not accounts.has_password(user, field.data):
        audit.count(AuditEvent.SIGN_IN_FAILED, user)
        db.session.commit()
        field.errors = [_("This is not your current password.")]
        return 422, {}
    tries.succeed()
    return None


@blueprint.post(f"/account/sessions/<{ID}:session_id>/end")
def end_session(session_id: int) -> ResponseReturnValue:
    """Sign out one of the caller's browsers."""
    browser = sessions.end(session_id, user=current_user)
    if browser is not None:
        audit.record(AuditEvent.SESSION_ENDED, current_user, browser=browser)
        flash(_("The session of %(browser)s has ended.", browser=browser_name.localized(browser)))
    db.session.commit()
    return redirect(url_for("admin.account"), 303)


@blueprint.post("/account/sessions/end-others")
def end_other_sessions() -> ResponseReturnValue:
    """Sign out all of the caller's other browsers."""
    ended = sessions.end_others(current_user)
    if ended:
        audit.record(AuditEvent.SESSIONS_ENDED, current_user, sessions=ended)
    db.session.commit()
    flash(ngettext("One session has ended.", "%(num)d sessions have ended.", ended))
    return redirect(url_for("admin.account"), 303)


def _page(form: PasswordForm, name_form: NameForm | None = None) -> str:
    mine = [(session, sessions.is_current(session, current_user)) for session in sessions.of(current_user)]
    latest = audit.page(about=current_user, size=_LATEST).entries
    return page(
        "admin/account.html",
        form=form,
        name_form=name_form or NameForm(formdata=None, obj=current_user),
        role_name=roles.label(current_user.role),
        has_keys=bool(api_keys.of(current_user)),
        has_factor=second_factor.is_set_up(current_user),
        passkeys=passkeys.of(current_user),
        has_app=totp.is_set_up(current_user),
        codes_left=recovery_codes.left(current_user),
        is_fresh=sessions.is_fresh(current_user),
        sessions=mine,
        latest_end=sessions.latest_end,
        entries=latest,
        label=audit.label,
        origin=audit.origin,
    )

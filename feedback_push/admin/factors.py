"""The passkeys, the code app and the recovery codes of the signed-in administrator: add, rename and remove them."""

from typing import Any

from flask import abort, flash, jsonify, redirect, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_babel import lazy_gettext as _
from flask_login import current_user
from wtforms import HiddenField, StringField
from wtforms.validators import DataRequired, InputRequired, Length

from feedback_push import typed_text
from feedback_push.admin import fresh_authentication, phone
from feedback_push.admin.pages import ID, blueprint, page
from feedback_push.auth import audit, notices, passkeys, recovery_codes, relying_party, second_factor, sessions, totp
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.auth.models import NoticeEvent, User
from feedback_push.database import db
from feedback_push.typed_text import TypedForm

_TOO_LONG = _("Please use at most %(max)s characters.")
_FLASH = "factors"


class NameForm(TypedForm):
    """The name of a passkey."""

    name = StringField(
        _("Name"),
        [DataRequired(_("Please enter a name.")), Length(max=passkeys.LONGEST_NAME, message=_TOO_LONG)],
        filters=[typed_text.storable, typed_text.trimmed],
    )


class NewPasskeyForm(NameForm):
    """The name of a new passkey, and what the browser has made, which a script fills in."""

    credential = HiddenField(validators=[Length(max=passkeys.LONGEST_CREDENTIAL)])


class AppForm(TypedForm):
    """The first code of a new code app."""

    code = StringField(
        _("Code from your app"),
        [InputRequired(_("Please enter the code.")), Length(max=totp.LONGEST_CODE, message=_TOO_LONG)],
    )


@blueprint.get("/account/factors", endpoint="factors")
def show_factors() -> ResponseReturnValue:
    """Show the administrator's second factors."""
    return _page()


@blueprint.get("/account/factors/passkeys/options")
def new_passkey_options() -> ResponseReturnValue:
    """Return what a browser needs to make a passkey for the administrator."""
    from feedback_push.auth import ceremonies  # noqa: PLC0415 - only passkeys need its large library

    if not relying_party.is_here():
        return jsonify(error=gettext("Passkeys do not work at this address.")), 404
    return ceremonies.creation_options(_user()), {"Content-Type": "application/json"}


@blueprint.post("/account/factors/passkeys")
@fresh_authentication.required
def add_passkey() -> ResponseReturnValue:
    """Add the passkey that the browser has made; the first second factor comes with recovery codes."""
    from feedback_push.auth import ceremonies  # noqa: PLC0415 - as above

    form, user = NewPasskeyForm(), _user()
    if not form.validate():
        return _page(passkey_form=form), 422
    if not form.credential.data:
        return _refused(form, gettext("Your browser sent no passkey. Passkeys need JavaScript."))
    try:
        passkey = ceremonies.add(user, form.name.data, form.credential.data)
    except passkeys.TooMany:
        return _refused(form, gettext("You have %(max)d passkeys already. Please remove one first.", max=passkeys.MOST))
    except passkeys.Refused:
        return _refused(form, gettext("This passkey could not be added. Please try again."))
    notices.tell(user, NoticeEvent.NEW_PASSKEY, name=passkey.name)
    return _added(user, gettext("The passkey “%(name)s” is added.", name=passkey.name))


@blueprint.post(f"/account/factors/passkeys/<{ID}:passkey_id>/rename")
def rename_passkey(passkey_id: int) -> ResponseReturnValue:
    """Rename one of the administrator's passkeys. Without a new name, it keeps the old one."""
    passkey, form = passkeys.find(passkey_id, user=_user()) or abort(404), NameForm()
    if form.validate() and form.name.data != passkey.name:
        before, passkey.name = passkey.name, form.name.data
        audit.record(AuditEvent.PASSKEY_RENAMED, current_user, before=before, passkey=passkey.name)
    db.session.commit()
    return redirect(url_for("admin.factors"), 303)


@blueprint.post(f"/account/factors/passkeys/<{ID}:passkey_id>/remove")
@fresh_authentication.required
def remove_passkey(passkey_id: int) -> ResponseReturnValue:
    """Remove one of the administrator's passkeys, unless the site demands a second factor and this is the last."""
    user = _user()
    sessions.lock(user)
    passkey = passkeys.find(passkey_id, user=user) or abort(404)
    if passkey.host == relying_party.host() and second_factor.is_last(user):
        return _still_needed()
    audit.record(AuditEvent.PASSKEY_REMOVED, user, passkey=passkey.name)
    notices.tell(user, NoticeEvent.PASSKEY_REMOVED, name=passkey.name)
    flash(gettext("The passkey “%(name)s” is removed.", name=passkey.name), _FLASH)
    db.session.delete(passkey)
    return _removed(user)


@blueprint.post("/account/factors/app")
@fresh_authentication.required
def begin_app() -> ResponseReturnValue:
    """Show a new secret as a QR code for an app; it counts once a code of it has been entered."""
    try:
        totp.begin(_user())
    except totp.AlreadyAdded:
        return redirect(url_for("admin.factors"), 303)
    db.session.commit()
    return _page(app_form=AppForm(formdata=None))


@blueprint.post("/account/factors/app/confirm")
@fresh_authentication.required
def confirm_app() -> ResponseReturnValue:
    """Add the code app whose secret was shown, if this is a code of it."""
    form, user = AppForm(), _user()
    if not form.validate():
        return _page(app_form=form), 422
    if not totp.confirm(user, form.code.data):
        db.session.rollback()
        form.code.errors = [
            gettext("This code is wrong. If a new one fails too, set the clock of your phone to automatic.")
        ]
        return _page(app_form=form), 422
    audit.record(AuditEvent.TOTP_ADDED, user)
    notices.tell(user, NoticeEvent.SECOND_FACTOR_ON)
    return _added(user, gettext("The code app is added."))


@blueprint.post("/account/factors/app/remove")
@fresh_authentication.required
def remove_app() -> ResponseReturnValue:
    """Remove the code app, unless the site demands a second factor and this is the last."""
    user = _user()
    sessions.lock(user)
    if totp.is_set_up(user) and second_factor.is_last(user):
        return _still_needed()
    if totp.remove(user):
        audit.record(AuditEvent.TOTP_REMOVED, user)
        notices.tell(user, NoticeEvent.SECOND_FACTOR_OFF)
        flash(gettext("The code app is removed."), _FLASH)
    return _removed(user)


@blueprint.post("/account/factors/recovery-codes")
@fresh_authentication.required
def make_recovery_codes() -> ResponseReturnValue:
    """Show ten new recovery codes, which replace the earlier ones; only this answer has them."""
    user = _user()
    if not second_factor.is_set_up(user):
        return redirect(url_for("admin.factors"), 303)
    codes = recovery_codes.make(user)
    audit.record(AuditEvent.RECOVERY_CODES_MADE, user)
    db.session.commit()
    return _page(codes=codes)


def _added(user: User, message: str) -> ResponseReturnValue:
    """Commit a new second factor, and show recovery codes if the account has none left."""
    codes = None
    if not recovery_codes.left(user):
        codes = recovery_codes.make(user)
        audit.record(AuditEvent.RECOVERY_CODES_MADE, user)
    db.session.commit()
    flash(message, _FLASH)
    return _page(codes=codes) if codes else redirect(url_for("admin.factors"), 303)


def _removed(user: User) -> ResponseReturnValue:
    """Commit a removal; recovery codes replace a second factor, so they go with the last one."""
    db.session.flush()
    if not second_factor.is_set_up(user):
        recovery_codes.remove(user)
    db.session.commit()
    return redirect(url_for("admin.factors"), 303)


def _still_needed() -> ResponseReturnValue:
    db.session.rollback()
    flash(gettext("This site demands a second factor. Add another one before you remove this one."), f"{_FLASH}-alert")
    return redirect(url_for("admin.factors"), 303)


def _refused(form: TypedForm, problem: str) -> ResponseReturnValue:
    db.session.rollback()
    form.form_errors.append(problem)
    return _page(passkey_form=form), 422


def _page(
    *, passkey_form: TypedForm | None = None, app_form: AppForm | None = None, codes: list[str] | None = None
) -> str:
    user = _user()
    secret = totp.secret_to_confirm(user) if app_form else None
    shown: dict[str, Any] = {"secret": secret, "qr_code": phone.qr_code(totp.uri(user, secret))} if secret else {}
    return page(
        "admin/factors.html",
        passkey_form=passkey_form or NewPasskeyForm(formdata=None),
        app_form=app_form or AppForm(formdata=None),
        codes=codes,
        passkeys=passkeys.of(user),
        host=relying_party.host(),
        passkeys_are_at=relying_party.address("admin.factors"),
        app=totp.of(user),
        codes_left=recovery_codes.left(user),
        is_set_up=second_factor.is_set_up(user),
        is_fresh=sessions.is_fresh(user),
        **shown,
    )


def _user() -> User:
    user: User = current_user._get_current_object()  # noqa: SLF001 - Werkzeug's name for it
    return user

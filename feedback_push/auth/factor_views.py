"""Sign in with a passkey, give a second factor after the password, and confirm an identity again."""

from typing import TypeVar

from flask import abort, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user

from feedback_push import language, security
from feedback_push.auth import accounts, audit, passkeys, relying_party, second_factor, sessions, sign_in, totp
from feedback_push.auth import throttle as throttles
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.auth.challenges import Purpose
from feedback_push.auth.forms import ConfirmForm, FactorForm, LoginForm, PasskeyForm
from feedback_push.auth.models import User
from feedback_push.auth.views import blueprint, login_page
from feedback_push.concurrency_limit import Busy
from feedback_push.database import db

_PAUSE = 2  # seconds, when many passwords are being checked
_Form = TypeVar("_Form", bound=FactorForm)


@blueprint.get("/login/passkey/options")
def passkey_options() -> ResponseReturnValue:
    """Return what a browser needs to sign in with any passkey of this site; nothing is stored for it."""
    return _options(Purpose.SIGN_IN)


@blueprint.post("/login/passkey")
def use_passkey() -> ResponseReturnValue:
    """Sign in with a passkey that has verified who holds it, without a password."""
    from feedback_push.auth import ceremonies  # noqa: PLC0415 - only passkeys need its large library

    form, tries = PasskeyForm(), throttles.of_passkey()
    if not form.credential.data:
        return _not_signed_in(_("Your browser sent no passkey. Passkeys need JavaScript."), 422)
    if seconds := tries.start():
        return _not_signed_in(throttles.message(seconds), 429, wait=seconds)
    try:
        passkey = ceremonies.use(form.credential.data, Purpose.SIGN_IN)
    except passkeys.Refused as refused:
        _note_refusal(refused, None)
        return _not_signed_in(
            _("This passkey did not work. Please try again, or sign in with your e-mail address and password."), 422
        )
    answer = sign_in.proved(
        passkey.user,
        AuditEvent.SIGNED_IN_BY_PASSKEY,
        remembered=form.remember.data,
        is_complete=True,
        passkey=passkey.name,
    )
    tries.succeed()
    return answer


@blueprint.route("/login/factor", methods=["GET", "POST"])
def factor() -> ResponseReturnValue:
    """Ask for the second factor of the account whose password was right, and begin the session."""
    form = _sent(FactorForm)
    found = sign_in.waiting()
    if found is None or current_user.is_authenticated:
        return _back_to_sign_in()
    user = found[0]
    if not form.is_submitted():
        return _factor_page(form, user, 200)
    if not form.validate() or form.is_empty:
        return _factor_page(form, user, 422)
    tries = throttles.of_second_factor(user) if form.code.data else throttles.of_passkey()
    db.session.rollback()  # hold no transaction open while asking Redis
    if seconds := tries.start():
        form.form_errors.append(throttles.message(seconds))
        return _factor_page(form, user, 429, wait=seconds)
    return _checked_factor(form, tries)


@blueprint.get("/login/factor/options")
def factor_options() -> ResponseReturnValue:
    """Return what a browser needs to give one of the account's passkeys as second factor."""
    found = sign_in.waiting()
    if found is None:
        return jsonify(error=_("Please sign in first.")), 401
    return _options(Purpose.SECOND_FACTOR, found[0])


@blueprint.route("/login/confirm", methods=["GET", "POST"])
def confirm() -> ResponseReturnValue:
    """Ask a signed-in user to prove again who they are, and continue what this interrupted."""
    form = _sent(ConfirmForm)
    if not current_user.is_authenticated:
        return _back_to_sign_in()
    user: User = current_user._get_current_object()  # noqa: SLF001 - Werkzeug's name for it
    language.set_locale(user.language, user.time_zone)
    if not form.is_submitted():
        return _confirm_page(form, user, 200)
    if not form.validate() or form.is_empty:
        return _confirm_page(form, user, 422)
    tries = throttles.of_user(user) if form.password.data or form.code.data else throttles.of_passkey()
    db.session.rollback()
    if seconds := tries.start():
        form.form_errors.append(throttles.message(seconds))
        return _confirm_page(form, user, 429, wait=seconds)
    return _checked_identity(form, user, tries)


@blueprint.get("/login/confirm/options")
def confirm_options() -> ResponseReturnValue:
    """Return what a browser needs to confirm an identity with one of the account's passkeys."""
    if not current_user.is_authenticated:
        return jsonify(error=_("Please sign in first.")), 401
    return _options(Purpose.CONFIRM, current_user)


def _sent(kind: type[_Form]) -> _Form:
    """Return the form of this request; refuse one that no page of this site has sent."""
    form = kind()
    if form.is_submitted() and not any(field.name in request.form for field in form if field.name != "csrf_token"):
        abort(400)
    return form


def _checked_factor(form: FactorForm, tries: throttles.Attempt) -> ResponseReturnValue:
    found = sign_in.lock_waiting()
    if found is None:
        return _back_to_sign_in()
    user = found[0]
    if not _is_proved(form, user, Purpose.SECOND_FACTOR):
        audit.count(AuditEvent.SECOND_FACTOR_REFUSED, user)
        db.session.commit()
        form.form_errors.append(_refusal(form))
        return _factor_page(form, user, 422)
    answer = sign_in.complete(*found)
    tries.succeed()
    return answer


def _checked_identity(form: ConfirmForm, user: User, tries: throttles.Attempt) -> ResponseReturnValue:
    try:
        if form.password.data:
            is_proved = accounts.has_password(user, form.password.data)
        else:
            is_proved = _is_proved(form, user, Purpose.CONFIRM)
    except Busy:
        form.form_errors.append(_("Many people are signing in right now. Please try again in a few seconds."))
        return _confirm_page(form, user, 503, wait=_PAUSE)
    if not is_proved:
        audit.count(AuditEvent.CONFIRMATION_FAILED, user)
        db.session.commit()
        form.form_errors.append(_("This is not your current password.") if form.password.data else _refusal(form))
        return _confirm_page(form, user, 422)
    sessions.refresh(user)
    audit.record(AuditEvent.CONFIRMED, user)
    db.session.commit()
    tries.succeed()
    return redirect(sign_in.destination(), 303)


def _is_proved(form: FactorForm, user: User, purpose: Purpose) -> bool:
    """Check the factor that was sent, and use it up."""
    if form.credential.data:
        from feedback_push.auth import ceremonies  # noqa: PLC0415 - as above

        try:
            ceremonies.use(form.credential.data, purpose, user)
        except passkeys.Refused as refused:
            _note_refusal(refused, user)
            return False
        return True
    if form.code.data:
        return totp.use(user, form.code.data)
    return second_factor.use_recovery_code(user, form.recovery_code.data)


def _note_refusal(refused: passkeys.Refused, user: User | None) -> None:
    if isinstance(refused, passkeys.Cloned):
        audit.record(AuditEvent.PASSKEY_CLONED, refused.passkey.user, passkey=refused.passkey.name)
    else:
        audit.count(AuditEvent.PASSKEY_REFUSED, user)
    db.session.commit()


def _refusal(form: FactorForm) -> str:
    if form.credential.data:
        return str(_("This passkey did not work. Please try again, or use another way."))
    if form.code.data:
        return str(
            _("This code is wrong, or it was used already. If a new one fails too, check the clock of your phone.")
        )
    return str(_("This recovery code is wrong, or it was used already."))


def _options(purpose: Purpose, user: User | None = None) -> ResponseReturnValue:
    if not relying_party.is_here():
        return jsonify(error=_("Passkeys do not work at this address.")), 404
    from feedback_push.auth import ceremonies  # noqa: PLC0415 - as above

    options = ceremonies.request_options(purpose, user)
    db.session.rollback()
    return options, {"Content-Type": "application/json"}


def _back_to_sign_in() -> ResponseReturnValue:
    return redirect(url_for("auth.login", next=security.path_within_site(request.args.get("next"))), 303)


def _not_signed_in(message: str, code: int, *, wait: int = 0) -> ResponseReturnValue:
    form = LoginForm(formdata=None)
    form.form_errors.append(message)
    return login_page(form, code, {"Retry-After": str(wait)} if wait else None)


def _factor_page(form: FactorForm, user: User, code: int, *, wait: int = 0) -> ResponseReturnValue:
    language.set_locale(user.language, user.time_zone)
    return _page("auth/factor.html", form, user, "auth.login"), code, {"Retry-After": str(wait)} if wait else {}


def _confirm_page(form: ConfirmForm, user: User, code: int, *, wait: int = 0) -> ResponseReturnValue:
    return _page("auth/confirm.html", form, user, "auth.confirm"), code, {"Retry-After": str(wait)} if wait else {}


def _page(template: str, form: FactorForm, user: User, endpoint: str) -> str:
    """Render a page that offers what the account has."""
    page = render_template(
        template,
        form=form,
        user=user,
        has_app=totp.is_set_up(user),
        has_passkeys=bool(passkeys.usable(user)),
        passkeys_are_at=relying_party.address(endpoint),
        other_hosts=sorted({passkey.host for passkey in passkeys.of(user)} - {relying_party.host()}),
        wanted=security.path_within_site(request.args.get("next")),
    )
    db.session.rollback()
    return page

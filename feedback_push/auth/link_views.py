"""Accept an invitation, and set a new password with a link; neither signs anybody in.

As with a sign-in link, the page's script takes the code from the address, and only a button uses it up.
"""

from typing import Any

from flask import flash, redirect, render_template, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user

from feedback_push.auth import accounts, audit, invitations, reset_links, throttle
from feedback_push.auth.accounts import AccountError
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.auth.forms import InvitationForm, LinkForm, ResetForm
from feedback_push.auth.views import blueprint
from feedback_push.concurrency_limit import Busy
from feedback_push.database import db

Form = LinkForm | InvitationForm | ResetForm


@blueprint.get("/login/invitation")
def invitation() -> ResponseReturnValue:
    """Show the page that an invitation opens; its script takes the code from the address and sends it."""
    return _page("invitation", LinkForm())


@blueprint.post("/login/invitation")
def show_invitation() -> ResponseReturnValue:
    """Ask the invited person for a name and a password. This changes nothing."""
    form = LinkForm()
    email, refused = _checked("invitation", form)
    return refused or _page("invitation", InvitationForm(formdata=None, token=form.token.data), email=email)


@blueprint.post("/login/invitation/accept")
def accept_invitation() -> ResponseReturnValue:
    """Create the account of the invitation with the chosen name and password, and end the invitation."""
    form = InvitationForm()
    email, refused = _checked("invitation", form)
    if refused:
        return refused
    if (password_hash := _hash(form, email)) is None:
        return _page("invitation", form, 503 if form.form_errors else 422, email=email)
    try:
        user = invitations.accept(form.token.data, name=form.name.data or "", password_hash=password_hash)
    except AccountError:
        db.session.rollback()
        return _refused("invitation")
    if user is None:
        return _refused("invitation")
    db.session.commit()
    return _to_sign_in(_("Your account is ready. Sign in with %(email)s and your new password.", email=email))


@blueprint.get("/login/reset")
def reset() -> ResponseReturnValue:
    """Show the page that a link for a new password opens; its script takes the code from the address and sends it."""
    return _page("reset", LinkForm())


@blueprint.post("/login/reset")
def show_reset() -> ResponseReturnValue:
    """Ask for the new password. This changes nothing."""
    form = LinkForm()
    email, refused = _checked("reset", form)
    return refused or _page("reset", ResetForm(formdata=None, token=form.token.data), email=email)


@blueprint.post("/login/reset/use")
def use_reset() -> ResponseReturnValue:
    """Set the new password, end all sessions of the account, and end the link."""
    form = ResetForm()
    email, refused = _checked("reset", form)
    if refused:
        return refused
    if (password_hash := _hash(form, email)) is None:
        return _page("reset", form, 503 if form.form_errors else 422, email=email)
    if reset_links.use(form.token.data, password_hash) is None:
        return _refused("reset")
    db.session.commit()
    session.clear()
    return _to_sign_in(_("Your password is changed, and all sessions have ended. Sign in with the new password."))


def _checked(kind: str, form: Form) -> tuple[str, ResponseReturnValue | None]:
    """Return the e-mail address of the link with the form's code, or the answer to a code that may not go on."""
    if not form.token.validate(form):
        return "", _page(kind, LinkForm(), 422)
    tries = throttle.of_link()
    if seconds := tries.start():
        waits = LinkForm()
        waits.form_errors.append(throttle.message(seconds))
        return "", _page(kind, waits, 429, wait=seconds)
    found = invitations.find(form.token.data) if kind == "invitation" else reset_links.find(form.token.data)
    if found is None:
        return "", _refused(kind)
    email = found.email
    if current_user.is_authenticated and current_user.email != email:
        return "", _page(kind, LinkForm(formdata=None), 409, other_account=current_user.email)
    db.session.rollback()  # hold no transaction open while asking Redis
    tries.succeed()  # it was not a guess
    return email, None


def _hash(form: InvitationForm | ResetForm, email: str) -> str | None:
    """Return the hash of the typed password; without one, the form has the reason."""
    if not form.validate():
        return None
    try:
        return accounts.hash_of_new(form.password.data, email)
    except AccountError as error:
        form.password.errors = [str(error)]
    except Busy:
        form.form_errors.append(_("Many people are signing in right now. Please try again in a few seconds."))
    return None


def _refused(kind: str) -> ResponseReturnValue:
    """Give one answer for a link that is unknown, used, replaced, revoked or too old."""
    audit.count(AuditEvent.ACCOUNT_LINK_REFUSED, None)
    db.session.commit()
    refused = LinkForm(formdata=None)
    refused.form_errors.append(_("This link does not work, or no longer works."))
    return _page(kind, refused, 422, is_refused=True)


def _page(kind: str, form: Form, code: int = 200, *, wait: int = 0, **shown: Any) -> ResponseReturnValue:
    headers = {"Retry-After": str(wait)} if wait else {}
    return render_template(f"auth/{kind}.html", form=form, days=invitations.LASTS.days, **shown), code, headers


def _to_sign_in(message: str) -> ResponseReturnValue:
    flash(message, "account")
    return redirect(url_for("auth.login"), 303)

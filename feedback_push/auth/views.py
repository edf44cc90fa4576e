"""Sign administrators in and out."""

from flask import Blueprint, current_app, jsonify, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, logout_user

from feedback_push import csrf, email_address, errors, network_address, security
from feedback_push.auth import (
    accounts,
    audit,
    known_browser,
    passkeys,
    relying_party,
    sessions,
    sign_in,
    sign_in_links,
    throttle,
)
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.auth.forms import LinkForm, LoginForm
from feedback_push.auth.models import User
from feedback_push.concurrency_limit import Busy
from feedback_push.database import DATABASE_ERRORS, db
from feedback_push.extensions import login_manager, remembered_token

_LONG_WAIT = 60  # seconds, beyond which a delayed sign-in names other ways

blueprint = Blueprint("auth", __name__)
blueprint.after_request(security.no_store)


@login_manager.user_loader  # type: ignore[untyped-decorator]
def _load_user(token: str) -> User | None:
    # The commit below must not include anything that the request has begun to write.
    alone = not db.session().in_transaction()
    found = sessions.find(token)
    if found is None:
        if alone:
            db.session.rollback()  # or others would wait for the transaction of a client with an old cookie
        _forget_remembered(token)
        return None
    user = found.user  # keep a reference: the commit drops it, and only this object has the token
    if alone and sessions.record_visit(found):
        if found.remembered:
            session["_remember"] = "set"  # makes Flask-Login send its cookie again, for 14 days from now
        db.session.commit()
    return user


@blueprint.errorhandler(Busy)
def _busy(error: Busy) -> ResponseReturnValue:
    form = LoginForm()
    form.form_errors.append(_("Many people are signing in right now. Please try again in a few seconds."))
    return login_page(form, 503, {"Retry-After": str(error.retry_after)})


@blueprint.route("/login", methods=["GET", "POST"])
def login() -> ResponseReturnValue:
    """Sign an administrator in, then redirect to the requested page."""
    if current_user.is_authenticated:
        return redirect(sign_in.destination())
    form = LoginForm()
    if not form.validate_on_submit():
        return login_page(form, 422 if form.is_submitted() else 200)
    tries = throttle.of_sign_in(form.email.data)
    if seconds := tries.next_wait():  # before the place, so that a flood of refused attempts takes none from anybody
        return _delayed(form, tries, seconds)
    is_known = known_browser.of(form.email.data) is not None
    with accounts.hashing.place(network_address.of_request(), trusted=is_known):
        return _check_password(form, tries)


def _check_password(form: LoginForm, tries: throttle.Attempt) -> ResponseReturnValue:
    if seconds := tries.start():
        return _delayed(form, tries, seconds)
    user = accounts.authenticate(form.email.data, form.password.data)
    if user is None:
        tries.fail()  # it may wait for Redis, and no transaction is open yet
        delays = bool(tries.next_wait())
        _note_failure(accounts.find(form.email.data), delays=delays)
        form.form_errors.append(_("The e-mail address or the password is wrong."))
        return login_page(form, 422)
    answer = sign_in.proved(user, AuditEvent.SIGNED_IN, remembered=form.remember.data)
    tries.succeed()
    return answer


def _delayed(form: LoginForm, tries: throttle.Attempt, seconds: int) -> ResponseReturnValue:
    form.form_errors.append(throttle.message(seconds))
    if tries.delay():
        form.form_errors.append(_("A try before that makes the wait begin again."))
    elif seconds > _LONG_WAIT:
        form.form_errors.append(
            _(
                "Other ways work all the same: a passkey, a sign-in link, or a browser that has signed in to this "
                "account before."
            )
        )
    return login_page(form, 429, {"Retry-After": str(seconds)})


@blueprint.get("/login/link")
def login_link() -> ResponseReturnValue:
    """Show the page that a sign-in link opens; its script takes the code from the address and sends it."""
    return _link_page(LinkForm())


@blueprint.post("/login/link")
def show_login_link() -> ResponseReturnValue:
    """Ask whether to sign in to the link's account. This changes nothing, so a program that tries links ends none."""
    form = LinkForm()
    if refused := _refused_early(form, throttle.of_link()):
        return refused
    user = sign_in_links.find(form.token.data)
    if user is None:
        return _link_refused(form)
    if _is_signed_in_as(user):
        return redirect(sign_in.destination(), 303)
    return _link_page(form, user=user)


@blueprint.post("/login/link/use")
def use_login_link() -> ResponseReturnValue:
    """Sign in to the link's account and end the link; an earlier session of this browser ends too."""
    form, tries = LinkForm(), throttle.of_link()
    if refused := _refused_early(form, tries):
        return refused
    earlier = current_user._get_current_object() if current_user.is_authenticated else None  # noqa: SLF001
    used = sign_in_links.use(form.token.data)
    if used is None:
        return _link_refused(form)
    answer = sign_in.proved(
        used.user,
        AuditEvent.SIGNED_IN_BY_LINK,
        remembered=form.remember.data,
        is_complete=used.without_second_factor,
    )
    if earlier is not None:
        sign_in.end_session(earlier)
    tries.succeed()
    return answer


@blueprint.post("/logout")
def logout() -> ResponseReturnValue:
    """Sign out in this browser; its device is suspended now, unless the subscribe script has already removed it."""
    if current_user.is_authenticated:
        sign_in.end_session(current_user)
    session.clear()  # first, because logout_user adds a key to the session that deletes the remember cookie
    logout_user()
    return redirect(url_for("auth.login"), 303)


@blueprint.errorhandler(csrf.Refused)
def _refused(error: csrf.Refused) -> ResponseReturnValue:
    if request.endpoint not in ("auth.login", "auth.use_passkey"):
        return errors.csrf_refused(error)
    form = LoginForm(meta=error.form_meta)
    form.email.data = (form.email.data or "")[: email_address.LONGEST]
    form.form_errors.append(error.message(_("Please enter your password again.")))
    return login_page(form, 400)


@blueprint.app_errorhandler(sessions.Ended)
def _ended_meanwhile(_error: sessions.Ended) -> ResponseReturnValue:
    """Ask the user to sign in again if the session was ended during the request."""
    db.session.rollback()
    if security.wants_json():
        return jsonify(error=_("Please sign in first.")), 401
    return redirect(url_for("auth.login"), 303)


def _forget_remembered(token: str) -> None:
    # Otherwise Flask-Login copies its token into the session at every request, and a response that arrives just after
    # the one to a sign-in would replace the new session.
    cookie = request.cookies.get(current_app.config["REMEMBER_COOKIE_NAME"], "")
    if remembered_token(cookie) == token:
        session["_remember"] = "clear"


def login_page(form: LoginForm, code: int, headers: dict[str, str] | None = None) -> ResponseReturnValue:
    """Return the sign-in page, which offers passkeys if the site has any and they work at this address."""
    has_ended = "_user_id" in session  # Flask-Login's key; signing out removes it
    page = render_template(
        "auth/login.html",
        form=form,
        has_ended=has_ended,
        has_passkeys=_offers_passkeys(),
        passkeys_are_at=relying_party.address("auth.login"),
    )
    db.session.rollback()
    return page, code, headers or {}


def _offers_passkeys() -> bool:
    try:
        return passkeys.exist()
    except DATABASE_ERRORS:  # this page is also the answer to some errors, and signing in will say what is wrong
        return False


def _link_page(form: LinkForm, code: int = 200, *, wait: int = 0, **shown: object) -> ResponseReturnValue:
    headers = {"Retry-After": str(wait)} if wait else {}
    minutes = int(sign_in_links.LASTS.total_seconds()) // 60
    return render_template("auth/sign_in_link.html", form=form, minutes=minutes, **shown), code, headers


def _refused_early(form: LinkForm, tries: throttle.Attempt) -> ResponseReturnValue | None:
    """Return the answer to an attempt that has no code or must wait; count any other attempt and return None."""
    if not form.validate():
        return _link_page(form, 422)
    if seconds := tries.start():
        form.form_errors.append(throttle.message(seconds))
        return _link_page(form, 429, wait=seconds)
    return None


def _link_refused(form: LinkForm) -> ResponseReturnValue:
    """Give one answer for a link that is unknown, used, replaced or too old."""
    audit.count(AuditEvent.SIGN_IN_LINK_REFUSED, sign_in_links.owner(form.token.data))
    db.session.commit()
    form.form_errors.append(_("This sign-in link does not work, or no longer works."))
    return _link_page(form, 422, is_refused=True)


def _is_signed_in_as(user: User) -> bool:
    return bool(current_user.is_authenticated and current_user.id == user.id)


def _note_failure(user: User | None, *, delays: bool) -> None:
    audit.count(AuditEvent.SIGN_IN_FAILED, user)
    if delays:
        audit.count(AuditEvent.SIGN_IN_DELAYED, user)
    db.session.commit()

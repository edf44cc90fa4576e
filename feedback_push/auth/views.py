"""Signing in and out."""

from flask import Blueprint, current_app, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_user, logout_user

from feedback_push import security
from feedback_push.auth import accounts
from feedback_push.auth.forms import LoginForm
from feedback_push.auth.models import User
from feedback_push.database import db
from feedback_push.extensions import limiter, login_manager

blueprint = Blueprint("auth", __name__)
blueprint.after_request(security.no_store)


@login_manager.user_loader  # type: ignore[untyped-decorator]
def _load_user(session_token: str) -> User | None:
    return accounts.by_session_token(session_token)


@blueprint.route("/login", methods=["GET", "POST"])
@limiter.limit("10 per minute; 50 per hour", methods=["POST"])
def login() -> ResponseReturnValue:
    """Sign an administrator in, then go where they wanted to go."""
    if current_user.is_authenticated:
        return redirect(_destination())
    form = LoginForm()
    if not form.validate_on_submit():
        return render_template("auth/login.html", form=form), 422 if form.is_submitted() else 200
    user = accounts.authenticate(form.email.data, form.password.data)
    if user is None:
        form.form_errors.append("This e-mail address and password do not belong together.")
        return render_template("auth/login.html", form=form), 422
    db.session.commit()
    session.clear()
    login_user(user, remember=form.remember.data)
    return redirect(_destination(), 303)


@blueprint.post("/logout")
def logout() -> ResponseReturnValue:
    """Sign out in this browser; the subscribe script has removed this device's subscription before."""
    session.clear()  # first: logging out leaves a note in the session that deletes the remember cookie
    logout_user()
    return redirect(url_for("auth.login"), 303)


def _destination() -> str:
    return security.path_within_site(request.args.get("next")) or current_app.extensions["settings"].admin_url

"""Ask again who a signed-in administrator is, before an action that somebody at an open screen must not do."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from feedback_push import security
from feedback_push.admin import interrupted_actions
from feedback_push.auth import sessions
from feedback_push.database import db

View = Callable[..., ResponseReturnValue]


def required(view: View) -> View:
    """Decorate a view of the dashboard that needs a proof of identity within the last ten minutes.

    Without one, the answer leads to /login/confirm. A form is kept meanwhile, and can be sent from /resume after it.
    Only the route may be outside this decorator.
    """

    @wraps(view)
    def ask_first(**arguments: Any) -> ResponseReturnValue:
        if sessions.is_fresh(current_user):
            return view(**arguments)
        db.session.rollback()
        return ask()

    return ask_first


def ask() -> ResponseReturnValue:
    """Redirect to the page that asks who the user is, which leads back to this page or to the form of this request."""
    if interrupted_actions.keep():
        return redirect(url_for("auth.confirm", next=url_for("admin.resume")), 303)
    wanted = security.path_within_site(security.requested_path()) if request.method == "GET" else None
    return redirect(url_for("auth.confirm", next=wanted), 303)

"""Send a form again that was interrupted by the end of its session."""

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from feedback_push import csrf, errors
from feedback_push.admin import interrupted_actions
from feedback_push.admin.pages import blueprint, page, sign_in
from feedback_push.auth import interrupted, sessions
from feedback_push.database import db


@blueprint.get("/resume")
def resume() -> ResponseReturnValue:
    """Show the interrupted form as one button that sends it."""
    form = interrupted.kept()
    action = interrupted_actions.action_of(form)
    if form is None or action is None or form.account_id != current_user.id:
        return page("admin/resume.html", label=None, fields=None, has_draft=False, back=url_for("admin.inbox"))
    return page(
        "admin/resume.html",
        label=action.text(form),
        fields=form.fields,
        address=url_for(form.endpoint, **form.arguments),
        method=action.method.lower(),
        has_draft=action.keeps_draft,
        back=action.address(form),
    )


@blueprint.app_template_global("interrupted_action")
def label_at_sign_in() -> str | None:
    """Return the name of the action that goes on after this sign-in, or None."""
    form = interrupted.kept()
    action = interrupted_actions.action_of(form)
    if form is None or action is None or request.args.get("next") != url_for("admin.resume"):
        return None
    return action.text(form)


@blueprint.before_request
def _forget_once_sent() -> None:
    form = interrupted.kept()
    action = interrupted_actions.action_of(form)
    if form and action and request.method == action.method and request.endpoint == form.endpoint:
        interrupted.forget()


@blueprint.errorhandler(csrf.Refused)
def _refused(error: csrf.Refused) -> ResponseReturnValue:
    """Keep the form of a page that is older than the session; refuse any other."""
    is_own_page = error.cause != csrf.Cause.OTHER_SITE and csrf.account_of_token() is not None
    if is_own_page and not current_user.is_authenticated:
        return sign_in()
    if is_own_page and csrf.account_of_token() == current_user.id and interrupted_actions.keep():
        return redirect(url_for("admin.resume"), 303)
    return errors.csrf_refused(error)


@blueprint.errorhandler(sessions.Ended)
def _ended_meanwhile(_error: sessions.Ended) -> ResponseReturnValue:
    db.session.rollback()
    return sign_in()

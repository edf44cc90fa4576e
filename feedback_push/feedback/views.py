"""The form for visitors, and the thank-you page."""

import logging

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_limiter import RateLimitExceeded
from flask_login import current_user
from flask_wtf.csrf import CSRFError

from feedback_push import security
from feedback_push.database import UNAVAILABLE, db
from feedback_push.extensions import limiter
from feedback_push.feedback import inbox
from feedback_push.feedback.forms import FeedbackForm
from feedback_push.feedback.models import Message
from feedback_push.push import outbox

_log = logging.getLogger(__name__)

blueprint = Blueprint("feedback", __name__)
blueprint.after_request(security.private)


@blueprint.get("/")
def home() -> ResponseReturnValue:
    """The form is the face of the site."""
    return redirect(url_for("feedback.form"))


@blueprint.route("/feedback/", methods=["GET", "POST"])
@limiter.limit("20 per minute; 200 per hour", methods=["POST"])
def form() -> ResponseReturnValue:
    """Take a message: the thank-you page follows if and only if it is stored."""
    feedback = FeedbackForm()
    if not feedback.validate_on_submit():
        return _page(feedback, 422 if feedback.is_submitted() else 200)
    try:
        entry_id = inbox.receive(_message(feedback))
        db.session.commit()
    except UNAVAILABLE:
        db.session.rollback()
        _log.exception("a message could not be stored")
        return _page(
            feedback, 503, _("We cannot store your message right now. It is still here: please try again shortly.")
        )
    outbox.wake(entry_id)
    return redirect(url_for("feedback.complete"), 303)


@blueprint.get("/feedback/complete/")
def complete() -> ResponseReturnValue:
    """Thank the visitor."""
    return render_template("feedback/complete.html")


@blueprint.errorhandler(CSRFError)
def _page_too_old(_error: CSRFError) -> ResponseReturnValue:
    return _page(
        FeedbackForm(), 400, _("This page had been open for too long. Nothing is lost: please send it once more.")
    )


@blueprint.errorhandler(RateLimitExceeded)
def _too_often(_error: RateLimitExceeded) -> ResponseReturnValue:
    return _page(
        FeedbackForm(), 429, _("That was a lot in a short time. Nothing is lost: please try again in a minute.")
    )


def _page(feedback: FeedbackForm, status: int, notice: str | None = None) -> ResponseReturnValue:
    return render_template("feedback/form.html", form=feedback, notice=notice), status


def _message(feedback: FeedbackForm) -> Message:
    return Message(
        content=feedback.content.data,
        submitter_name=feedback.submitter_name.data,
        submitter_email=feedback.submitter_email.data or "",
        user_id=current_user.id if current_user.is_authenticated else None,
    )

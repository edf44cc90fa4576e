"""The form for visitors, the one more step where its script did not run, and the thank-you page."""

import logging
import math
import time

from flask import Blueprint, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_limiter import RateLimitExceeded
from flask_login import current_user
from flask_wtf.csrf import CSRFError

from feedback_push import security
from feedback_push.concurrency_limit import ConcurrencyLimit
from feedback_push.database import UNAVAILABLE, db
from feedback_push.extensions import limiter
from feedback_push.feedback import confirmation, defence, inbox, proof_of_work
from feedback_push.feedback.forms import LONGEST_CONTENT, FeedbackForm
from feedback_push.feedback.models import Message
from feedback_push.feedback.suspicion import CONFIRMABLE
from feedback_push.push import outbox

_log = logging.getLogger(__name__)
# The longest message, in a script whose every character takes twelve bytes in a form.
_LARGEST_FORM = 3 * 1024 * 1024
_OTHER_FIELDS = 16 * 1024  # characters: the name, the address, the token, the proof of work
_challenges = ConcurrencyLimit(3)

blueprint = Blueprint("feedback", __name__)
blueprint.after_request(security.private)
# An address on its own, and all of them together: what a flood from many addresses may cost.
_limited_by_address = limiter.limit("20 per minute; 200 per hour", methods=["POST"])
_limited_for_all = limiter.limit("300 per minute", methods=["POST"], key_func=lambda: "everybody")


@blueprint.get("/")
def home() -> ResponseReturnValue:
    """The form is the face of the site."""
    return redirect(url_for("feedback.form"))


@blueprint.route("/feedback/", methods=["GET", "POST"])
@security.takes_up_to(_LARGEST_FORM, characters=LONGEST_CONTENT + _OTHER_FIELDS)
@_limited_by_address
@_limited_for_all
def form() -> ResponseReturnValue:
    """Take a message: the thank-you page follows if and only if it is stored."""
    feedback = FeedbackForm()
    if not feedback.validate_on_submit():
        return _page(feedback, 422 if feedback.is_submitted() else 200)
    suspicion = defence.judge(request.form)
    try:
        message = _message(feedback)
        entry_id, message_id = inbox.receive(message, suspicion), message.id
        db.session.commit()
    except UNAVAILABLE:
        db.session.rollback()
        _log.exception("a message could not be stored")
        return _page(
            feedback, 503, _("We cannot store your message right now. It is still here: please try again shortly.")
        )
    if suspicion in CONFIRMABLE:
        confirmation.ask_for(message_id)
        return redirect(url_for("feedback.confirm"), 303)
    if entry_id is not None:
        outbox.wake(entry_id)
    return redirect(url_for("feedback.complete"), 303)


@blueprint.get("/feedback/challenge")
@_challenges.share
def challenge() -> ResponseReturnValue:
    """The challenge that the form's script solves while the visitor types."""
    return security.no_store(jsonify(proof_of_work.challenge()))


@blueprint.route("/feedback/confirm/", methods=["GET", "POST"])
@_limited_by_address
def confirm() -> ResponseReturnValue:
    """Ask for one more step, and take it: the messages of this browser go to the inbox."""
    if not confirmation.is_waiting():
        return redirect(url_for("feedback.complete"), 303)
    if request.method == "GET":
        return _confirmation_page(200)
    if confirmation.is_too_soon():
        return _confirmation_page(422, _("That was quick. Please press the button once more."))
    entry_ids = confirmation.confirm()
    db.session.commit()
    confirmation.forget()
    for entry_id in entry_ids:
        outbox.wake(entry_id)
    return redirect(url_for("feedback.complete"), 303)


@blueprint.get("/feedback/complete/")
def complete() -> ResponseReturnValue:
    """Thank the visitor."""
    return render_template("feedback/complete.html")


@blueprint.errorhandler(CSRFError)
def _page_too_old(_error: CSRFError) -> ResponseReturnValue:
    if request.endpoint == "feedback.confirm":
        return _confirmation_page(400, _("Please press the button once more."))
    return _page(
        FeedbackForm(), 400, _("This page had been open for too long. Nothing is lost: please send it once more.")
    )


@blueprint.errorhandler(RateLimitExceeded)
def _too_often(_error: RateLimitExceeded) -> ResponseReturnValue:
    headers = {"Retry-After": str(_seconds_to_wait())}
    notice = _("That was a lot in a short time. Nothing is lost: please try again in a minute.")
    if request.endpoint == "feedback.confirm":
        return *_confirmation_page(429, notice), headers
    return *_page(FeedbackForm(), 429, notice), headers


def _seconds_to_wait() -> int:
    breached = limiter.current_limit
    return max(1, math.ceil(breached.reset_at - time.time())) if breached else 60


def _page(feedback: FeedbackForm, status: int, notice: str | None = None) -> tuple[str, int]:
    traps = defence if defence.is_on() else None
    return render_template("feedback/form.html", form=feedback, notice=notice, traps=traps), status


def _confirmation_page(status: int, notice: str | None = None) -> tuple[str, int]:
    return render_template("feedback/confirm.html", notice=notice), status


def _message(feedback: FeedbackForm) -> Message:
    return Message(
        content=feedback.content.data,
        submitter_name=feedback.submitter_name.data,
        submitter_email=feedback.submitter_email.data or "",
        user_id=current_user.id if current_user.is_authenticated else None,
    )

"""The form for visitors, the confirmation step for browsers without its script, and the thank-you page."""

import logging

from flask import Blueprint, jsonify, make_response, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_login import current_user

from feedback_push import csrf, ids, security
from feedback_push.concurrency_limit import ConcurrencyLimit
from feedback_push.database import DATABASE_ERRORS, db
from feedback_push.feedback import confirmation, conversations, inbox, proof_of_work, quotas, spam
from feedback_push.feedback.forms import LONGEST_CONTENT, FeedbackForm, feedback_form
from feedback_push.feedback.models import Message
from feedback_push.feedback.quotas import Verdict
from feedback_push.feedback.spam import SendAgain
from feedback_push.feedback.spam_reasons import CONFIRMABLE, PROVEN, SpamReason
from feedback_push.push import outbox

_log = logging.getLogger(__name__)
# Bytes: enough for the longest message in a script whose characters each take twelve bytes in a form.
_LARGEST_FORM = 3 * 1024 * 1024
_OTHER_FIELDS = 16 * 1024  # characters: the name, the address, the token, the proof of work
_challenges = ConcurrencyLimit(3)

blueprint = Blueprint("feedback", __name__)
blueprint.after_request(security.private)
_LATER = {"Retry-After": "60"}
_REFUSALS = {
    Verdict.FULL: (429, _l("You sent a lot in a short time. Nothing is lost: please try again in a few minutes.")),
    Verdict.ONLY_SHORT: (
        429,
        _l(
            "We received a lot of text in the last hour, so we accept only short messages at the moment. Nothing is "
            "lost: please shorten yours to 2,000 characters, or try again later."
        ),
    ),
    Verdict.DISK_LOW: (
        503,
        _l(
            "We have little storage space left, so we accept only short messages at the moment. Nothing is lost: "
            "please shorten yours to 2,000 characters, or try again later."
        ),
    ),
}
_WITHOUT_SCRIPT = _l(
    "Many messages have come from your network without the small script that helps us tell people from robots. "
    "Nothing is lost: please allow JavaScript on this page, or try again in a few minutes."
)


@blueprint.get("/")
def home() -> ResponseReturnValue:
    """Redirect to the form, which is the home page of the site."""
    return redirect(url_for("feedback.form"))


@blueprint.route("/feedback/", methods=["GET", "POST"])
@security.takes_up_to(_LARGEST_FORM, characters=LONGEST_CONTENT + _OTHER_FIELDS)
def form() -> ResponseReturnValue:
    """Show the form, or store a message. The thank-you page follows if and only if the message is stored."""
    feedback = feedback_form()
    if not feedback.validate_on_submit():
        return _rejected(feedback, 422) if feedback.is_submitted() else _page(feedback, 200)
    try:
        spam_reason = spam.judge(request.form)
    except SendAgain:
        return _rejected(feedback, 422, _("This page was open for a long time. Nothing is lost: please send it again."))
    size = len((feedback.content.data or "").encode())
    verdict = quotas.verdict(size, proven=spam_reason in PROVEN)
    if verdict != Verdict.TAKEN:
        return _not_taken(feedback, verdict, spam_reason)
    return _stored(feedback, spam_reason)


@blueprint.get("/feedback/challenge")
@_challenges.share
def challenge() -> ResponseReturnValue:
    """Return the challenge that the form's script solves while the visitor types."""
    return security.no_store(jsonify(proof_of_work.challenge()))


@blueprint.route("/feedback/confirm/", methods=["GET", "POST"])
def confirm() -> ResponseReturnValue:
    """Ask the visitor to confirm a message, and move the confirmed message to the inbox."""
    waiting = confirmation.waiting()
    if not waiting:
        return redirect(url_for("feedback.complete"), 303)
    if request.method == "GET":
        return _confirmation_page(200)
    asked = request.form.get("message", waiting[0], type=ids.parse)
    if asked not in waiting:  # already confirmed, or expired
        return redirect(url_for("feedback.complete"), 303)
    if confirmation.is_too_soon(asked):
        return _confirmation_page(422, _("That was quick. Please press the button again."))
    is_new = confirmation.is_set_aside(asked)
    db.session.rollback()  # hold no transaction open while asking Redis
    # A repeated click must not use up the daily notification limit, which others on the network share.
    entry_ids = confirmation.confirm(asked, notify=is_new and quotas.may_notify())
    db.session.commit()
    confirmation.forget(asked)
    for entry_id in entry_ids:
        outbox.wake(entry_id)
    return redirect(url_for("feedback.confirm" if len(waiting) > 1 else "feedback.complete"), 303)


@blueprint.get("/feedback/complete/")
def complete() -> ResponseReturnValue:
    """Show the thank-you page, with the private link as long as the session lasts, unless the message is in spam."""
    held, token = "held" in request.args, session.get(conversations.SESSION_KEY, "")
    if held or not conversations.is_accepted(token):
        return render_template("feedback/complete.html", held=held, token=None)
    return security.no_store(make_response(render_template("feedback/complete.html", held=held, token=token)))


@blueprint.errorhandler(csrf.Refused)
def _refused(error: csrf.Refused) -> ResponseReturnValue:
    if request.endpoint == "feedback.confirm":
        if error.cause == csrf.Cause.OTHER_SITE:  # the browser sends its cookie when it opens the page itself
            return redirect(url_for("feedback.confirm"), 303)
        return _confirmation_page(400, error.message(_("Please press the button again.")))
    feedback = feedback_form(meta=error.form_meta)
    feedback.shorten()
    return _rejected(feedback, 400, error.message(_("Nothing is lost: please send it again.")))


def _stored(feedback: FeedbackForm, spam_reason: SpamReason | None) -> ResponseReturnValue:
    # Ask Redis first, so that no transaction is open meanwhile.
    offered = spam_reason in CONFIRMABLE and (spam_reason in PROVEN or quotas.CONFIRMABLE.take())
    notify = spam_reason is not None or quotas.may_notify()
    try:
        message = _message(feedback)
        entry_id, message_id = inbox.receive(message, spam_reason, notify=notify), message.id
        token = conversations.begin(message)
        db.session.commit()
    except DATABASE_ERRORS:
        db.session.rollback()
        _log.exception("a message could not be stored")
        return _page(
            feedback, 503, _("We cannot store your message right now. It is still here: please try again shortly.")
        )
    session[conversations.SESSION_KEY] = token
    if offered:
        confirmation.ask_for(message_id)
        return redirect(url_for("feedback.confirm"), 303)
    if entry_id is not None:
        outbox.wake(entry_id)
    return redirect(url_for("feedback.complete", held=1 if spam_reason in CONFIRMABLE else None), 303)


def _rejected(feedback: FeedbackForm, status: int, notice: str | None = None) -> ResponseReturnValue:
    """Show the form again, with status 429 after too many rejections. A valid message is still accepted after that."""
    if quotas.REJECTED.take():
        return _page(feedback, status, notice)
    return *_page(feedback, 429, notice), _LATER


def _not_taken(feedback: FeedbackForm, verdict: Verdict, spam_reason: SpamReason | None) -> ResponseReturnValue:
    status, notice = _REFUSALS[verdict]
    if verdict == Verdict.FULL and spam_reason in CONFIRMABLE:
        notice = _WITHOUT_SCRIPT
    return *_page(feedback, status, str(notice)), _LATER


def _page(feedback: FeedbackForm, status: int, notice: str | None = None) -> tuple[str, int]:
    traps = spam if spam.is_on() else None
    return render_template("feedback/form.html", form=feedback, notice=notice, traps=traps), status


def _confirmation_page(status: int, notice: str | None = None) -> tuple[str, int]:
    return render_template("feedback/confirm.html", notice=notice, waiting=confirmation.waiting()), status


def _message(feedback: FeedbackForm) -> Message:
    return Message(
        content=feedback.content.data,
        submitter_name=feedback.submitter_name.data or "",
        submitter_email=feedback.submitter_email.data or "",
        user_id=current_user.id if current_user.is_authenticated else None,
    )

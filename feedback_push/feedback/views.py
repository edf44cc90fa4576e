"""The form for visitors, the confirmation step for browsers without its script, and the thank-you page."""

import logging

from flask import Blueprint, abort, jsonify, make_response, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_login import current_user
from sqlalchemy import select

from feedback_push import csrf, ids, request_limits, security
from feedback_push.concurrency_limit import ConcurrencyLimit
from feedback_push.database import DATABASE_ERRORS, db
from feedback_push.feedback import (
    confirmation,
    conversations,
    form_words,
    proof_of_work,
    quotas,
    site_forms,
    spam,
    submissions,
)
from feedback_push.feedback.form_models import DEFAULT_KEY, MOST_QUESTIONS, Form
from feedback_push.feedback.forms import LONGEST_ANSWER, LONGEST_CONTENT, FeedbackForm, feedback_form
from feedback_push.feedback.models import Message
from feedback_push.feedback.quotas import Verdict
from feedback_push.feedback.spam import SendAgain
from feedback_push.feedback.spam_reasons import CONFIRMABLE, PROVEN, SpamReason
from feedback_push.feedback.submissions import Refused, Submission
from feedback_push.push import outbox

_log = logging.getLogger(__name__)
# Bytes: enough for the longest message in a script whose characters each take twelve bytes in a form.
LARGEST_FORM = 3 * 1024 * 1024
_OTHER_FIELDS = 16 * 1024  # characters: the name, the address, the token, the proof of work
MOST_CHARACTERS = LONGEST_CONTENT + MOST_QUESTIONS * LONGEST_ANSWER + _OTHER_FIELDS
_challenges = ConcurrencyLimit(3)

blueprint = Blueprint("feedback", __name__)
blueprint.record(lambda state: state.app.url_map.converters.update(form_key=site_forms.KeyConverter))
blueprint.after_request(security.private)
_LATER = {"Retry-After": "60"}
_WITHOUT_SCRIPT = _l(
    "Many messages have come from your network without the small script that helps us tell people from robots. "
    "Nothing is lost: please allow JavaScript on this page, or try again in a few minutes."
)


@blueprint.get("/")
def home() -> ResponseReturnValue:
    """Redirect to the form, which is the home page of the site."""
    return redirect(url_for("feedback.form"))


@blueprint.route("/feedback/", methods=["GET", "POST"])
@request_limits.takes_up_to(LARGEST_FORM, characters=MOST_CHARACTERS)
def form() -> ResponseReturnValue:
    """Show the default form, or store a message. The thank-you page follows if and only if the message is stored."""
    return _form(_default())


@blueprint.route("/feedback/<form_key:key>/", methods=["GET", "POST"])
@request_limits.takes_up_to(LARGEST_FORM, characters=MOST_CHARACTERS)
def own_form(key: str) -> ResponseReturnValue:
    """Show another form of the site, or store a message."""
    if key == DEFAULT_KEY:
        return redirect(url_for("feedback.form"))
    return _form(site_forms.find(key) or abort(404))


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
    is_new, form = confirmation.is_set_aside(asked), _form_of(asked)
    db.session.rollback()  # hold no transaction open while asking Redis
    # A repeated click must not use up the daily notification limit, which others on the network share.
    entry_ids = confirmation.confirm(asked, notify=is_new and quotas.may_notify(form))
    db.session.commit()
    confirmation.forget(asked)
    for entry_id in entry_ids:
        outbox.wake(entry_id)
    return redirect(url_for("feedback.confirm"), 303) if len(waiting) > 1 else _thanks(form)


@blueprint.get("/feedback/complete/")
def complete() -> ResponseReturnValue:
    """Show the thank-you page, with the private link as long as the session lasts, unless the message is in spam.

    `form` in the query is the key of the form whose thanks it shows.
    """
    held, token = "held" in request.args, session.get(conversations.SESSION_KEY, "")
    form = site_forms.find(request.args.get("form", DEFAULT_KEY)) or _default()
    context = {"form": form, "held": held, "words": form_words, "address": address_of(form)}
    if held or not conversations.is_accepted(token):
        return render_template("feedback/complete.html", token=None, **context)
    return security.no_store(make_response(render_template("feedback/complete.html", token=token, **context)))


def address_of(form: Form) -> str:
    """Return the address of a form's page."""
    return url_for("feedback.form") if form.is_default else url_for("feedback.own_form", key=form.key)


@blueprint.errorhandler(csrf.Refused)
def _refused(error: csrf.Refused) -> ResponseReturnValue:
    if request.endpoint == "feedback.confirm":
        if error.cause == csrf.Cause.OTHER_SITE:  # the browser sends its cookie when it opens the page itself
            return redirect(url_for("feedback.confirm"), 303)
        return _confirmation_page(400, error.message(_("Please press the button again.")))
    form = _asked_form()
    fields = feedback_form(form, meta=error.form_meta)
    fields.shorten()
    return _rejected(form, fields, 400, error.message(_("Nothing is lost: please send it again.")))


def _form(form: Form) -> ResponseReturnValue:
    if form.closed_at:
        return render_template("feedback/closed.html"), 410
    fields = feedback_form(form)
    if not fields.validate_on_submit():
        return _rejected(form, fields, 422) if fields.is_submitted() else _page(form, fields, 200)
    try:
        spam_reason = spam.judge(request.form)
    except SendAgain:
        again = _("This page was open for a long time. Nothing is lost: please send it again.")
        return _rejected(form, fields, 422, again)
    submission = submissions.of_fields(form, fields)
    try:
        submissions.admit(form, submission, spam_reason)
    except Refused as refusal:
        return _not_taken(form, fields, refusal, spam_reason)
    return _stored(form, fields, submission, spam_reason)


def _stored(
    form: Form, fields: FeedbackForm, submission: Submission, spam_reason: SpamReason | None
) -> ResponseReturnValue:
    # Ask Redis first, so that no transaction is open meanwhile.
    offered = spam_reason in CONFIRMABLE and (spam_reason in PROVEN or quotas.may_confirm(form))
    notify = spam_reason is not None or quotas.may_notify(form)
    try:
        user_id = current_user.id if current_user.is_authenticated else None
        received = submissions.store(form, submission, spam_reason, notify=notify, user_id=user_id)
        db.session.commit()
    except DATABASE_ERRORS:
        db.session.rollback()
        _log.exception("a message could not be stored")
        notice = _("We cannot store your message right now. It is still here: please try again shortly.")
        return _page(form, fields, 503, notice)
    session[conversations.SESSION_KEY] = received.token
    if offered:
        confirmation.ask_for(received.message_id)
        return redirect(url_for("feedback.confirm"), 303)
    if received.entry_id is not None:
        outbox.wake(received.entry_id)
    return _thanks(form, held=spam_reason in CONFIRMABLE)


def _rejected(form: Form, fields: FeedbackForm, status: int, notice: str | None = None) -> ResponseReturnValue:
    """Show the form again, with status 429 after too many rejections. A valid message is still accepted after that."""
    if quotas.REJECTED.take():
        return _page(form, fields, status, notice)
    return *_page(form, fields, 429, notice), _LATER


def _not_taken(
    form: Form, fields: FeedbackForm, refusal: Refused, spam_reason: SpamReason | None
) -> ResponseReturnValue:
    unproven = refusal.verdict == Verdict.FULL and spam_reason in CONFIRMABLE
    return *_page(form, fields, refusal.status, str(_WITHOUT_SCRIPT) if unproven else refusal.text), _LATER


def _page(form: Form, fields: FeedbackForm, status: int, notice: str | None = None) -> tuple[str, int]:
    traps = spam if spam.is_on() else None
    security.allow_redirect_to(form.thanks_url)
    context = {"form": form, "fields": fields, "words": form_words, "notice": notice, "traps": traps}
    return render_template("feedback/form.html", address=address_of(form), **context), status


def _confirmation_page(status: int, notice: str | None = None) -> tuple[str, int]:
    waiting = confirmation.waiting()
    if waiting:
        security.allow_redirect_to(_form_of(waiting[0]).thanks_url)
    action = url_for("feedback.confirm")
    return render_template("feedback/confirm.html", notice=notice, waiting=waiting, action=action), status


def _thanks(form: Form, *, held: bool = False) -> ResponseReturnValue:
    if form.thanks_url and not held:
        return redirect(form.thanks_url, 303)
    return redirect(url_for("feedback.complete", form=form.stored_key, held=1 if held else None), 303)


def _default() -> Form:
    """Return the default form, also while the database cannot be reached: no typed text may be lost."""
    try:
        return site_forms.find(DEFAULT_KEY) or site_forms.usual()
    except DATABASE_ERRORS:
        _log.exception("the form could not be read")
        return site_forms.usual()


def _asked_form() -> Form:
    key = (request.view_args or {}).get("key", DEFAULT_KEY)
    return _default() if key == DEFAULT_KEY else site_forms.find(key) or abort(404)


def _form_of(message_id: int) -> Form:
    key = db.session.scalar(select(Message.form_key).where(Message.id == message_id))
    return (site_forms.find(key) if key else None) or _default()

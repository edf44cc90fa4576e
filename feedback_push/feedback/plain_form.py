"""The address that a plain HTML form on another site is posted to; it works without a script and without any cookie.

The visitor confirms the message on a page of this site, which stands in for the proof of work. Until then the message
is in spam. Only the sender's browser gets the address of that page, which is signed and ends after a day.
"""

import logging

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from itsdangerous import BadData, URLSafeTimedSerializer

from feedback_push import request_limits, secret_keys, security
from feedback_push.database import DATABASE_ERRORS, db, utcnow
from feedback_push.extensions import csrf
from feedback_push.feedback import (
    confirmation,
    conversations,
    form_words,
    inbox,
    origins,
    quotas,
    site_forms,
    spam,
    submissions,
)
from feedback_push.feedback.form_models import Form
from feedback_push.feedback.forms import FeedbackForm
from feedback_push.feedback.spam_reasons import SpamReason
from feedback_push.feedback.submissions import Invalid, Received, Refused, Submission
from feedback_push.feedback.views import LARGEST_FORM, MOST_CHARACTERS, address_of
from feedback_push.push import outbox

_log = logging.getLogger(__name__)
_LONGEST_TOKEN = 200
_SECONDS_TO_READ = 1.0
_LATER = {"Retry-After": "60"}
_PAGE_NAMES = {"submitter_name": "name", "submitter_email": "email"}  # of the form on our own page, after an error

blueprint = Blueprint("plain_form", __name__, url_prefix="/f/<form_key:key>")
blueprint.after_request(security.no_store)
blueprint.after_request(security.no_index)
csrf.exempt(blueprint)  # no session is read, so there is nothing to forge


@blueprint.get("")
def show(key: str) -> ResponseReturnValue:
    """Redirect to the form's own page."""
    return redirect(address_of(_found(key)))


@blueprint.post("")
@request_limits.takes_up_to(LARGEST_FORM, characters=MOST_CHARACTERS)
def receive(key: str) -> ResponseReturnValue:
    """Store a message from a page of an allowed origin, and lead to the page that asks to confirm it."""
    form = _found(key)
    if form.closed_at:
        return render_template("feedback/closed.html"), 410
    origin = origins.of_request()
    if not origins.allows(form, origin):
        return render_template("feedback/other_site.html", hidden=origin == "null"), 403
    sent = {_PAGE_NAMES.get(name, name): text for name, text in request.form.items()}
    try:
        submission = submissions.read(form, sent)
    except Invalid as invalid:
        if quotas.REJECTED.take():
            return _page(form, invalid.fields, 422)
        return *_page(form, invalid.fields, 429), _LATER
    reason = _judge(sent)
    try:
        submissions.admit(form, submission, reason)
    except Refused as refusal:
        fields = submissions.fields_of(form, sent)
        return *_page(form, fields, refusal.status, refusal.text), {"Retry-After": str(refusal.retry_after)}
    return _stored(form, submission, reason, sent)


@blueprint.route("/confirm/<token>", methods=["GET", "POST"])
def confirm(key: str, token: str) -> ResponseReturnValue:
    """Ask the visitor to confirm their message, and move the confirmed message to the inbox."""
    form = _found(key)
    message_id, since = _read(key, token)
    if not confirmation.is_set_aside(message_id):
        return _thanks(form, token)
    if request.method == "GET":
        return _confirmation_page(form, token, 200)
    if utcnow().timestamp() - since < _SECONDS_TO_READ:
        return _confirmation_page(form, token, 422, _("That was quick. Please press the button again."))
    db.session.rollback()  # hold no transaction open while asking Redis
    entry_ids = confirmation.confirm(message_id, notify=quotas.may_notify(form))
    db.session.commit()
    for entry_id in entry_ids:
        outbox.wake(entry_id)
    return _thanks(form, token)


@blueprint.get("/complete/<token>")
def complete(key: str, token: str) -> ResponseReturnValue:
    """Show the thank-you page, with the private link unless the message is in spam."""
    form = _found(key)
    message = inbox.find(_read(key, token)[0])
    conversation = conversations.of(message) if message else None
    link = conversations.token_of(conversation) if conversation else None
    held = message is not None and message.state == "spam"
    context = {"form": form, "words": form_words, "address": address_of(form)}
    return render_template("feedback/complete.html", held=held, token=None if held else link, **context)


def _found(key: str) -> Form:
    return site_forms.find(key) or abort(404)


def _judge(sent: dict[str, str]) -> SpamReason | None:
    if not spam.is_on():
        return None
    return SpamReason.HONEYPOT if sent.get(spam.HONEYPOT) else SpamReason.NO_PROOF


def _stored(form: Form, submission: Submission, reason: SpamReason | None, sent: dict[str, str]) -> ResponseReturnValue:
    offered = reason == SpamReason.NO_PROOF and quotas.may_confirm(form)
    notify = reason is not None or quotas.may_notify(form)
    try:
        received = submissions.store(form, submission, reason, notify=notify)
        db.session.commit()
    except DATABASE_ERRORS:
        db.session.rollback()
        _log.exception("a message could not be stored")
        notice = _("We cannot store your message right now. It is still here: please try again shortly.")
        return _page(form, submissions.fields_of(form, sent), 503, notice)
    if received.entry_id is not None:
        outbox.wake(received.entry_id)
    token = _signed(form, received)
    return redirect(url_for("plain_form.confirm", key=form.key, token=token), 303) if offered else _thanks(form, token)


def _thanks(form: Form, token: str) -> ResponseReturnValue:
    ours = url_for("plain_form.complete", key=form.key, token=token)
    return redirect(form.thanks_url or ours, 303)


def _page(form: Form, fields: FeedbackForm, status: int, notice: str | None = None) -> tuple[str, int]:
    """Return the page with the form and the typed text, to send again from here."""
    security.allow_redirect_to(form.thanks_url)
    context = {"form": form, "fields": fields, "words": form_words, "notice": notice, "traps": None}
    address = url_for("plain_form.receive", key=form.key)
    return render_template("feedback/form.html", address=address, **context), status


def _confirmation_page(form: Form, token: str, status: int, notice: str | None = None) -> tuple[str, int]:
    security.allow_redirect_to(form.thanks_url)
    action = url_for("plain_form.confirm", key=form.key, token=token)
    return render_template("feedback/confirm.html", notice=notice, waiting=None, action=action), status


def _signed(form: Form, received: Received) -> str:
    text = _signer().dumps([form.key, received.message_id, utcnow().timestamp()])
    return text if isinstance(text, str) else text.decode()


def _read(key: str, token: str) -> tuple[int, float]:
    """Return the id of the message and the time when it was stored; 404 for a token that is made up or too old."""
    if len(token) > _LONGEST_TOKEN:
        abort(404)
    lifetime = int(confirmation.LIFETIME.total_seconds())
    try:
        of_key, message_id, since = _signer().loads(token, max_age=lifetime)
    except BadData:
        abort(404)
    if of_key != key:
        abort(404)
    return message_id, since


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(secret_keys.oldest_first(), salt="feedback.plain-form")

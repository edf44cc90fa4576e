"""The public part of the API: a page of another site shows a form and sends a message, without a key or a cookie."""

from typing import Any

from flask import Blueprint
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from feedback_push import language, security, site_path, static_files
from feedback_push.api import cross_origin, host_users, idempotency
from feedback_push.api.blueprint import PREFIX
from feedback_push.api.form_schemas import Challenge, FormDescription, NewMessage, Sent
from feedback_push.api.operations import Operations
from feedback_push.api.widget_texts import widget_texts
from feedback_push.database import db
from feedback_push.extensions import csrf
from feedback_push.feedback import (
    conversations,
    form_description,
    form_words,
    inbox,
    proof_of_work,
    quotas,
    spam,
    submissions,
)
from feedback_push.feedback import views as own_pages
from feedback_push.feedback.form_models import Form
from feedback_push.feedback.forms import ANSWER
from feedback_push.feedback.proof_of_work import Proof
from feedback_push.feedback.submissions import Invalid, Refused, Submission
from feedback_push.problems import Fault, Problem
from feedback_push.push import outbox

blueprint = Operations(
    "api_forms", __name__, url_prefix=PREFIX, description="For the pages of other sites, without a key."
)
blueprint.before_request(cross_origin.require_form)
blueprint.after_request(security.no_store)
blueprint.after_request(cross_origin.allow)
embed = Blueprint("embed", __name__)
csrf.exempt(blueprint)  # no cookie is read, so there is nothing to forge


@embed.get("/embed/feedback.js")
def script() -> ResponseReturnValue:
    """Return the script that defines `<feedback-form>`, for pages of other sites."""
    return static_files.for_other_sites("embed/feedback.js")


@blueprint.operation("GET /forms/<form_key:key>", FormDescription, problems=(403, 404))
def get_form(key: str) -> ResponseReturnValue:  # noqa: ARG001 - `cross_origin` has found the form
    """Read the texts and the fields of a form."""
    form = cross_origin.form()
    return {
        "key": form.key,
        "is_open": form.closed_at is None,
        "language": language.current(),
        "languages": [*language.LANGUAGES],
        **{slot: form_words.text(form, slot) for slot in form_words.SLOTS},
        "thanks_url": form.thanks_url,
        "fields": [{**field, "name": _public(field["name"])} for field in form_description.fields(form)],
        "keeps_query": form.keeps_query,
        "texts": widget_texts(),
        "proof": {
            "required": spam.is_on(),
            "challenge_url": site_path.absolute_url("api_forms.get_challenge", key=form.key),
            "algorithm": proof_of_work.ALGORITHM,
        },
    }


@blueprint.operation("GET /forms/<form_key:key>/challenge", Challenge, problems=(403, 404, 429))
def get_challenge(key: str) -> ResponseReturnValue:  # noqa: ARG001 - each form has the same challenges
    """Get a challenge, whose solution is the proof of work of one message."""
    return own_pages.challenge()


@blueprint.operation(
    "POST /forms/<form_key:key>/messages",
    Sent,
    status=201,
    body=NewMessage,
    problems=(403, 404, 410, 429),
    size=own_pages.LARGEST_FORM,
)
def send_message(body: dict[str, Any], key: str) -> ResponseReturnValue:  # noqa: ARG001
    """Send a message to the form, as its page does."""
    form = cross_origin.form()
    # A proof is used once, so a page that sends its message again has another.
    once = idempotency.of_request(f"form {form.key}", {name: body[name] for name in body if name != "proof"})
    if (before := once.result()) is not None:
        return _sent(before)
    db.session.rollback()  # hold no transaction open while asking Redis
    if form.closed_at:
        raise Problem(410, _("This form is closed."))
    submission, user = _read(form, body)
    _check_proof(body.get("proof", ""))
    try:
        submissions.admit(form, submission, None)
    except Refused as refused:
        raise Problem(refused.status, refused.text, headers={"Retry-After": str(refused.retry_after)}) from None
    notify = quotas.may_notify(form)
    received = submissions.store(form, submission, None, notify=notify, host_user=user)
    if not once.keep(received.message_id):
        db.session.rollback()
        return _sent(once.result() or 0)
    db.session.commit()
    if received.entry_id is not None:
        outbox.wake(received.entry_id)
    return {"conversation_url": _address(received.token)}


def _read(form: Form, body: dict[str, Any]) -> tuple[Submission, str | None]:
    """Return the message and the proven user of the host; raise Problem, which counts as a rejected message."""
    answers = {f"{ANSWER}{name}": text for name, text in body.get("answers", {}).items()}
    sent = {name: value for name, value in body.items() if name not in ("answers", "proof", "user")}
    try:
        return submissions.read(form, {**sent, **answers}, strict=True), host_users.proven(form, body.get("user"))
    except Invalid as invalid:
        faults = [Fault("body", _public(name), text) for name, texts in invalid.errors.items() for text in texts]
        raise _rejected(Problem(422, _("Some fields are missing or wrong."), faults)) from None
    except Problem as problem:
        raise _rejected(problem) from None


def _public(name: str) -> str:
    return f"answers.{name.removeprefix(ANSWER)}" if name.startswith(ANSWER) else name


def _check_proof(sent: str) -> None:
    if not spam.is_on():
        return
    details = {
        Proof.MISSING: _("Send the solution of a challenge."),
        Proof.REPLAYED: _("This proof was used before. Solve another challenge."),
        Proof.STALE: _("This proof is too old. Solve another challenge."),
    }
    if detail := details.get(proof_of_work.check(sent)):
        raise _rejected(Problem(422, detail, [Fault("body", "proof", detail)]))


def _rejected(problem: Problem) -> Problem:
    if quotas.REJECTED.take():
        return problem
    text = _("Too many requests of your network were wrong.")
    return Problem(429, text, problem.faults, headers={"Retry-After": "60"})


def _sent(message_id: int) -> dict[str, Any]:
    message = inbox.find(message_id)
    if message is None:
        raise Problem(404, _("This message has been erased since."))
    conversation = conversations.of(message)
    token = conversations.token_of(conversation) if conversation else None
    return {"conversation_url": token and _address(token)}


def _address(token: str) -> str:
    return site_path.absolute_url("conversations.show", token=token)

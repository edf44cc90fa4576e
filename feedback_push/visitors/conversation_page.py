"""The private page of a conversation: read the answers, write again, take the data along, erase it, end the link."""

from flask import Blueprint, redirect, render_template, request, session, stream_with_context, url_for
from flask.typing import ResponseReturnValue
from flask.wrappers import Response
from flask_babel import gettext as _
from limits import RateLimitItemPerMinute
from werkzeug.exceptions import NotFound, TooManyRequests

from feedback_push import csrf, errors, request_limits, security
from feedback_push.database import db
from feedback_push.feedback import conversation_data, conversations, quotas, site_forms, streamed_json
from feedback_push.feedback.conversations import Full
from feedback_push.feedback.form_models import DEFAULT_KEY
from feedback_push.feedback.forms import LONGEST_REPLY, ReplyForm
from feedback_push.feedback.models import Conversation
from feedback_push.feedback.quotas import Quota, Verdict
from feedback_push.push import outbox

LARGEST_FORM = 12 * LONGEST_REPLY + 8 * 1024  # bytes; a character takes at most twelve in a form
UNKNOWN = Quota("unknown-private-links", 60, 0, RateLimitItemPerMinute, 10)

blueprint = Blueprint("conversations", __name__, url_prefix="/conversations")
blueprint.after_request(security.no_store)


@blueprint.after_request
def _hide_from_search_engines(response: Response) -> Response:
    response.headers["X-Robots-Tag"] = "noindex"
    return response


@blueprint.route("/<token>", methods=["GET", "POST"])
@request_limits.takes_up_to(LARGEST_FORM, characters=LONGEST_REPLY + 8 * 1024)
def show(token: str) -> ResponseReturnValue:
    """Show a conversation to the visitor whose private link this is, or store what they write again."""
    conversation, form = _find(token), ReplyForm()
    if not form.validate_on_submit():
        return _page(token, conversation, form), 422 if form.is_submitted() else 200
    content, key = form.content.data or "", conversation.message.form_key
    db.session.rollback()  # hold no transaction open while asking Redis
    if quotas.verdict(len(content.encode()), proven=True) != Verdict.TAKEN:
        notice = _("That was a lot in a short time. Nothing is lost: please try again in a few minutes.")
        return _page(token, _find(token), form, notice), 429, {"Retry-After": "60"}
    notify = quotas.may_notify(site_forms.find(key or DEFAULT_KEY))
    try:
        entry_id = conversations.write_again(_find(token, lock=True), content, notify=notify)
    except Full:
        db.session.rollback()
        notice = _("This conversation cannot take more. Please send a new message.")
        return _page(token, _find(token), form, notice), 422
    db.session.commit()
    if entry_id is not None:
        outbox.wake(entry_id)
    return redirect(url_for("conversations.show", token=token, _anchor="latest"), 303)


@blueprint.post("/<token>/export")
def export(token: str) -> ResponseReturnValue:
    """Return everything that is stored about the conversation as a JSON file."""
    text = streamed_json.buffered(conversation_data.export(_find(token)))
    db.session.rollback()  # hold no transaction open while the visitor reads
    as_file = {"Content-Disposition": 'attachment; filename="feedback.json"'}
    return Response(stream_with_context(text), mimetype="application/json", headers=as_file)


@blueprint.post("/<token>/erase")
def erase(token: str) -> ResponseReturnValue:
    """Erase the message and all that belongs to it for good, once the visitor has confirmed it."""
    conversation = _find(token)
    if request.form.get("confirmed") != "yes":
        return render_template("visitors/confirm.html", token=token, action="erase")
    conversation_data.erase(conversation)
    db.session.commit()
    _forget(token)
    return render_template("visitors/ended.html", action="erase")


@blueprint.post("/<token>/end")
def end(token: str) -> ResponseReturnValue:
    """End the private link, once the visitor has confirmed it; the message stays."""
    _find(token)
    if request.form.get("confirmed") != "yes":
        return render_template("visitors/confirm.html", token=token, action="end")
    conversations.end_link(_find(token, lock=True))
    db.session.commit()
    _forget(token)
    return render_template("visitors/ended.html", action="end")


@blueprint.post("/<token>/renew")
def renew(token: str) -> ResponseReturnValue:
    """Replace the private link with a new one, for a visitor who has shown it to somebody else."""
    new = conversations.renew_link(_find(token, lock=True))
    db.session.commit()
    _forget(token, new)
    return redirect(url_for("conversations.show", token=new), 303)


@blueprint.errorhandler(csrf.Refused)
def _refused(error: csrf.Refused) -> ResponseReturnValue:
    if request.endpoint != "conversations.show" or request.view_args is None:
        return errors.csrf_refused(error)
    token, form = str(request.view_args["token"]), ReplyForm(meta=error.form_meta)
    return _page(token, _find(token), form, error.message(_("Nothing is lost: please send it again."))), 400


def _find(token: str, *, lock: bool = False) -> Conversation:
    conversation = conversations.find(token, lock=lock)
    if conversation is None:
        db.session.rollback()  # hold no transaction open while asking Redis
        raise NotFound if UNKNOWN.take() else TooManyRequests
    return conversation


def _page(token: str, conversation: Conversation, form: ReplyForm, notice: str | None = None) -> str:
    message = conversation.message
    return render_template(
        "visitors/conversation.html",
        token=token,
        message=message,
        replies=conversations.replies(message),
        form=form,
        notice=notice,
    )


def _forget(token: str, new: str | None = None) -> None:
    """Let the thank-you page show this link no more, but the new one if there is one."""
    if session.get(conversations.SESSION_KEY) == token:
        del session[conversations.SESSION_KEY]
        if new:
            session[conversations.SESSION_KEY] = new

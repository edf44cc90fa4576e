"""Notes to the writers of many messages: choose them, write, preview, send once, and see what became of it."""

from datetime import timedelta
from typing import NamedTuple

from flask import abort, flash, get_flashed_messages, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_decimal, gettext, lazy_gettext
from flask_login import current_user
from werkzeug.datastructures import MultiDict

from feedback_push import dispatch, ids, request_limits, security
from feedback_push.admin import labels, message_query
from feedback_push.admin.pages import ID, blueprint, page
from feedback_push.auth import audit, sessions
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.config import current_settings
from feedback_push.database import db, utcnow
from feedback_push.feedback import note_figures, notes
from feedback_push.feedback.forms import LONGEST_NOTE, NoteForm
from feedback_push.feedback.note_figures import Figures, Recipient
from feedback_push.feedback.note_models import Note, Outcome
from feedback_push.push import history, notification
from feedback_push.push.notification import ANSWER

_LARGEST_FORM = 12 * LONGEST_NOTE + 8 * 1024  # bytes; a character takes at most twelve in a form
_MOST_SELECTED = 1_000  # messages; a page has 50
OUTCOMES = {
    Outcome.NO_LINK: lazy_gettext("Not reached: this message has no private link."),
    Outcome.ENDED: lazy_gettext("Not reached: the visitor has ended the private link."),
    Outcome.FULL: lazy_gettext("Not reached: this conversation has too many replies."),
    Outcome.SPAM: lazy_gettext("Not reached: this message was moved to spam."),
    Outcome.DELETED: lazy_gettext("Not reached: this message was deleted."),
}
_WAITING = lazy_gettext("It is about to be written.")
_SILENT = lazy_gettext("On the private page; no device follows it.")
_WRITTEN = lazy_gettext("On the private page.")


class Sent(NamedTuple):
    """A note in the list of those that were sent."""

    note: Note
    figures: Figures


@blueprint.get("/notes", endpoint="notes")
def show_notes() -> ResponseReturnValue:
    """Show the administrator's drafts, and the notes that were sent, with their figures."""
    before = request.args.get("before", type=ids.parse)
    found = notes.sent(before)
    shown = found[: notes.PAGE_SIZE]
    return page(
        "admin/notes.html",
        drafts=[(note, notes.count(note)) for note in notes.drafts(current_user)] if before is None else [],
        sent=[Sent(note, note_figures.figures(note)) for note in shown],
        stage_label=labels.COUNTED,
        selected=message_query.read,
        as_query=MultiDict,
        is_first=before is None,
        older=shown[-1].id if len(found) > len(shown) else None,
    )


@blueprint.post("/notes")
@request_limits.takes_up_to(fields=1000)  # one field per message; an open list can grow
def begin_note() -> ResponseReturnValue:
    """Begin a note for the messages `id`, or for all that the search in the address finds."""
    asked = message_query.from_request()
    back = asked.at() if asked.query else request.form["back"]
    selected = request.form.getlist("id", type=ids.parse)[:_MOST_SELECTED]
    try:
        chosen = selected or (notes.find_messages(asked.filter) if asked.query else [])
        note = notes.draft(current_user, chosen, {} if selected else asked.query)
    except notes.Nobody:
        return _back_with(back, gettext("No message was selected."))
    except notes.TooMany:
        most = format_decimal(notes.MOST)
        return _back_with(back, gettext("A note goes to at most %(max)s messages. Please narrow the search.", max=most))
    db.session.commit()
    return _to(note)


@blueprint.get(f"/notes/<{ID}:note_id>", endpoint="note")
def show_note(note_id: int) -> ResponseReturnValue:
    """Show a draft: its form, or its preview once it has a text; or what became of a note that was sent."""
    note = _found(note_id)
    if note.sent_at is not None:
        return _report(note)
    if note.content and "edit" not in request.args:
        return _draft(note, None)
    return _draft(note, NoteForm(formdata=None, content=note.content, marks_answered=note.marks_answered))


@blueprint.post(f"/notes/<{ID}:note_id>/write")
@request_limits.takes_up_to(_LARGEST_FORM, characters=LONGEST_NOTE + 8 * 1024)
def write_note(note_id: int) -> ResponseReturnValue:
    """Store the text of a draft, and show its preview."""
    note, form = _found(note_id), NoteForm()
    if not form.validate():
        return _draft(note, form), 422
    notes.write(note, form.content.data or "", marks_answered=bool(form.marks_answered.data))
    db.session.commit()
    return _to(note)


@blueprint.post(f"/notes/<{ID}:note_id>/send")
def send_note(note_id: int) -> ResponseReturnValue:
    """Send a draft as it was shown; sending it again changes nothing."""
    sessions.lock_current(current_user)
    note = _found(note_id)
    if notes.send(note):
        audit.record(AuditEvent.NOTE_SENT, current_user, messages=notes.count(note))
        db.session.commit()
        dispatch.publish("feedback.send_notes")
    return _to(note)


@blueprint.post(f"/notes/<{ID}:note_id>/discard")
def discard_note(note_id: int) -> ResponseReturnValue:
    """Remove a draft."""
    notes.discard(_found(note_id))
    db.session.commit()
    return redirect(url_for("admin.notes"), 303)


@blueprint.get(f"/notes/<{ID}:note_id>/figures", endpoint="note_figures")
def show_figures(note_id: int) -> ResponseReturnValue:
    """Return the figures of a note alone, for the script that keeps the page up to date."""
    note = _found(note_id)
    if note.sent_at is None:
        abort(404)
    return render_template("admin/_note_figures.html", **_figures(note))


def _found(note_id: int) -> Note:
    return notes.find(note_id, current_user) or abort(404)


def _to(note: Note) -> ResponseReturnValue:
    return redirect(url_for("admin.note", note_id=note.id), 303)


def _back_with(address: str, text: str) -> ResponseReturnValue:
    db.session.rollback()
    get_flashed_messages()  # drops earlier messages that no page has shown, so that the session's cookie stays small
    flash({"text": text, "undo": None}, "bulk-action")  # type: ignore[arg-type] # Flask stores any JSON
    return redirect(security.path_within_site(address) or url_for("admin.inbox"), 303)


def _draft(note: Note, form: NoteForm | None) -> str:
    """Return the page of a draft: with its form, or else with its preview."""
    shows_text = current_settings().notification_answer_text
    return page(
        "admin/note_draft.html",
        note=note,
        form=form,
        reach=note_figures.reach(note),
        selected=message_query.read(MultiDict(note.selection)),
        pushed_title=ANSWER.title,
        pushed_text=notification.excerpt(note.content) if shows_text else "",
    )


def _report(note: Note) -> str:
    before = request.args.get("before", type=ids.parse)
    found, older = note_figures.recipients(note, before)
    return page(
        "admin/note.html",
        recipients=[(each, _label(each, expired=_has_expired(note))) for each in found],
        stage_label=labels.COUNTED,
        selected=message_query.read(MultiDict(note.selection)),
        is_first=before is None,
        older=older,
        **_figures(note),
    )


def _figures(note: Note) -> dict[str, object]:
    figures = note_figures.figures(note)
    return {
        "note": note,
        "figures": figures,
        "kept_for": current_settings().retain_deliveries_days if _has_expired(note) else None,
        "counts": [(stage, str(labels.COUNTED[stage]), count) for stage, count in figures.devices.items()],
        "left_out": [(str(label), figures.outcomes[why]) for why, label in OUTCOMES.items() if why in figures.outcomes],
        "moving": note.finished_at is None or history.Stage.QUEUED in figures.devices,
    }


def _has_expired(note: Note) -> bool:
    """Return whether the records of a note's notifications are removed, or may be."""
    days = current_settings().retain_deliveries_days
    return bool(days and note.sent_at and note.sent_at < utcnow() - timedelta(days=days))


def _label(recipient: Recipient, *, expired: bool) -> str:
    """Return what became of the note for one message, unless its stage says so."""
    if recipient.outcome is None:
        return str(_WAITING)
    if recipient.outcome != Outcome.WRITTEN:
        return str(OUTCOMES[recipient.outcome])
    return str(_WRITTEN if recipient.stage or expired else _SILENT)

"""Compose a broadcast: its form and preview, a test on one's own devices, drafts, and sending now or at a time."""

import secrets
from datetime import datetime
from typing import NamedTuple

from flask import abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_datetime, gettext, ngettext
from flask_login import current_user
from sqlalchemy.exc import IntegrityError

from feedback_push import language, request_limits
from feedback_push.admin import preview
from feedback_push.admin.broadcast_form import LARGEST_FORM, BroadcastForm
from feedback_push.admin.pages import ID, blueprint, page
from feedback_push.admin.topics import found
from feedback_push.auth import audit, sessions
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.auth.roles import owners_only
from feedback_push.database import db, utcnow
from feedback_push.push import keys, outbox, subscriptions
from feedback_push.topics import broadcasts, counts
from feedback_push.topics.broadcasts import NotPossible
from feedback_push.topics.models import Broadcast, BroadcastState, Topic

SAID = "broadcast"  # the category of a text that the next page of a broadcast shows
_ACTIONS = ("send", "draft", "test", "preview")


@blueprint.get("/topics/<slug>/broadcasts/new")
@owners_only
def new_broadcast(slug: str) -> ResponseReturnValue:
    """Show the form for a broadcast."""
    form = BroadcastForm(data={"form_token": secrets.token_hex(16)})
    return _page(_Composed(found(slug), None), form)


@blueprint.post("/topics/<slug>/broadcasts")
@request_limits.takes_up_to(LARGEST_FORM)
@owners_only
def add_broadcast(slug: str) -> ResponseReturnValue:
    """Send a broadcast, schedule it, or keep it as a draft; once for each form that was opened."""
    return _submitted(_Composed(found(slug), None), BroadcastForm())


@blueprint.route(f"/broadcasts/<{ID}:broadcast_id>/edit", methods=["GET", "POST"])
@request_limits.takes_up_to(LARGEST_FORM)
@owners_only
def edit_broadcast(broadcast_id: int) -> ResponseReturnValue:
    """Show the form of a broadcast that was not started; change, send, schedule or keep it."""
    broadcast = broadcasts.find(broadcast_id) or abort(404)
    composed = _Composed(broadcast.topic, broadcast)
    if broadcast.state not in (BroadcastState.DRAFT, BroadcastState.SCHEDULED):
        return _lead_to(broadcast)
    if request.method == "POST":
        return _submitted(composed, BroadcastForm())
    words = broadcasts.draft_of(broadcast)._asdict()
    form = BroadcastForm(data={**words, "when": "at" if broadcast.send_at else "now"})
    form.show_time(broadcast.send_at)
    return _page(composed, form)


class _Composed(NamedTuple):
    topic: Topic
    broadcast: Broadcast | None  # None: it is new


def _submitted(composed: _Composed, form: BroadcastForm) -> ResponseReturnValue:
    action = request.form.get("action", "send")
    if action not in _ACTIONS:
        abort(400)
    if action == "preview":
        return _page(composed, form)
    form.needs_time = action == "send"
    if not form.validate():
        return _page(composed, form), 422
    if action == "test":
        return _page(composed, form, said=_test(composed.topic, form))
    return _save(composed, form, only_keep=action == "draft")


def _save(composed: _Composed, form: BroadcastForm, *, only_keep: bool) -> ResponseReturnValue:
    sessions.lock_current(current_user)
    try:
        broadcast = _stored(composed, form)
        entry_id = None if only_keep else _begin(broadcast)
    except NotPossible:  # it was started in another tab, or by the same form
        db.session.rollback()
        return _lead_to(composed.broadcast)
    except IntegrityError:
        db.session.rollback()
        return _lead_to(broadcasts.find_by_form(form.form_token.data or ""))
    db.session.commit()
    if entry_id is not None:
        outbox.wake(entry_id)
    return _lead_to(broadcast)


def _stored(composed: _Composed, form: BroadcastForm) -> Broadcast:
    send_at = form.send_at_utc
    if composed.broadcast is not None:
        broadcasts.change(composed.broadcast, form.draft(), send_at)
        return composed.broadcast
    user_id, form_token = current_user.id, form.form_token.data or None
    return broadcasts.add(composed.topic, form.draft(), user_id=user_id, send_at=send_at, form_token=form_token)


def _begin(broadcast: Broadcast) -> int | None:
    """Start a broadcast, unless it has a time; return its outbox entry's id if it was started."""
    words = {"title": broadcast.title, "topic": broadcast.topic.name}
    wanted = broadcast.send_at
    entry_id = None if wanted else broadcasts.start(broadcast)
    if entry_id is not None:
        audit.record(AuditEvent.BROADCAST_STARTED, current_user, **words)
        return entry_id
    audit.record(AuditEvent.BROADCAST_SCHEDULED, current_user, **words)
    if not wanted and broadcast.send_at:
        flash(put_off(broadcast.send_at), SAID)
    return None


def put_off(until: datetime) -> str:
    """Return the text that tells why a broadcast is not sent now."""
    when = format_datetime(until, "short")
    return str(gettext("The limit of this topic puts the broadcast off until %(time)s.", time=when))


def _lead_to(broadcast: Broadcast | None) -> ResponseReturnValue:
    if broadcast is None:
        abort(404)
    return redirect(url_for("admin.broadcast", broadcast_id=broadcast.id), 303)


def _test(topic: Topic, form: BroadcastForm) -> str:
    """Send the notification to the administrator's own devices, and return a text that says so."""
    devices = subscriptions.reached(current_user, keys.cached().live)
    if not devices:
        return str(gettext("None of your devices gets notifications at the moment."))
    entry = broadcasts.enqueue_test(topic, form.draft(), current_user)
    db.session.commit()
    outbox.wake(entry.id)
    text = ngettext(
        "The test is on its way to your device.", "The test is on its way to your %(num)d devices.", devices
    )
    return str(text)


def _page(composed: _Composed, form: BroadcastForm, said: str = "") -> str:
    topic, now = composed.topic, utcnow()
    allowed_at = broadcasts.next_allowed(topic, now)
    own_icon = url_for("admin.topic_icon", slug=topic.slug) if topic.icon_type else ""
    return page(
        "admin/compose.html",
        topic=topic,
        broadcast=composed.broadcast,
        form=form,
        said=said,
        followers=counts.of_followers(topic),
        put_off=put_off(allowed_at) if allowed_at > now else "",
        previews=preview.of(form.title.data or "", form.body.data or "", form.image_url.data or "", own_icon),
        zone=str(language.time_zone()),
        push_is_on=keys.cached().current is not None,
    )

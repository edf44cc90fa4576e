"""A broadcast's page: its progress while it is sent, pause, resume and end, and its results afterwards."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from flask import abort, current_app, flash, jsonify, redirect, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_decimal, format_timedelta, gettext
from flask_login import current_user

from feedback_push.admin import broadcast_results, compose
from feedback_push.admin.pages import ID, blueprint, page
from feedback_push.auth import audit, sessions
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.auth.roles import owners_only
from feedback_push.database import db, utcnow
from feedback_push.push import outbox
from feedback_push.topics import broadcasts, counts, results
from feedback_push.topics.broadcasts import NotPossible
from feedback_push.topics.models import Broadcast, BroadcastState
from feedback_push.topics.results import Progress

RUNNING = (BroadcastState.SENDING, BroadcastState.PAUSED)
_MOST_SAMPLES = 100
_POLL = 1.0  # seconds at least between two looks of a page


@blueprint.get(f"/broadcasts/<{ID}:broadcast_id>", endpoint="broadcast")
@owners_only
def show_broadcast(broadcast_id: int) -> ResponseReturnValue:
    """Show a broadcast: its words, and its progress or its results."""
    broadcast = _found(broadcast_id)
    allowed_at = broadcasts.next_allowed(broadcast.topic, utcnow())
    is_put_off = broadcast.state == BroadcastState.SCHEDULED and allowed_at > (broadcast.send_at or allowed_at)
    return page(
        "admin/broadcast.html",
        broadcast=broadcast,
        topic=broadcast.topic,
        state=broadcast.state,
        labels=broadcast_results.STATES,
        progress=_progress(broadcast) if broadcast.state in RUNNING else None,
        results=broadcast_results.of(broadcast),
        put_off=compose.put_off(allowed_at) if is_put_off else "",
        said=compose.SAID,
    )


@blueprint.get(f"/broadcasts/<{ID}:broadcast_id>/progress.json")
@owners_only
def broadcast_progress(broadcast_id: int) -> ResponseReturnValue:
    """Return the progress of a broadcast, for the script that polls for it."""
    broadcast = _found(broadcast_id)
    progress = _progress(broadcast)
    return jsonify(state=broadcast.state, **progress._asdict())


@blueprint.post(f"/broadcasts/<{ID}:broadcast_id>/pause")
@owners_only
def pause_broadcast(broadcast_id: int) -> ResponseReturnValue:
    """Send nothing more until somebody resumes or ends it."""
    return _changed(broadcast_id, broadcasts.pause, AuditEvent.BROADCAST_PAUSED)


@blueprint.post(f"/broadcasts/<{ID}:broadcast_id>/resume")
@owners_only
def resume_broadcast(broadcast_id: int) -> ResponseReturnValue:
    """Send the rest of a paused broadcast."""
    return _changed(broadcast_id, broadcasts.resume, AuditEvent.BROADCAST_RESUMED)


@blueprint.post(f"/broadcasts/<{ID}:broadcast_id>/end")
@owners_only
def end_broadcast(broadcast_id: int) -> ResponseReturnValue:
    """Send nothing more for good."""
    return _changed(broadcast_id, broadcasts.end, AuditEvent.BROADCAST_ENDED)


@blueprint.post(f"/broadcasts/<{ID}:broadcast_id>/discard")
@owners_only
def discard_broadcast(broadcast_id: int) -> ResponseReturnValue:
    """Delete a broadcast that was not started."""
    broadcast = _found(broadcast_id)
    slug = broadcast.topic.slug
    try:
        broadcasts.discard(broadcast)
    except NotPossible:
        db.session.rollback()
        return _lead_to(broadcast_id)
    db.session.commit()
    return redirect(url_for("admin.topic", slug=slug), 303)


class _Progress(NamedTuple):
    """The progress of a broadcast as texts and numbers; `again_in` is in milliseconds."""

    percent: int
    done: str
    failed: str
    rate: str
    left: str
    is_over: bool
    again_in: int


class _Sample(NamedTuple):
    at: datetime
    progress: Progress
    rate: float  # devices a second


def _progress(broadcast: Broadcast) -> _Progress:
    entry_id = broadcast.outbox_id
    is_over = broadcast.state not in RUNNING
    if entry_id is None or is_over:
        return _Progress(100, "", "", "", "", is_over=True, again_in=0)
    sample, fresh_for = counts.kept(("progress", entry_id), lambda: _sample(broadcast, entry_id))
    done = sample.progress.sent + sample.progress.failed
    of = max(broadcast.followers, done + sample.progress.pending, 1)
    failed = sample.progress.failed
    is_sending = broadcast.state == BroadcastState.SENDING
    return _Progress(
        percent=done * 100 // of,
        done=str(gettext("%(done)s of %(all)s devices", done=format_decimal(done), all=format_decimal(of))),
        failed=str(gettext("%(failed)s could not be reached", failed=format_decimal(failed))) if failed else "",
        rate=_rate(sample.rate) if is_sending else "",
        left=_left((of - done) / sample.rate) if is_sending and sample.rate else "",
        is_over=False,
        again_in=int(max(_POLL, fresh_for) * 1000),
    )


def _sample(broadcast: Broadcast, entry_id: int) -> _Sample:
    """Count, and measure the rate since the last count; the first one takes it from the whole time so far."""
    samples: dict[int, _Sample] = current_app.extensions.setdefault("topics.samples", {})
    now, progress = utcnow(), results.progress(entry_id)
    before = samples.get(entry_id) or _Sample(broadcast.started_at or now, Progress(0, 0, 0), 0.0)
    seconds = (now - before.at).total_seconds()
    if before.rate and seconds < _POLL:
        return _Sample(now, progress, before.rate)
    done, before_done = (each.sent + each.failed for each in (progress, before.progress))
    if len(samples) > _MOST_SAMPLES:  # most of broadcasts of which nobody has a page open any more
        samples.clear()
    sample = samples[entry_id] = _Sample(now, progress, max(0, done - before_done) / max(seconds, 0.001))
    return sample


def _rate(rate: float) -> str:
    return str(gettext("%(rate)s a second", rate=format_decimal(round(rate, 1) if rate < 10 else round(rate))))


def _left(seconds: float) -> str:
    text = format_timedelta(max(1, seconds), threshold=1.5)
    return str(gettext("about %(time)s left", time=text))


def _changed(broadcast_id: int, change: Callable[[Broadcast], Any], event: AuditEvent) -> ResponseReturnValue:
    """Make a change that the broadcast's state allows; in any other state, its page shows that state."""
    sessions.lock_current(current_user)
    broadcast = _found(broadcast_id)
    try:
        entry_id = change(broadcast)
    except NotPossible:
        db.session.rollback()
        flash(gettext("This was not possible any more: see below for the present state."), compose.SAID)
        return _lead_to(broadcast_id)
    audit.record(event, current_user, title=broadcast.title)
    db.session.commit()
    if entry_id is not None:
        outbox.wake(entry_id)
    return _lead_to(broadcast_id)


def _lead_to(broadcast_id: int) -> ResponseReturnValue:
    return redirect(url_for("admin.broadcast", broadcast_id=broadcast_id), 303)


def _found(broadcast_id: int) -> Broadcast:
    return broadcasts.find(broadcast_id) or abort(404)

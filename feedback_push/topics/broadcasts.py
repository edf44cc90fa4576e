"""Broadcasts: write one, send it now or at a time, pause it, go on, and end it."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import select, text
from sqlalchemy.orm import joinedload

from feedback_push import maintenance
from feedback_push.auth.models import User
from feedback_push.database import db, utcnow
from feedback_push.push import followers, notification, outbox
from feedback_push.push.models import OutboxEntry, Priority
from feedback_push.push.notification import NEWS, Action, Notification
from feedback_push.site_path import absolute_url
from feedback_push.topics.models import TO_SEND, UNFINISHED, Broadcast, BroadcastState, Topic, Urgency

CHANGE = "change"  # the name of the button that opens the page of the topics
_BATCH = 10  # broadcasts looked at in one sweep


class Draft(NamedTuple):
    """The words of a broadcast; `url` and `image_url` are absolute http or https addresses, or empty."""

    title: str
    body: str = ""
    url: str = ""
    image_url: str = ""
    urgency: Urgency = Urgency.NORMAL


class NotPossible(ValueError):
    """The broadcast is in a state in which this cannot be done."""


def add(
    topic: Topic,
    draft: Draft,
    *,
    user_id: int | None = None,
    send_at: datetime | None = None,
    form_token: str | None = None,
) -> Broadcast:
    """Add a broadcast: a draft, or one that is sent at `send_at`. The caller commits.

    Raise IntegrityError if there is one with this `form_token`.
    """
    broadcast = Broadcast(topic=topic, user_id=user_id, send_at=send_at, form_token=form_token, **draft._asdict())
    db.session.add(broadcast)
    db.session.flush()
    return broadcast


def find(broadcast_id: int) -> Broadcast | None:
    """Return a broadcast with its topic and its outbox entry; None if there is none."""
    found: Broadcast | None = db.session.scalar(_with_its_rows().where(Broadcast.id == broadcast_id))
    return found


def find_by_form(form_token: str) -> Broadcast | None:
    """Return the broadcast that the form with this token has added; None if there is none."""
    return db.session.scalar(select(Broadcast).where(Broadcast.form_token == form_token))


def change(broadcast: Broadcast, draft: Draft, send_at: datetime | None) -> None:
    """Change the words of a broadcast that was not started, and its time. The caller commits. Raise NotPossible."""
    _lock_waiting(broadcast)
    for name, value in draft._asdict().items():
        setattr(broadcast, name, value)
    broadcast.send_at = send_at


def discard(broadcast: Broadcast) -> None:
    """Delete a broadcast that was not started. The caller commits. Raise NotPossible."""
    _lock_waiting(broadcast)
    db.session.delete(broadcast)


def start(broadcast: Broadcast) -> int | None:
    """Start to send a broadcast; return its outbox entry's id, with which the caller calls `outbox.wake` after commit.

    If the topic's cap allows it only later, schedule it for then and return None. Raise NotPossible if it was started
    or ended before.
    """
    _lock_waiting(broadcast)
    topic = broadcast.topic
    # Of two broadcasts that start at once, the second must see the first, or both would pass the cap.
    removed_at = db.session.scalar(select(Topic.removed_at).where(Topic.id == topic.id).with_for_update())
    if removed_at is not None:
        raise NotPossible
    now = utcnow()
    if (allowed_at := next_allowed(topic, now)) > now:
        broadcast.send_at = allowed_at
        return None
    broadcast.outbox_entry = outbox.enqueue(
        notification_of(broadcast),
        kind=NEWS.code,
        audience_id=topic.audience_id,
        priority=Priority.BROADCAST,
        unopened_since=_unopened_since(topic),
    )
    broadcast.started_at = now
    broadcast.followers = followers.count_all(topic.audience_id)  # the first push waits for this
    db.session.flush()
    return broadcast.outbox_id


def next_allowed(topic: Topic, now: datetime) -> datetime:
    """Return the first time from now on at which the topic's cap allows another broadcast to start."""
    if not topic.cap_count:
        return now
    started = _started(topic).where(Broadcast.started_at > now - timedelta(days=topic.cap_days))
    counted = db.session.scalars(started.offset(topic.cap_count - 1).limit(1)).first()
    return now if counted is None else counted + timedelta(days=topic.cap_days)


def pause(broadcast: Broadcast) -> None:
    """Send nothing more of a broadcast until `resume` or `end`. The caller commits. Raise NotPossible."""
    outbox.pause(_entry(broadcast, BroadcastState.SENDING))


def resume(broadcast: Broadcast) -> int:
    """Send a paused broadcast on; return its outbox entry's id for `outbox.wake`. Raise NotPossible."""
    entry = _entry(broadcast, BroadcastState.PAUSED)
    outbox.resume(entry)
    return entry.id


def end(broadcast: Broadcast) -> None:
    """Send nothing more of a broadcast, or nothing at all if it was not started. The caller commits.

    Raise NotPossible if it is over already.
    """
    _lock(broadcast)
    if broadcast.state in (BroadcastState.DONE, BroadcastState.ENDED):
        raise NotPossible
    if broadcast.outbox_entry is not None:
        outbox.end(broadcast.outbox_entry)
    broadcast.ended_at = utcnow()


def notification_of(broadcast: Broadcast) -> Notification:
    """Return the notification of a broadcast, as its followers get it."""
    return _notification(broadcast.topic, draft_of(broadcast), f"broadcast-{broadcast.id}")


def draft_of(broadcast: Broadcast) -> Draft:
    """Return the words of a broadcast."""
    return Draft(*(getattr(broadcast, name) for name in Draft._fields))


def enqueue_test(topic: Topic, draft: Draft, user: User) -> OutboxEntry:
    """Add the notification of a draft for the devices of one administrator; the caller commits and wakes."""
    note = _notification(topic, draft, f"broadcast-test-{topic.id}")
    return outbox.enqueue(note, kind=NEWS.code, user_id=user.id)


def _notification(topic: Topic, draft: Draft, tag: str) -> Notification:
    follow = absolute_url("follow.index")
    return Notification(
        title=notification.name(draft.title),
        body=notification.beginning(draft.body, notification.LONGEST_NEWS),
        navigate=draft.url or follow,
        tag=tag,
        urgency=draft.urgency,
        image=draft.image_url,
        icon=absolute_url("follow.icon", slug=topic.slug) if topic.icon_type else "",
        actions=(Action(CHANGE, "Change", follow),),  # the service worker has its text in the reader's language
    )


@maintenance.register
def start_due(now: datetime) -> None:
    """Start the broadcasts whose time has come."""
    due = select(Broadcast.id).where(text(TO_SEND), Broadcast.send_at <= now)
    for broadcast_id in db.session.scalars(due.order_by(Broadcast.send_at).limit(_BATCH)).all():
        broadcast = find(broadcast_id)
        if broadcast is None:
            continue
        try:
            entry_id = start(broadcast)
        except NotPossible:  # another worker was first
            db.session.rollback()
            continue
        db.session.commit()
        if entry_id is not None:
            outbox.wake(entry_id)


@maintenance.register
def finish(now: datetime) -> None:
    """Mark the broadcasts of which nothing is left to send."""
    running = _with_its_rows().where(text(UNFINISHED)).order_by(Broadcast.id).limit(_BATCH)
    for broadcast in db.session.scalars(running):
        entry = broadcast.outbox_entry
        if broadcast.ended_at is not None or entry is None or _is_over(entry, now):
            broadcast.finished_at = broadcast.count_at = now


def _is_over(entry: OutboxEntry, now: datetime) -> bool:
    if entry.paused_at is not None or (entry.fanned_out_at is None and entry.expires_at > now):
        return False
    return not outbox.has_pending(entry)


def _entry(broadcast: Broadcast, state: BroadcastState) -> OutboxEntry:
    _lock(broadcast)
    if broadcast.state != state or broadcast.outbox_entry is None:
        raise NotPossible
    return broadcast.outbox_entry


def _lock_waiting(broadcast: Broadcast) -> None:
    _lock(broadcast)
    if broadcast.state not in (BroadcastState.DRAFT, BroadcastState.SCHEDULED):
        raise NotPossible


def _lock(broadcast: Broadcast) -> None:
    db.session.scalar(_with_its_rows().where(Broadcast.id == broadcast.id).with_for_update(of=Broadcast))


def _with_its_rows() -> Any:
    rows = select(Broadcast).options(joinedload(Broadcast.topic), joinedload(Broadcast.outbox_entry))
    return rows.execution_options(populate_existing=True)


def _started(topic: Topic) -> Any:
    """Select when the topic's broadcasts started, the newest first."""
    started = select(Broadcast.started_at).where(Broadcast.topic_id == topic.id, Broadcast.started_at.is_not(None))
    return started.order_by(Broadcast.started_at.desc())


def _unopened_since(topic: Topic) -> datetime | None:
    """Return when the first of the topic's last `pause_after` broadcasts started; None if there were fewer."""
    if not topic.pause_after:
        return None
    first: datetime | None = db.session.scalars(_started(topic).offset(topic.pause_after - 1).limit(1)).first()
    return first

"""Remove the demonstration data, and nothing else."""

from collections.abc import Sequence

from sqlalchemy import delete, exists, select

from feedback_push.database import db
from feedback_push.demo.models import DemoData, stored
from feedback_push.feedback import conversation_data, conversations, notes, tags
from feedback_push.feedback.form_models import Form
from feedback_push.feedback.models import Message, SavedSearch
from feedback_push.ids import id_in
from feedback_push.push import followers, outbox
from feedback_push.push.models import Follower
from feedback_push.topics.feed_models import Feed
from feedback_push.topics.models import Broadcast, Topic


def remove() -> list[str] | None:
    """Remove the demonstration data; return the names of its form and topic if they stay, None if there is no data.

    The form stays if it has real messages. The topic stays if it has followers, a feed or real broadcasts. Batches of
    deliveries are committed here; the caller commits the rest.
    """
    while data := stored(lock=True):
        rows = data.rows
        entries = _entries(rows["messages"])
        if not outbox.delete_deliveries(entries):
            return _remove(data, entries)
        db.session.commit()
    return None


def _entries(message_ids: Sequence[int]) -> list[int]:
    """Lock the messages and return the outbox entries of what happened to them since, such as an answer."""
    locked = select(Message.outbox_id).where(id_in(Message.id, message_ids)).order_by(Message.id).with_for_update()
    own = [entry for entry in db.session.scalars(locked) if entry is not None]
    return [*conversation_data.entries_of(message_ids), *own]


def _remove(data: DemoData, entries: list[int]) -> list[str]:
    rows = data.rows
    conversations.delete_audiences(rows["messages"])
    db.session.execute(delete(Message).where(id_in(Message.id, rows["messages"])))
    outbox.remove(entries)
    tags.remove_unused()
    notes.remove_empty()
    db.session.execute(delete(SavedSearch).where(id_in(SavedSearch.id, rows["saved_searches"])))
    db.session.execute(delete(Broadcast).where(id_in(Broadcast.id, rows["broadcasts"])))
    kept = [*_remove_forms(rows["forms"]), *_remove_topics(rows["topics"])]
    db.session.delete(data)
    return kept


def _remove_forms(ids: Sequence[int]) -> list[str]:
    these = select(Form).where(id_in(Form.id, ids))
    kept = db.session.scalars(these.where(exists().where(Message.form_key == Form.key))).all()
    db.session.execute(delete(Form).where(id_in(Form.id, set(ids) - {form.id for form in kept})))
    return [form.name for form in kept]


def _remove_topics(ids: Sequence[int]) -> list[str]:
    kept = []
    for topic in db.session.scalars(select(Topic).where(id_in(Topic.id, ids), Topic.removed_at.is_(None))).all():
        if _is_used(topic):
            kept.append(topic.name)
            continue
        audience_id = topic.audience_id
        db.session.execute(delete(Topic).where(Topic.id == topic.id))
        while followers.delete_audience(audience_id):
            pass
    return kept


def _is_used(topic: Topic) -> bool:
    used = (
        exists().where(Follower.audience_id == topic.audience_id),
        exists().where(Broadcast.topic_id == topic.id),
        exists().where(Feed.topic_id == topic.id),
    )
    return any(db.session.scalar(select(each)) for each in used)

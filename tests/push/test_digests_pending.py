"""push/digests.py: a changed preference applies to pending deliveries too."""

import pytest
from flask import Flask

from feedback_push.auth.models import User
from feedback_push.database import db, utcnow
from feedback_push.push import digests, outbox
from feedback_push.push.models import Delivery, OutboxEntry, PreviewLevel, Subscription
from tests.push.devices import owner, unreachable_devices
from tests.push.notes import announce, fan_out, note
from tests.push.statements import recorded_statements
from tests.push.stored_preferences import quiet_now, set_preferences

FEEDBACK, SUMMARY, TEST = "feedback", "summary:feedback", "test"


@pytest.fixture
def user(app: Flask) -> User:
    return owner()


@pytest.fixture
def device(user: User) -> Subscription:
    """A device for which a message is held, and one waits, beside a summary and a test."""
    [device_id] = unreachable_devices(user, 1)
    device = db.session.get_one(Subscription, device_id)
    set_preferences(user, quiet_hours=quiet_now())
    announce()
    set_preferences(user)
    announce(note(tag="message-2"))
    db.session.get_one(OutboxEntry, announce(note(tag="summary"))).kind = SUMMARY
    entry = outbox.enqueue_test(device)
    db.session.commit()
    fan_out(entry.id)
    return device


def left(user: User) -> list[tuple[str, str]]:
    """Return a user's pending deliveries: their kind and preview level."""
    db.session.commit()
    rows = db.session.query(OutboxEntry.kind, Delivery.shows).join(Delivery, Delivery.outbox_id == OutboxEntry.id)
    mine = rows.join(Subscription, Subscription.id == Delivery.subscription_id).filter_by(user_id=user.id)
    return sorted((kind, shows) for kind, shows in mine)


@pytest.mark.usefixtures("any_app")
@pytest.mark.usefixtures("device")
def test_what_is_still_to_be_sent_shows_as_much_as_is_wanted_now(user: User) -> None:
    other = owner("other@example.org")
    unreachable_devices(other, 1)
    announce(note(tag="message-3"))
    digests.apply_to_pending(user.id, shows=PreviewLevel.NOTHING, muted=set())
    assert left(user) == [*[(FEEDBACK, "nothing")] * 3, (SUMMARY, "all"), (TEST, "all")]
    assert left(other) == [(FEEDBACK, "all")]


@pytest.mark.usefixtures("any_app")
@pytest.mark.usefixtures("device")
def test_what_is_muted_is_not_sent_any_more_and_counted_nowhere(user: User) -> None:
    digests.apply_to_pending(user.id, shows=PreviewLevel.ALL, muted={FEEDBACK})
    assert left(user) == [(TEST, "all")]


def test_a_device_that_is_paused_gets_nothing_but_the_test_that_was_asked_for(user: User, device: Subscription) -> None:
    [other] = unreachable_devices(user, 1)
    announce(note(tag="message-3"))
    digests.cancel_pending(device)
    assert left(user) == [(FEEDBACK, "all"), (TEST, "all")]
    assert db.session.query(Delivery.subscription_id).join(OutboxEntry, Delivery.entry).filter_by(
        kind=FEEDBACK
    ).one() == (other,)


def test_sent_deliveries_stay_in_the_history(user: User, device: Subscription) -> None:
    db.session.query(Delivery).update({"due_at": None, "held_until": None, "state": "accepted"})
    db.session.commit()
    digests.apply_to_pending(user.id, shows=PreviewLevel.NOTHING, muted={FEEDBACK})
    digests.cancel_pending(device)
    assert left(user) == [*[(FEEDBACK, "all")] * 2, (SUMMARY, "all"), (TEST, "all")]


def test_all_that_a_device_has_ever_got_is_not_gone_through(app: Flask) -> None:
    user = owner()
    [device_id] = unreachable_devices(user, 1)
    with recorded_statements() as statements:
        digests.apply_to_pending(user.id, shows=PreviewLevel.NOTHING, muted={FEEDBACK})
        digests.cancel_pending(db.session.get_one(Subscription, device_id))
        digests.release(user.id, utcnow())
    changes = [words for words in statements if "push_delivery" in words]
    assert len(changes) == 7
    for words in changes:
        values = [None] * words.count("?")
        plan = db.session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {words}", tuple(values)).all()
        assert any("ix_push_delivery_due" in row[3] or "ix_push_delivery_held" in row[3] for row in plan), words

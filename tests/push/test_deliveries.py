"""Deliveries as people read them: those of one notification, in the order of its devices."""

from flask import Flask

from feedback_push.database import db
from feedback_push.push import deliveries
from tests.push.devices import nowhere, owner
from tests.push.notes import announce, note
from tests.push.statements import heard


def test_a_notification_has_its_own_deliveries_in_the_order_of_the_devices(any_app: Flask) -> None:
    ids = nowhere(owner(), 3)
    announce(note(tag="another"))
    entry_id = announce()
    assert [delivery.subscription_id for delivery in deliveries.of(entry_id)] == ids
    assert {delivery.outbox_id for delivery in deliveries.of(entry_id)} == {entry_id}


def test_what_has_no_notification_has_no_deliveries(any_app: Flask) -> None:
    nowhere(owner(), 1)
    announce()
    assert deliveries.of(None) == []
    assert deliveries.of(99) == []


def test_a_hundred_are_shown_with_their_devices_in_one_statement(any_app: Flask) -> None:
    nowhere(owner(), 105)
    entry_id = announce()
    db.session.remove()
    with heard() as statements:
        names = [delivery.subscription.name for delivery in deliveries.of(entry_id)]
    assert names == ["Browser"] * 100
    assert len([statement for statement in statements if not statement.startswith("BEGIN")]) == 1

"""push/history.py: the deliveries of a notification, as one administrator sees them."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from feedback_push.auth.models import User
from feedback_push.database import db, utcnow
from feedback_push.push import history, outbox
from feedback_push.push.history import History, LeftOut, Stage
from feedback_push.push.models import Delivery, DeliveryState, DeviceState, MutedKind, OutboxEntry, Subscription
from tests.push.devices import owner, unreachable_devices
from tests.push.notes import NOTE, announce, note
from tests.push.statements import recorded_statements


@pytest.fixture
def reader(app: Flask) -> User:
    return owner()


def history_of(entry_id: int, reader: User) -> History:
    db.session.expire_all()
    return history.load(db.session.get_one(OutboxEntry, entry_id), reader)


def change(entry_id: int, device_id: int, **values: Any) -> None:
    these = (Delivery.outbox_id == entry_id, Delivery.subscription_id == device_id)
    db.session.execute(update(Delivery).where(*these).values(**values))
    db.session.commit()


def listed(found: History) -> list[int]:
    return [delivery.subscription_id for delivery in found.deliveries]


@pytest.mark.usefixtures("any_app")
def test_a_notification_has_its_own_deliveries_and_the_readers_devices_come_first(reader: User) -> None:
    theirs = unreachable_devices(owner("other@example.org"), 2)
    mine = unreachable_devices(reader, 2)
    announce(note(tag="another"))
    entry_id = announce()
    found = history_of(entry_id, reader)
    assert listed(found) == mine + theirs
    assert {delivery.outbox_id for delivery in found.deliveries} == {entry_id}
    assert (found.counts, found.not_shown, found.left_out) == ({Stage.QUEUED: 4}, 0, [])


@pytest.mark.usefixtures("any_app")
def test_of_thousands_a_hundred_are_listed_and_all_are_counted(reader: User) -> None:
    theirs = unreachable_devices(owner("other@example.org"), 118)
    mine = unreachable_devices(reader, 2)
    entry_id = announce()
    now = utcnow()
    change(entry_id, mine[0], state=DeliveryState.ACCEPTED, due_at=None, accepted_at=now, shown_at=now, clicked_at=now)
    change(entry_id, mine[1], state=DeliveryState.ACCEPTED, due_at=None, accepted_at=now, shown_at=now)
    change(entry_id, theirs[0], state=DeliveryState.ACCEPTED, due_at=None, accepted_at=now)
    change(entry_id, theirs[1], state=DeliveryState.FAILED, due_at=None, error="gone")
    change(entry_id, theirs[2], error="unavailable")
    found = history_of(entry_id, reader)
    assert listed(found) == mine + theirs[:98]
    assert found.not_shown == 20
    assert list(found.counts.items()) == [
        (Stage.QUEUED, 116),
        (Stage.ACCEPTED, 1),
        (Stage.SHOWN, 1),
        (Stage.CLICKED, 1),
        (Stage.FAILED, 1),
    ]


def test_the_number_of_statements_does_not_grow_with_the_devices(reader: User) -> None:
    ids = unreachable_devices(reader, 105)
    summary = announce(note(tag="summary"))
    entry_id = announce()
    for device_id in ids[:20]:
        change(entry_id, device_id, state=DeliveryState.SUMMARISED, due_at=None, summary_id=summary)
    entry = db.session.get_one(OutboxEntry, entry_id)
    with recorded_statements() as statements:
        found = history.load(entry, reader)
        names = [delivery.subscription.name for delivery in found.deliveries]
    assert names == ["Browser"] * 100
    assert len([statement for statement in statements if not statement.startswith("BEGIN")]) <= 7


@pytest.mark.parametrize(
    ("stage", "row"),
    [
        (Stage.QUEUED, {"state": DeliveryState.WAITING}),
        (Stage.SENDING, {"state": DeliveryState.WAITING, "claim": "c"}),
        (Stage.RETRYING, {"state": DeliveryState.WAITING, "claim": "c", "error": "unavailable"}),
        (Stage.HELD, {"state": DeliveryState.HELD}),
        (Stage.SUMMARISED, {"state": DeliveryState.SUMMARISED}),
        (Stage.ACCEPTED, {"state": DeliveryState.ACCEPTED}),
        (Stage.SHOWN, {"state": DeliveryState.ACCEPTED, "shown_at": utcnow()}),
        (Stage.SHOWN, {"state": DeliveryState.WAITING, "error": "unavailable", "shown_at": utcnow()}),
        (Stage.CLICKED, {"state": DeliveryState.ACCEPTED, "shown_at": utcnow(), "clicked_at": utcnow()}),
        (Stage.FAILED, {"state": DeliveryState.FAILED, "error": "gone"}),
        (Stage.EXPIRED, {"state": DeliveryState.EXPIRED}),
    ],
)
def test_every_delivery_has_come_to_a_stage(stage: Stage, row: dict[str, Any]) -> None:
    assert history.stage(Delivery(**row)) == stage


@pytest.mark.usefixtures("any_app")
def test_a_summarised_delivery_leads_to_the_summarys_delivery(reader: User) -> None:
    first, _ = unreachable_devices(reader, 2)
    entry_id, summary_id = announce(), announce(note(tag="summary"))
    change(entry_id, first, state=DeliveryState.SUMMARISED, due_at=None, summary_id=summary_id)
    found = history_of(entry_id, reader)
    assert found.deliveries[0].summary_id == summary_id
    told = found.summaries[summary_id, first]
    assert (told.outbox_id, told.subscription_id) == (summary_id, first)
    assert history_of(summary_id, reader).summaries == {}


def test_why_a_device_of_the_readers_was_left_out_is_known(reader: User) -> None:
    paused, resumed = unreachable_devices(reader, 2)
    unreachable_devices(reader, 1, DeviceState.GONE)
    for device_id in (paused, resumed):
        db.session.get_one(Subscription, device_id).paused_at = utcnow()
    db.session.commit()
    entry_id = announce()
    db.session.get_one(Subscription, resumed).paused_at = None
    db.session.commit()
    [later] = unreachable_devices(reader, 1)
    unreachable_devices(owner("other@example.org"), 1)
    why = {device.id: why for device, why in history_of(entry_id, reader).left_out}
    assert why == {paused: LeftOut.PAUSED, resumed: LeftOut.OTHERWISE, later: LeftOut.ADDED_LATER}


def test_a_kind_that_the_reader_has_turned_off_leaves_their_devices_out(reader: User) -> None:
    [device_id] = unreachable_devices(reader, 1)
    db.session.add(MutedKind(user_id=reader.id, kind="feedback"))
    db.session.commit()
    assert [(device.id, why) for device, why in history_of(announce(), reader).left_out] == [(device_id, LeftOut.MUTED)]


def test_what_no_worker_has_taken_is_still_to_come(reader: User) -> None:
    unreachable_devices(reader, 1)
    entry = outbox.enqueue(NOTE)
    db.session.commit()
    found = history_of(entry.id, reader)
    assert [why for _, why in found.left_out] == [LeftOut.NOT_YET]
    assert found.moving


MOVING: list[tuple[bool, dict[str, Any]]] = [
    (True, {"state": DeliveryState.WAITING, "due_at": 0}),
    (True, {"state": DeliveryState.WAITING, "due_at": 55, "error": "unavailable"}),
    (False, {"state": DeliveryState.WAITING, "due_at": 300, "error": "unavailable"}),
    (True, {"state": DeliveryState.HELD, "due_at": None, "held_until": 30}),
    (False, {"state": DeliveryState.HELD, "due_at": None, "held_until": 3600}),
    (True, {"state": DeliveryState.ACCEPTED, "due_at": None, "accepted_at": -5}),
    (False, {"state": DeliveryState.ACCEPTED, "due_at": None, "accepted_at": -5, "shown_at": -4}),
    (False, {"state": DeliveryState.ACCEPTED, "due_at": None, "accepted_at": -60}),
    (False, {"state": DeliveryState.FAILED, "due_at": None, "error": "gone"}),
]


@pytest.mark.parametrize(("moving", "row"), MOVING)
def test_it_is_worth_looking_again_while_something_is_about_to_happen(
    reader: User, moving: bool, row: dict[str, Any]
) -> None:
    [device_id] = unreachable_devices(reader, 1)
    entry_id = announce()
    now = utcnow()
    times = {name: now + timedelta(seconds=value) for name, value in row.items() if isinstance(value, int)}
    change(entry_id, device_id, **{**row, **times})
    assert history_of(entry_id, reader).moving is moving


def test_the_newest_error_is_found_without_reading_all_that_went_well(reader: User) -> None:
    [device_id] = unreachable_devices(reader, 1)
    with recorded_statements() as statements:
        history.last_failed(db.session.get_one(Subscription, device_id))
    [query] = [words for words in statements if "FROM push_delivery" in words]
    plan = db.session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", (device_id, "accepted", 1, 0)).all()
    assert "ix_push_delivery_failed" in str(plan)


def test_the_newest_error_of_a_device_is_known(reader: User) -> None:
    [device_id] = unreachable_devices(reader, 1)
    device = db.session.get_one(Subscription, device_id)
    assert history.last_failed(device) is None
    entries = [announce(note(tag=f"m-{number}")) for number in range(4)]
    change(entries[0], device_id, state=DeliveryState.FAILED, error="rejected")
    change(entries[1], device_id, error="throttled")
    change(entries[2], device_id, state=DeliveryState.ACCEPTED, error="unavailable")
    last = history.last_failed(device)
    assert last
    assert (last.error, last.entry.id) == ("throttled", entries[1])

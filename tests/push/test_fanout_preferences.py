"""Plans: the recipients of a notification, its preview level and its time, as the fan-out stores them."""

from datetime import timedelta

import pytest
from flask import Flask

from feedback_push.auth.models import User
from feedback_push.database import db, utcnow
from feedback_push.notification_validators import NO_BURST, Burst, QuietHours
from feedback_push.push import fanout, outbox
from feedback_push.push.models import Delivery, DeliveryState, DeviceState, OutboxEntry, PreviewLevel
from feedback_push.push.notification import TEST
from tests.push.devices import owner, unreachable_devices
from tests.push.notes import NOTE, announce, fan_out, time_passes
from tests.push.statements import recorded_statements
from tests.push.stored_preferences import quiet_later, quiet_now, set_preferences

FIVE = Burst(5, 60)


@pytest.fixture
def user(app: Flask) -> User:
    return owner()


def deliveries(*device_ids: int) -> list[Delivery]:
    db.session.rollback()
    mine = db.session.query(Delivery).filter(Delivery.subscription_id.in_(device_ids))
    return list(mine.order_by(Delivery.id))


def states(*device_ids: int) -> list[DeliveryState]:
    return [delivery.state for delivery in deliveries(*device_ids)]


def arrive(count: int) -> list[int]:
    return [announce() for _ in range(count)]


def test_a_muted_kind_reaches_nobody_who_has_muted_it(user: User) -> None:
    [mine], [theirs] = unreachable_devices(user, 1), unreachable_devices(owner("other@example.org"), 1)
    set_preferences(user, muted=["feedback", "another"])
    entry_id = announce()
    assert (states(mine), states(theirs)) == ([], [DeliveryState.WAITING])
    assert db.session.get_one(OutboxEntry, entry_id).fanned_out_at is not None
    set_preferences(user, muted=["another"])
    announce()
    assert states(mine) == [DeliveryState.WAITING]


def test_each_administrators_devices_show_what_their_owner_wants(user: User) -> None:
    others = {shows: owner(f"{shows}@example.org") for shows in PreviewLevel}
    ids = {shows: unreachable_devices(other, 2) for shows, other in others.items()}
    [undecided] = unreachable_devices(user, 1)
    for shows, other in others.items():
        set_preferences(other, shows=shows)
    announce()
    for shows, devices in ids.items():
        assert [delivery.shows for delivery in deliveries(*devices)] == [shows, shows]
    assert [delivery.shows for delivery in deliveries(undecided)] == [PreviewLevel.ALL]


def test_in_quiet_hours_a_notification_is_held_until_they_end(user: User) -> None:
    [mine], [theirs] = unreachable_devices(user, 1), unreachable_devices(owner("other@example.org"), 1)
    user.time_zone = "America/St_Johns"
    set_preferences(user, quiet_hours=quiet_now("America/St_Johns"))
    announce()
    [held] = deliveries(mine)
    assert (held.state, held.due_at, held.error) == (DeliveryState.HELD, None, None)
    assert held.held_until is not None
    assert timedelta(hours=2, minutes=58) < held.held_until - utcnow() <= timedelta(hours=3)
    [sent] = deliveries(theirs)
    assert (sent.state, sent.held_until) == (DeliveryState.WAITING, None)


def test_a_device_that_cannot_be_sent_to_has_failed_also_in_quiet_hours(user: User) -> None:
    [stale] = unreachable_devices(user, 1, DeviceState.STALE)
    set_preferences(user, quiet_hours=quiet_now())
    announce()
    [failed] = deliveries(stale)
    assert (failed.state, failed.held_until, failed.due_at) == (DeliveryState.FAILED, None, None)


def test_outside_of_them_nothing_is_held(user: User) -> None:
    [mine] = unreachable_devices(user, 1)
    set_preferences(user, quiet_hours=quiet_later())
    announce()
    assert states(mine) == [DeliveryState.WAITING]


@pytest.mark.usefixtures("any_app")
def test_the_first_of_a_burst_come_one_by_one_and_the_rest_is_held_for_a_while(user: User) -> None:
    [mine], [theirs] = unreachable_devices(user, 1), unreachable_devices(owner("other@example.org"), 1)
    set_preferences(user, burst=FIVE)
    arrive(8)
    assert states(mine) == [DeliveryState.WAITING] * 5 + [DeliveryState.HELD] * 3
    assert states(theirs) == [DeliveryState.WAITING] * 8
    for held in deliveries(mine)[5:]:
        entry = db.session.get_one(OutboxEntry, held.outbox_id)
        assert held.held_until == entry.created_at + timedelta(seconds=60)


def test_a_clock_that_ran_ahead_holds_no_burst_for_longer_than_its_window(user: User) -> None:
    [mine] = unreachable_devices(user, 1)
    set_preferences(user, burst=FIVE)
    entries = [outbox.enqueue(NOTE) for _ in range(6)]
    for entry in entries:
        entry.created_at += timedelta(hours=1)
    db.session.commit()
    fan_out(entries[-1].id)
    [held] = deliveries(mine)
    assert held.held_until
    assert held.held_until <= utcnow() + timedelta(seconds=60)


def test_a_burst_is_over_when_fewer_come(user: User) -> None:
    [mine] = unreachable_devices(user, 1)
    set_preferences(user, burst=FIVE)
    arrive(5)
    time_passes(61)
    arrive(1)
    assert states(mine) == [DeliveryState.WAITING] * 6
    time_passes(58)
    arrive(5)
    assert states(mine)[6:] == [DeliveryState.WAITING] * 4 + [DeliveryState.HELD]


def test_whether_it_is_a_burst_does_not_depend_on_when_it_is_fanned_out(user: User) -> None:
    [mine] = unreachable_devices(user, 1)
    set_preferences(user, burst=FIVE)
    entries = [outbox.enqueue(NOTE) for _ in range(7)]
    db.session.commit()
    for entry_id in reversed([entry.id for entry in entries]):
        fan_out(entry_id)
    held = {delivery.outbox_id for delivery in deliveries(mine) if delivery.state == DeliveryState.HELD}
    db.session.rollback()
    assert held == {entry.id for entry in entries[5:]}


def test_an_entry_for_one_user_makes_no_burst(user: User) -> None:
    [mine] = unreachable_devices(user, 1)
    set_preferences(user, burst=FIVE)
    for kind, audience in (
        (TEST, {"subscription_id": mine}),
        ("summary:feedback", {"user_id": user.id}),
    ) * 4:
        fan_out(_enqueued(kind, **audience))
    arrive(5)
    assert states(mine) == [DeliveryState.WAITING] * 13


def test_a_burst_before_quiet_hours_is_held_until_these_end(user: User) -> None:
    [mine] = unreachable_devices(user, 1)
    in_a_minute = utcnow() + timedelta(minutes=1, seconds=5)
    begin = in_a_minute.time().replace(second=0, microsecond=0)
    set_preferences(user, quiet_hours=QuietHours(begin, quiet_now().end), burst=Burst(1, 120))
    arrive(2)
    first, second = deliveries(mine)
    assert first.state == DeliveryState.WAITING
    assert second.held_until is not None
    assert second.held_until - utcnow() > timedelta(hours=2)


@pytest.mark.parametrize("kind", [TEST, "summary:feedback"])
def test_a_test_and_a_summary_heed_none_of_it(user: User, kind: str) -> None:
    [mine] = unreachable_devices(user, 1)
    set_preferences(
        user, shows=PreviewLevel.NOTHING, quiet_hours=quiet_now(), burst=Burst(1, 60), muted=["feedback", kind]
    )
    for _ in range(3):
        fan_out(_enqueued(kind, user_id=user.id))
    assert states(mine) == [DeliveryState.WAITING] * 3
    assert {delivery.shows for delivery in deliveries(mine)} == {PreviewLevel.ALL}


@pytest.mark.usefixtures("any_app")
def test_who_wants_what_holds_in_every_set(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "SET_SIZE", 3)
    others = [owner(f"{number}@example.org") for number in range(3)]
    devices: dict[int, list[int]] = {other.id: [] for other in (*others, user)}
    for _ in range(4):
        for other in (*others, user):
            devices[other.id] += unreachable_devices(other, 1)
    muting, naming, quiet, undecided = [*others, user]
    set_preferences(muting, muted=["feedback"])
    set_preferences(naming, shows=PreviewLevel.NAME)
    set_preferences(quiet, quiet_hours=quiet_now())
    announce()
    assert states(*devices[muting.id]) == []
    assert [delivery.shows for delivery in deliveries(*devices[naming.id])] == [PreviewLevel.NAME] * 4
    assert states(*devices[quiet.id]) == [DeliveryState.HELD] * 4
    assert states(*devices[undecided.id]) == [DeliveryState.WAITING] * 4


@pytest.mark.usefixtures("any_app")
@pytest.mark.parametrize(("burst", "expected"), [(NO_BURST, 4), (FIVE, 5)])
def test_preferences_cost_no_statement_for_each_administrator(user: User, burst: Burst, expected: int) -> None:
    for number in range(30):
        other = owner(f"{number}@example.org")
        set_preferences(other, burst=burst)
        unreachable_devices(other, 2)
    entry_id = _enqueued("feedback")
    with recorded_statements() as statements:
        fan_out(entry_id)
    assert len([statement for statement in statements if not statement.startswith("BEGIN")]) == expected


def _enqueued(kind: str, user_id: int | None = None, subscription_id: int | None = None) -> int:
    entry = outbox.enqueue(NOTE, kind=kind, user_id=user_id, subscription_id=subscription_id)
    db.session.commit()
    return entry.id

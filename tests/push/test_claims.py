"""Claims: a due delivery belongs to one worker at a time."""

from collections import Counter
from datetime import timedelta

import pytest
from flask import Flask

from feedback_push.auth.models import User
from feedback_push.database import db, utcnow
from feedback_push.push import claims
from feedback_push.push.claims import Entry, Room
from feedback_push.push.models import Delivery, DeliveryState, OutboxEntry, PreviewLevel, Subscription
from feedback_push.webpush import endpoints
from tests.conftest import KEYS
from tests.push.devices import owner, unreachable_devices
from tests.push.notes import announce, claim, note, time_passes
from tests.push.statements import recorded_statements
from tests.push.workers import side_by_side

SERVICE = endpoints.service("http://127.0.0.1:1/")  # the one of devices that are nowhere


@pytest.fixture
def user(app: Flask) -> User:
    return owner()


def _by_id() -> dict[int, Delivery]:
    db.session.rollback()
    return {delivery.id: delivery for delivery in db.session.query(Delivery)}


def test_a_claim_carries_all_that_is_needed_to_send(user: User) -> None:
    unreachable_devices(user, 3)
    for number in range(2):
        announce(note(tag=f"m-{number}"))
    db.session.query(Delivery).update({"shows": PreviewLevel.NAME})
    db.session.query(Subscription).update({"language": "lt"})
    db.session.commit()
    batch = claim()
    assert len(batch) == 6
    rows = _by_id()
    for claimed in batch:
        row = rows[claimed.id]
        entry = db.session.get_one(OutboxEntry, row.outbox_id)
        assert claimed.entry == Entry(**{name: getattr(entry, name) for name in Entry._fields})
        device = row.subscription
        assert (claimed.subscription_id, claimed.endpoint) == (device.id, device.endpoint)
        assert (claimed.p256dh, claimed.auth) == (device.p256dh, device.auth)
        assert claimed.vapid_public_key == KEYS.public_key
        assert (claimed.shows, claimed.language) == (row.shows, device.language) == ("name", "lt")
        assert (claimed.attempts, claimed.reduced, claimed.claim) == (1, False, row.claim)
        assert (claimed.origin, claimed.service) == ("http://127.0.0.1:1", SERVICE)


def test_the_oldest_due_delivery_is_taken_first(user: User) -> None:
    unreachable_devices(user, 10)
    announce()
    for delivery in db.session.query(Delivery):
        delivery.due_at = utcnow() - timedelta(seconds=delivery.id)
    db.session.commit()
    newest_ids = sorted(_by_id(), reverse=True)
    assert {claimed.id for claimed in claim(4)} == set(newest_ids[:4])
    assert {claimed.id for claimed in claim(4)} == set(newest_ids[4:8])
    assert {claimed.id for claimed in claim(4)} == set(newest_ids[8:])
    assert claim(4) == []


@pytest.mark.usefixtures("any_app")
def test_each_push_service_gives_as_many_as_there_is_room_for(user: User) -> None:
    origins = "http://127.0.0.1:1", "http://one.example", "http://two.example"
    for origin in origins:
        unreachable_devices(user, 5, origin=origin)
    announce()
    none, some, enough = map(endpoints.service, origins)
    assert set(claims.services_due(utcnow())) == {none, some, enough}
    batch = claims.take({none: Room(0, 0), some: Room(2, 2), enough: Room(7, 7)}, utcnow())
    assert Counter((claimed.service, claimed.origin) for claimed in batch) == {
        (some, "http://one.example"): 2,
        (enough, "http://two.example"): 5,
    }
    assert set(claims.services_due(utcnow())) == {none, some}


def test_deliveries_that_are_not_due_or_final_are_not_taken(user: User) -> None:
    unreachable_devices(user, 1 + len(DeliveryState))
    announce()
    later, *finished = db.session.query(Delivery)
    later.due_at = utcnow() + timedelta(seconds=30)
    for delivery, state in zip(finished, list(DeliveryState), strict=True):
        delivery.state, delivery.due_at = state, None
    db.session.commit()
    assert not claims.services_due(utcnow())
    assert claim() == []
    assert claims.services_due(utcnow() + timedelta(seconds=31))


@pytest.mark.usefixtures("any_app")
def test_a_taken_delivery_is_nobody_elses_until_the_lease_ends(user: User) -> None:
    unreachable_devices(user, 1)
    announce()
    [first] = claim()
    assert not claims.services_due(utcnow())
    assert claim() == []
    time_passes(claims.LEASE.total_seconds() - 5)
    assert claim() == []
    time_passes(5)
    [second] = claim()
    assert second.id == first.id
    assert second.claim != first.claim
    assert (first.attempts, second.attempts) == (1, 2)


def test_the_lease_is_longer_than_a_push_canclaim() -> None:
    its_turn, answer, reason = 2, 10, 2
    assert claims.LEASE.total_seconds() > 2 * (its_turn + answer + reason)


def test_a_claim_that_is_not_committed_is_none(user: User) -> None:
    unreachable_devices(user, 1)
    announce()
    assert len(claims.take({SERVICE: Room(10, 10)}, utcnow())) == 1
    db.session.rollback()
    assert len(claim()) == 1


def test_each_batch_has_a_token_of_its_own(user: User) -> None:
    unreachable_devices(user, 4)
    announce()
    first, second = claim(2), claim(2)
    assert len({claimed.claim for claimed in first}) == len({claimed.claim for claimed in second}) == 1
    assert first[0].claim != second[0].claim


@pytest.mark.usefixtures("any_app")
def test_the_number_of_statements_does_not_grow_with_the_batch(user: User) -> None:
    unreachable_devices(user, 500)
    announce()
    with recorded_statements() as statements:
        assert len(claim(500)) == 500
    assert len([statement for statement in statements if not statement.startswith("BEGIN")]) == 4


def test_workers_that_claim_at_once_never_take_the_same_delivery(any_app: Flask, user: User) -> None:
    unreachable_devices(user, 120)
    announce()

    def take_all() -> list[int]:
        mine: list[int] = []
        while batch := claim(7):
            mine += [claimed.id for claimed in batch]
        return mine

    taken = [id_ for mine in side_by_side(any_app, 4, take_all) for id_ in mine]
    # A worker that found nothing may have stopped too early; the next task sends the rest.
    taken += take_all()
    assert sorted(taken) == sorted(_by_id())


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_nobody_waits_for_anothers_uncommitted_claim(any_app: Flask, user: User) -> None:
    unreachable_devices(user, 5)
    announce()
    mine = claims.take({SERVICE: Room(2, 2)}, utcnow())
    with any_app.app_context():
        theirs = claim(5)
    db.session.commit()
    assert (len(mine), len(theirs)) == (2, 3)
    assert not {claimed.id for claimed in mine} & {claimed.id for claimed in theirs}


def test_a_device_that_is_removed_takes_its_deliveries_along(user: User) -> None:
    unreachable_devices(user, 2)
    announce()
    db.session.query(Subscription).delete()
    db.session.commit()
    assert claim() == []

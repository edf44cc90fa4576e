"""Receipts: a push carries a token that names its delivery, and each event is recorded once."""

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from feedback_push.database import db, utcnow
from feedback_push.push import receipts, sender, views
from feedback_push.push.models import Delivery, Subscription
from feedback_push.push.notification import LARGEST_PAYLOAD
from feedback_push.push.receipts import Event
from tests.conftest import KEYS
from tests.doubles.push_device import Device
from tests.doubles.push_service import PushService
from tests.push.devices import delivery_to, owner, row_of, subscribe, unreachable_devices
from tests.push.malformed import DEEP, UNREADABLE
from tests.push.notes import announce, note
from tests.push.statements import recorded_statements
from tests.push.workers import side_by_side
from tests.visits import Visit, Visitor

KEY = receipts.signing_key("a secret for tests only")
LARGEST_ID = 2**63 - 1


@pytest.fixture
def device(app: Flask, service: PushService) -> Device:
    device = service.new_device(KEYS.public_key)
    subscribe(owner(), device)
    return device


@pytest.fixture
def browser(app: Flask) -> Visitor:
    """A service worker's: it has no session."""
    return Visitor(app)


def tell(browser: Visitor, token: Any, event: Any = "shown") -> TestResponse:
    answer = browser.post("/push/receipt", json={"token": token, "event": event})
    db.session.rollback()
    return answer


def only_delivery() -> Delivery:
    db.session.rollback()
    return db.session.query(Delivery).one()


def test_every_push_brings_the_token_of_its_delivery(device: Device, browser: Visitor) -> None:
    announce()
    sender.run()
    [push] = device.pushes
    token = push.json()["notification"]["data"]["receipt"]
    before = utcnow()
    answer = tell(browser, token)
    assert (answer.status_code, answer.data) == (204, b"")
    shown = delivery_to(device)
    assert shown.shown_at is not None
    assert before <= shown.shown_at <= utcnow()
    assert shown.clicked_at is None
    assert row_of(device).last_shown_at == shown.shown_at


def test_a_push_that_is_tried_again_and_smaller_brings_the_same_token(device: Device) -> None:
    device.answers([400])
    announce()
    for _ in range(2):
        sender.run()
    [push] = device.pushes
    assert delivery_to(device).reduced
    assert push.json()["notification"]["data"]["receipt"] == receipts.token(delivery_to(device).id, KEY)


def test_a_click_is_written_and_implies_that_it_was_shown(browser: Visitor) -> None:
    unreachable_devices(owner(), 1)
    announce()
    tell(browser, receipts.token(only_delivery().id, KEY), "clicked")
    row = only_delivery()
    assert row.clicked_at is not None
    assert row.shown_at == row.clicked_at == db.session.query(Subscription).one().last_shown_at


@pytest.mark.usefixtures("any_app")
def test_only_the_first_report_of_each_is_written(browser: Visitor) -> None:
    unreachable_devices(owner(), 1)
    announce()
    token = receipts.token(only_delivery().id, KEY)
    tell(browser, token)
    shown_at = only_delivery().shown_at
    tell(browser, token, "clicked")
    clicked_at = only_delivery().clicked_at
    for event in ("shown", "clicked", "shown"):
        assert tell(browser, token, event).status_code == 204
    row = only_delivery()
    assert (row.shown_at, row.clicked_at) == (shown_at, clicked_at)
    assert db.session.query(Subscription).one().last_shown_at == shown_at


def test_a_report_is_about_its_own_delivery_only(browser: Visitor) -> None:
    user = owner()
    ids = unreachable_devices(user, 2)
    announce()
    announce(note(tag="m-2"))
    told, *others = db.session.query(Delivery).order_by(Delivery.id)
    tell(browser, receipts.token(told.id, KEY), "clicked")
    assert [row.shown_at for row in db.session.query(Delivery).order_by(Delivery.id)][1:] == [None] * len(others)
    shown_on = db.session.query(Subscription.id).filter(Subscription.last_shown_at.is_not(None)).all()
    assert [id_ for (id_,) in shown_on] == ids[:1]


def _tampered(token: str) -> list[str]:
    number, _, mac = token.partition(".")
    other = receipts.token(int(number), receipts.signing_key("another secret"))
    return [
        *(f"{int(number) + 1}.{mac}", f"0{token}", f" {token}", f"{token} ", f"+{token}", token.upper(), token[:-1]),
        *(
            f"{token}0",
            number,
            f"{number}.",
            f".{mac}",
            f"{number}.{'0' * len(mac)}",
            other,
            f"{number}.\ud800{mac[1:]}",
        ),
        *(
            f"{'9' * 500}.{mac}",
            f"٣.{mac}",
            f"-1.{mac}",
            receipts.token(LARGEST_ID + 1, KEY),
            receipts.token(4711, KEY),
        ),
        *("", ".", "x", "1", "é.é"),
    ]


@pytest.mark.parametrize("event", ["shown", "clicked"])
def test_a_token_that_is_not_ours_changes_nothing_and_is_answered_like_one_that_is(
    browser: Visitor, event: str
) -> None:
    unreachable_devices(owner(), 2)
    announce()
    token = receipts.token(db.session.query(Delivery).order_by(Delivery.id).first().id, KEY)  # type: ignore[union-attr]
    for wrong in _tampered(token):
        if wrong != token:
            answer = tell(browser, wrong, event)
            assert (answer.status_code, answer.data) == (204, b""), wrong
    assert db.session.query(Delivery).filter(Delivery.shown_at.is_not(None)).count() == 0
    assert db.session.query(Subscription).filter(Subscription.last_shown_at.is_not(None)).count() == 0
    assert db.session.query(Delivery).count() == 2


@pytest.mark.parametrize("body", [*UNREADABLE, *DEEP, b"[" * 1000])
def test_invalid_json_is_refused_in_json(client: Visitor, body: bytes) -> None:
    answer = client.post("/push/receipt", data=body, content_type="application/json")
    assert answer.status_code == (413 if len(body) > views.LARGEST_RECEIPT else 400)
    assert list(answer.get_json()) == ["error"]


@pytest.mark.parametrize(
    "told",
    [
        *(None, [], 7, "text", {}, {"token": "TOKEN"}, {"event": "shown"}, ["TOKEN", "shown"]),
        *({"token": token, "event": "shown"} for token in (None, 7, True, ["TOKEN"], {"token": "TOKEN"})),
        *({"token": "TOKEN", "event": event} for event in ("", "closed", "SHOWN", None, 7, ["shown"], {"shown": 1})),
    ],
)
def test_an_invalid_receipt_is_refused_and_changes_nothing(client: Visitor, told: Any) -> None:
    unreachable_devices(owner(), 1)
    announce()
    token = receipts.token(only_delivery().id, KEY)
    body = json.dumps(told).replace("TOKEN", token)
    answer = client.post("/push/receipt", data=body, content_type="application/json")
    assert (answer.status_code, list(answer.get_json())) == (422, ["error"])
    assert only_delivery().shown_at is None


def test_a_large_body_is_not_read(client: Visitor) -> None:
    body = json.dumps({"token": "x" * views.LARGEST_RECEIPT, "event": "shown"})
    assert client.post("/push/receipt", data=body, content_type="application/json").status_code == 413


def test_a_token_that_is_not_ours_does_not_reach_the_database(client: Visitor) -> None:
    with recorded_statements() as statements:
        tell(client, f"1.{'0' * 32}")
        assert statements == []
        tell(client, receipts.token(1, KEY), "clicked")
    assert [statement.split()[0] for statement in statements] == ["UPDATE"] * 4


def test_too_many_receipts_are_answered_with_a_wait(visit: Visit) -> None:
    browser = visit(ratelimit_enabled=True)
    browser.environ_base["REMOTE_ADDR"] = f"2001:db8::{uuid4().hex[:4]}:{uuid4().hex[:4]}"
    most = int(views.RECEIPTS.split()[0])
    told = {"token": "1.2", "event": "shown"}
    statuses = [browser.post("/push/receipt", json=told).status_code for _ in range(most + 1)]
    assert statuses == [204] * most + [429]


def test_the_same_report_from_many_sides_at_once_is_written_once(any_app: Flask) -> None:
    unreachable_devices(owner(), 1)
    announce()
    delivery_id = only_delivery().id
    times: list[datetime] = []

    def report() -> None:
        now = utcnow() + timedelta(seconds=len(times))
        times.append(now)
        receipts.record(delivery_id, Event.CLICKED, now)
        db.session.commit()

    side_by_side(any_app, 4, report)
    row = only_delivery()
    assert row.shown_at == row.clicked_at
    assert row.shown_at in times


def test_reports_and_results_for_the_same_devices_do_not_wait_for_each_other(
    any_app: Flask, service: PushService
) -> None:
    user = owner()
    devices = [service.new_device(KEYS.public_key) for _ in range(5)]
    for device in devices:
        subscribe(user, device)
    for number in range(20):
        announce(note(tag=f"m-{number}"))
    ids = [id_ for (id_,) in db.session.query(Delivery.id)]
    db.session.rollback()

    def report_or_send() -> None:
        for id_ in reversed(ids):
            receipts.record(id_, Event.CLICKED, utcnow())
            db.session.commit()
        sender.run()

    side_by_side(any_app, 3, report_or_send)
    sender.run()
    assert db.session.query(Delivery).filter(Delivery.shown_at.is_(None)).count() == 0
    assert db.session.query(Delivery).filter(Delivery.accepted_at.is_(None)).count() == 0


@given(id_=st.integers(1, LARGEST_ID))
def test_a_token_says_which_delivery_it_is(id_: int) -> None:
    token = receipts.token(id_, KEY)
    assert len(token) <= receipts.LONGEST_TOKEN
    assert receipts.read(token, KEY) == id_


@pytest.mark.parametrize(
    "body", ['"receipt":""', '\\"receipt":""', '{"data":{"receipt":""}}', "x" * 10_000, '\\"' * 5000]
)
def test_whatever_a_visitor_wrote_the_token_stands_where_the_service_worker_looks(body: str) -> None:
    unstamped = note(title=body[:200], body=body, navigate=f"https://example.org/{body[:20]}").to_json()
    payload = receipts.stamp(unstamped, LARGEST_ID, KEY)
    assert json.loads(payload)["notification"].pop("data") == {"receipt": receipts.token(LARGEST_ID, KEY)}
    assert len(payload.encode()) <= LARGEST_PAYLOAD
    before, after = json.loads(unstamped)["notification"], json.loads(payload)["notification"]
    assert {**before, "data": None} == {**after, "data": None}


def test_the_token_fits_into_the_largest_payload() -> None:
    sizes = [len(receipts.stamp(note(body="x" * n).to_json(), LARGEST_ID, KEY)) for n in (2700, 2750, 2800, 2850, 2900)]
    assert max(sizes) <= LARGEST_PAYLOAD
    assert max(sizes) > LARGEST_PAYLOAD - 60


def test_a_payload_without_a_place_for_it_stays_as_it_is() -> None:
    payload = '{"web_push":8030,"notification":{"title":"Ada:"}}'
    assert receipts.stamp(payload, 1, KEY) == payload

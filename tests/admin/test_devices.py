"""admin/devices.py: an administrator tests, renames and pauses devices, and sees the results."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from feedback_push.auth import audit
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.auth.models import User
from feedback_push.database import db, utcnow
from feedback_push.push import outbox, subscriptions
from feedback_push.push.browser_subscription import BrowserSubscription
from feedback_push.push.models import Delivery, DeliveryState, DeviceState, OutboxEntry, Subscription
from tests.admin.rows import device
from tests.conftest import KEYS, PASSWORD
from tests.push.malformed import GOOD
from tests.push.notes import announce, fan_out, note
from tests.visits import Visitor


@pytest.fixture
def phone(staff: User) -> Subscription:
    return device(staff, name="Phone")


def press(dashboard: Visitor, phone: Subscription, button: str, **fields: str) -> str:
    form = {"csrf_token": dashboard.read("/admin/devices").fields["csrf_token"], **fields}
    answer = dashboard.post(f"/admin/devices/{phone.id}/{button}", data=form)
    assert answer.status_code == 303
    db.session.rollback()
    return answer.location or ""


def test_a_name_that_was_given_stays_when_the_browser_subscribes_again(
    dashboard: Visitor, staff: User, phone: Subscription
) -> None:
    assert press(dashboard, phone, "rename", name="  My\x00 phone ") == f"/admin/devices#device-{phone.id}"
    browser = BrowserSubscription(phone.endpoint, phone.p256dh, phone.auth)
    subscriptions.save(browser, user=staff, vapid_public_key=KEYS.public_key, name="Firefox on Android")
    db.session.commit()
    assert phone.name == "My phone"
    press(dashboard, phone, "rename", name=" \u200b\u3164")
    assert phone.name == "My phone"
    press(dashboard, phone, "rename", name="x" * 200)
    assert phone.name == "x" * 100


def test_a_paused_device_says_so_until_it_is_resumed(dashboard: Visitor, phone: Subscription) -> None:
    announce()
    press(dashboard, phone, "pause")
    assert db.session.query(Delivery).count() == 0
    since = phone.paused_at
    assert since
    press(dashboard, phone, "pause")
    assert phone.paused_at == since
    assert "Only tests are sent to it" in dashboard.read("/admin/devices").one(id="devices").words
    press(dashboard, phone, "resume")
    assert phone.paused_at is None
    assert "Paused" not in dashboard.read("/admin/devices").one(id="devices").words


def test_a_test_is_a_notification_for_that_device_alone(dashboard: Visitor, phone: Subscription) -> None:
    address = press(dashboard, phone, "test")
    entry = db.session.query(OutboxEntry).one()
    assert (entry.kind, entry.subscription_id, entry.user_id) == ("test", phone.id, None)
    assert address == f"/admin/devices?tested={entry.id}#device-{phone.id}"
    told = dashboard.read(address).one(role="status")
    assert told.words == "On its way …"
    assert dashboard.get(told.attributes["data-test"]).get_json() == {"text": "On its way …", "final": False}


TOLD: list[tuple[dict[str, Any], str, bool]] = [
    ({"state": DeliveryState.WAITING}, "the push service has not answered yet", False),
    ({"state": DeliveryState.WAITING, "error": "unavailable"}, "The push service could not be reached.", False),
    ({"state": DeliveryState.FAILED, "error": "gone"}, "The browser has unsubscribed. Nothing more is sent", True),
    ({"state": DeliveryState.ACCEPTED}, "Not shown within 15 seconds: the device may be off", True),
]


@pytest.mark.parametrize(("row", "words", "final"), TOLD)
def test_a_test_that_does_not_arrive_is_explained(
    dashboard: Visitor, phone: Subscription, row: dict[str, Any], words: str, final: bool
) -> None:
    press(dashboard, phone, "test")
    entry = db.session.query(OutboxEntry).one()
    entry.created_at = utcnow() - timedelta(seconds=16)
    db.session.commit()
    address = f"/admin/devices/tests/{entry.id}.json"
    assert "No worker has picked it up" in dashboard.get(address).get_json()["text"]
    db.session.add(Delivery(outbox_id=entry.id, subscription_id=phone.id, **row))
    db.session.commit()
    told = dashboard.get(address).get_json()
    assert words in told["text"]
    assert told["final"] is final


def test_an_arrival_is_shown_in_seconds(dashboard: Visitor, phone: Subscription) -> None:
    press(dashboard, phone, "test")
    entry = db.session.query(OutboxEntry).one()
    shown_at = entry.created_at + timedelta(seconds=1.31)
    db.session.add(
        Delivery(outbox_id=entry.id, subscription_id=phone.id, state=DeliveryState.ACCEPTED, shown_at=shown_at)
    )
    db.session.commit()
    told = dashboard.get(f"/admin/devices/tests/{entry.id}.json").get_json()
    assert told == {"text": "Arrived after 1.3 s.", "final": True}


@pytest.mark.parametrize(
    ("changes", "works"),
    [
        ({}, True),
        ({"failures": subscriptions.FAILING - 1}, True),
        ({"failures": subscriptions.FAILING}, False),
        ({"paused_at": utcnow()}, False),
        ({"state": DeviceState.STALE}, False),
        ({"vapid_public_key": "another"}, False),
    ],
)
def test_pages_without_a_card_warn_an_administrator_without_a_working_device(
    dashboard: Visitor, staff: User, changes: dict[str, Any], works: bool
) -> None:
    device(staff, **changes)
    assert bool(dashboard.read("/admin/settings").all(id="no-device")) is not works
    for page in ("/admin/", "/admin/devices"):
        assert dashboard.read(page).all(id="no-device") == []


@pytest.mark.parametrize(("fewer", "pill"), [(1, "pill live"), (0, "pill failed")])
def test_a_device_that_fails_is_called_so_once_it_no_longer_counts_as_one_that_works(
    dashboard: Visitor, staff: User, fewer: int, pill: str
) -> None:
    device(staff, failures=subscriptions.FAILING - fewer)
    assert len(dashboard.read("/admin/devices").all("span", class_=pill)) == 1
    assert bool(dashboard.read("/admin/settings").all(id="no-device")) is (pill == "pill failed")


def test_the_last_error_is_a_text(dashboard: Visitor, phone: Subscription) -> None:
    press(dashboard, phone, "test")
    entry = db.session.query(OutboxEntry).one()
    db.session.add(
        Delivery(outbox_id=entry.id, subscription_id=phone.id, state=DeliveryState.FAILED, error="rejected", status=400)
    )
    db.session.commit()
    assert (
        "The push service refused the notification. (400)" in dashboard.read("/admin/devices").one(id="devices").words
    )


def test_another_name_is_in_the_log_and_the_same_name_is_not(dashboard: Visitor, phone: Subscription) -> None:
    for name in ("My phone", "My phone", " "):
        press(dashboard, phone, "rename", name=name)
    renamed = [entry.detail for entry in audit.page().entries if entry.event == AuditEvent.DEVICE_RENAMED]
    assert [detail["device"] for detail in renamed] == ["My phone"]


def test_a_guessed_name_is_in_the_readers_language_and_stays_a_guess_until_it_is_changed(
    dashboard: Visitor, staff: User
) -> None:
    guessed = device(staff, name="Firefox on Linux")
    staff.language = "de"
    db.session.commit()
    page = dashboard.read("/admin/devices")
    assert page.one(id=f"device-{guessed.id}").words == page.fields["name"] == "Firefox auf Linux"
    press(dashboard, guessed, "rename", name=page.fields["name"])
    assert guessed.name == "Firefox on Linux"
    press(dashboard, guessed, "rename", name="Laptop")
    assert "Gerät „Firefox auf Linux“ in „Laptop“ umbenannt" in dashboard.read("/admin/audit").one("main").words


def test_a_device_whose_session_was_ended_says_so_and_how_to_go_on(dashboard: Visitor, staff: User) -> None:
    phone = Visitor(dashboard.application)
    phone.sign_in(staff.email, PASSWORD)
    headers = {"X-CSRFToken": phone.get("/push/key").headers["X-CSRFToken"], "Referer": phone.site}
    assert phone.post("/push/subscribe", json=GOOD, headers=headers).status_code == 200
    token = dashboard.read("/admin/account").fields["csrf_token"]
    dashboard.post("/admin/account/sessions/end-others", data={"csrf_token": token})
    page = dashboard.read("/admin/devices")
    [row] = page.all("li", data_endpoint=GOOD["endpoint"])
    assert "Suspended since" in row.words
    assert "because its session ended. Sign in on that browser to get notifications there again." in row.words
    press(dashboard, subscriptions.of(staff)[0], "test")
    [entry] = db.session.scalars(select(OutboxEntry))
    fan_out(entry.id)
    told = dashboard.get(f"/admin/devices/tests/{entry.id}.json").get_json()
    assert (told["final"], told["text"].startswith("The session of this device was ended.")) == (True, True)
    phone.sign_in(staff.email, PASSWORD)
    headers = {"X-CSRFToken": phone.get("/push/key").headers["X-CSRFToken"], "Referer": phone.site}
    assert phone.post("/push/subscribe", json=GOOD, headers=headers).status_code == 200
    assert "Suspended" not in dashboard.read("/admin/devices").one("li", data_endpoint=GOOD["endpoint"]).words


def test_a_browser_that_has_unsubscribed_stays_in_the_list_until_it_is_removed_or_forgotten(
    dashboard: Visitor, staff: User
) -> None:
    gone = device(staff, name="Old phone", state=DeviceState.GONE, gone_at=utcnow() - timedelta(days=29))
    device(staff, name="Laptop")
    page = dashboard.read("/admin/devices")
    rows = [row for row in page.all("li") if "data-endpoint" in row.attributes]
    assert [row.attributes["data-state"] for row in rows] == ["live", "gone"]
    assert "Unsubscribed" in rows[1].words
    assert f"{utcnow() + timedelta(days=1):%b %-d, %Y}" in rows[1].words  # when it leaves the list
    assert [word for word in ("Send a test", "Pause", "Rename") if word in rows[1].words] == []
    press(dashboard, gone, "remove")
    assert "Old phone" not in dashboard.read("/admin/devices").one("main").words
    device(staff, name="Older phone", state=DeviceState.GONE, gone_at=utcnow() - timedelta(days=31))
    subscriptions.forget_gone(utcnow())
    assert "Older phone" not in dashboard.read("/admin/devices").one("main").words


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"state": DeviceState.GONE, "gone_at": utcnow()}, "gone"),
        ({"state": DeviceState.STALE}, "key-mismatch"),
        ({"suspended_at": utcnow()}, "session-ended"),
    ],
)
def test_an_error_that_the_state_explains_is_not_said_again(
    dashboard: Visitor, staff: User, changes: dict[str, Any], error: str
) -> None:
    phone = device(staff, **changes)
    entry = outbox.enqueue(note())
    db.session.flush()
    db.session.add(Delivery(outbox_id=entry.id, subscription_id=phone.id, state=DeliveryState.FAILED, error=error))
    db.session.commit()
    assert "Last error" not in dashboard.read("/admin/devices").one(id="devices").words


def test_a_browser_gets_a_test_by_the_endpoint_that_its_script_names(dashboard: Visitor, phone: Subscription) -> None:
    headers = {"X-CSRFToken": dashboard.get("/push/key").headers["X-CSRFToken"], "Referer": dashboard.site}
    sent = dashboard.post("/push/test", json={"endpoint": phone.endpoint}, headers=headers)
    db.session.rollback()
    entry = db.session.query(OutboxEntry).one()
    assert (entry.kind, entry.subscription_id) == ("test", phone.id)
    assert sent.get_json() == {"result": f"/admin/devices/tests/{entry.id}.json"}
    endpoint = phone.endpoint
    phone.state = DeviceState.GONE
    db.session.commit()
    for named, status in {"": 422, "ü": 422, "x" * 3_000: 422, endpoint: 404, f"{endpoint}x": 404}.items():
        answer = dashboard.post("/push/test", json={"endpoint": named}, headers=headers)
        assert (named, answer.status_code, list(answer.get_json())) == (named, status, ["error"])
    db.session.rollback()
    assert db.session.query(OutboxEntry).count() == 1

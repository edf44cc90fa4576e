"""admin/history.py: the page of a message shows the delivery to each device."""

from datetime import UTC, datetime, timedelta

import pytest

from feedback_push.auth.models import User
from feedback_push.database import db, utcnow
from feedback_push.feedback.models import Message
from feedback_push.push.models import DeliveryState, OutboxEntry
from tests.admin.rows import delivery, device
from tests.conftest import make_user
from tests.feedback.messages import message as new_message
from tests.feedback.messages import receive
from tests.visits import Page, Visitor

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def message(staff: User) -> Message:
    """A message whose notification went to every device."""
    received = receive()
    db.session.query(OutboxEntry).update({"fanned_out_at": utcnow()})
    db.session.commit()
    return received


def history_of(dashboard: Visitor, message: Message) -> Page:
    return dashboard.read(f"/admin/messages/{message.id}/history")


def rows(dashboard: Visitor, message: Message) -> list[str]:
    return [row.words for row in history_of(dashboard, message).all("li")]


def test_every_delivery_shows_its_stage(dashboard: Visitor, staff: User, message: Message) -> None:
    now, later = utcnow(), NOON + timedelta(minutes=5)
    accepted = {"state": DeliveryState.ACCEPTED, "attempts": 1, "accepted_at": NOON}
    waiting = {"state": DeliveryState.WAITING, "due_at": now}
    delivery(message, device(staff, name="A"), **accepted, shown_at=NOON, clicked_at=later)
    delivery(message, device(staff, name="B"), **accepted, shown_at=NOON)
    delivery(message, device(staff, name="C"), **accepted)
    apple = "https://web.push.apple.com/QGd"
    delivery(message, device(staff, name="D", endpoint=apple), **accepted)
    delivery(message, device(staff, name="E"), **waiting)
    delivery(message, device(staff, name="F"), **waiting, claim="c", attempts=1)
    assert rows(dashboard, message) == [
        "A Opened Shown Jan 31, 2026, 12:00:00 PM, opened Jan 31, 2026, 12:05:00 PM.",
        "B Shown Shown Jan 31, 2026, 12:00:00 PM.",
        (
            "C Sent Accepted by the push service Jan 31, 2026, 12:00:00 PM. "
            "We do not know if it was shown: the device may be off or offline, or its browser may not report it."
        ),
        (
            "D Sent Accepted by the push service Jan 31, 2026, 12:00:00 PM. "
            "We do not know if it was shown: Safari shows notifications by itself and does not report it."
        ),
        "E Queued Waiting to be sent.",
        "F On its way Being sent; the push service has not answered yet.",
    ]


def test_a_failed_delivery_is_explained_with_the_next_step(dashboard: Visitor, staff: User, message: Message) -> None:
    due = {"state": DeliveryState.WAITING, "due_at": NOON}
    delivery(message, device(staff, name="A"), **due, attempts=3, error="throttled", status=429)
    delivery(message, device(staff, name="B"), **due, error="misconfigured", status=403, detail="BadJwtToken")
    delivery(message, device(staff, name="C"), state=DeliveryState.FAILED, error="gone", status=410)
    delivery(message, device(staff, name="D"), state=DeliveryState.FAILED, error="key-mismatch")
    delivery(message, device(staff, name="E"), state=DeliveryState.EXPIRED)
    delivery(message, device(staff, name="F"), state=DeliveryState.EXPIRED, error="unavailable")
    assert rows(dashboard, message) == [
        "A Not yet sent The push service asks us to wait. (429) Next try Jan 31, 2026, 12:00:00 PM. 3 tries so far.",
        (
            "B Not yet sent The push service refuses this site's key, contact or clock. (403 BadJwtToken) "
            "Next try Jan 31, 2026, 12:00:00 PM. "
            "It is sent as soon as this is fixed. Until then, one notification is tried every minute."
        ),
        (
            "C Failed The browser has unsubscribed. (410) "
            "Nothing more is sent to this device until you turn notifications on there again."
        ),
        (
            "D Failed The browser has subscribed with another key of this site. "
            "To fix this, open the dashboard once on that device."
        ),
        "E Expired It expired.",
        "F Expired The push service could not be reached. It expired and is not tried again.",
    ]


def test_held_and_summarised_deliveries_are_explained(dashboard: Visitor, staff: User, message: Message) -> None:
    summary = receive()
    phone, laptop = device(staff, name="Phone"), device(staff, name="Laptop")
    told = {"state": DeliveryState.SUMMARISED, "summary_id": summary.outbox_id}
    delivery(message, phone, state=DeliveryState.HELD, held_until=NOON)
    delivery(message, laptop, **told)
    delivery(summary, laptop, state=DeliveryState.ACCEPTED, accepted_at=NOON, shown_at=NOON)
    assert rows(dashboard, message) == [
        (
            "Phone Held Held until Jan 31, 2026, 12:00:00 PM, because of quiet hours or many messages at once. "
            "Then it is sent as part of one summary."
        ),
        "Laptop Summarised Sent together with others as one summary. Shown Jan 31, 2026, 12:00:00 PM.",
    ]


def test_ones_own_devices_come_first_and_others_are_marked(dashboard: Visitor, staff: User, message: Message) -> None:
    theirs, mine = device(make_user("ada@example.org"), name="Theirs"), device(staff, name="Mine")
    for each in (theirs, mine):
        delivery(message, each, state=DeliveryState.FAILED, error="gone")
    page = history_of(dashboard, message)
    assert [name.words for name in page.all("bdi")] == ["Mine", "Theirs"]
    assert ["Another administrator" in row.words for row in page.all("li")] == [False, True]
    assert page.one("span", class_="counts").words == "Failed 2"


def test_ones_own_devices_that_got_nothing_are_listed_with_the_reason(
    dashboard: Visitor, staff: User, message: Message
) -> None:
    device(staff, name="Phone", paused_at=utcnow(), added_at=NOON)
    device(staff, name="New")
    assert rows(dashboard, message) == [
        "Phone Nothing was sent: this device is paused. Resume it under Devices.",
        "New Nothing was sent: this device was added later.",
    ]


def test_more_devices_than_a_page_holds_are_counted(dashboard: Visitor, staff: User, message: Message) -> None:
    for number in range(101):
        delivery(message, device(staff, name=f"Device {number}"), state=DeliveryState.EXPIRED)
    page = history_of(dashboard, message)
    assert len(page.all("li")) == 100
    assert page.one("span", class_="counts").words == "Expired 101"
    assert "1 more device is not listed." in page.one(id="history").words


def test_a_message_without_a_notification_says_so(dashboard: Visitor, message: Message) -> None:
    assert "No device was notified of this message." in history_of(dashboard, message).one(id="history").words
    silent = new_message()
    db.session.add(silent)
    db.session.commit()
    assert "No notification was created for this message." in history_of(dashboard, silent).one(id="history").words


def test_the_history_alone_equals_the_pages_and_does_not_open_the_message(
    dashboard: Visitor, staff: User, message: Message
) -> None:
    delivery(message, device(staff), state=DeliveryState.WAITING, due_at=utcnow())
    alone = history_of(dashboard, message).one(id="history")
    db.session.refresh(message)
    assert message.read_at is None
    page = dashboard.read(f"/admin/messages/{message.id}")
    assert page.one(id="history").words == alone.words
    assert alone.attributes["data-address"] == f"/admin/messages/{message.id}/history"
    assert "data-moving" in alone.attributes


def test_a_finished_history_is_not_polled(dashboard: Visitor, staff: User, message: Message) -> None:
    delivery(message, device(staff), state=DeliveryState.EXPIRED)
    assert "data-moving" not in history_of(dashboard, message).one(id="history").attributes
    assert dashboard.get("/admin/messages/4711/history").status_code == 404


def test_a_guessed_name_is_in_the_readers_language_whether_it_was_sent_to_or_not(
    dashboard: Visitor, staff: User, message: Message
) -> None:
    delivery(message, device(staff, name="Firefox on Linux"), state=DeliveryState.ACCEPTED, accepted_at=NOON)
    device(staff, name="Safari on iPhone", paused_at=NOON)
    staff.language = "de"
    db.session.commit()
    names = [name.words for name in history_of(dashboard, message).all("bdi")]
    assert names == ["Firefox auf Linux", "Safari auf iPhone"]

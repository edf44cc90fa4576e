"""admin/broadcasts.py: the page of a broadcast while it is sent, what stops it, and its results."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from feedback_push.auth import audit
from feedback_push.database import db, utcnow
from feedback_push.push import outbox
from feedback_push.push.models import Delivery, DeliveryState
from feedback_push.topics import broadcasts, results
from feedback_push.topics.models import Broadcast, BroadcastState
from tests.admin.test_topics import send
from tests.push.devices import visitors
from tests.topics.followed import all_sent, entry_of, fanned_out, new_topic, started
from tests.visits import Page, Visitor


def state_of(broadcast_id: int) -> BroadcastState:
    db.session.rollback()
    return db.session.get_one(Broadcast, broadcast_id).state


def totals(page: Page) -> dict[str, str]:
    names, numbers = page.all("dt")[:7], page.all("dd")[:7]  # the list of keys follows
    return {name.words: number.words for name, number in zip(names, numbers, strict=True)}


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
def test_a_broadcast_is_paused_resumed_and_ended_once(dashboard: Visitor) -> None:
    broadcast = started(new_topic("tricks", *visitors(3)))
    assert len(fanned_out(broadcast)) == 3
    broadcast_id, address = broadcast.id, f"/admin/broadcasts/{broadcast.id}"
    for action, state, label in (
        ("pause", BroadcastState.PAUSED, "Paused the broadcast “A new trick”"),
        ("resume", BroadcastState.SENDING, "Resumed the broadcast “A new trick”"),
        ("end", BroadcastState.ENDED, "Ended the broadcast “A new trick”"),
    ):
        page = send(dashboard, f"{address}/{action}")
        assert (state_of(broadcast_id), audit.label(audit.page().entries[0])) == (state, label)
        assert page.one(id="state").attributes["class"] == f"pill {state}"
    for action in ("pause", "resume", "end"):
        assert "not possible any more" in send(dashboard, f"{address}/{action}").one("p", role="status").words
    assert totals(dashboard.read(address))["Not sent"] == "3"
    assert state_of(broadcast_id) == BroadcastState.ENDED


def test_the_progress_is_on_the_page_and_in_json(dashboard: Visitor) -> None:
    broadcast = started(new_topic("tricks", *visitors(4)))
    broadcast.started_at = utcnow() - timedelta(seconds=10)
    devices = fanned_out(broadcast)
    outcomes = dict(zip(devices, (DeliveryState.ACCEPTED, DeliveryState.FAILED), strict=False))
    for device, state in outcomes.items():
        of_device = update(Delivery).where(Delivery.subscription_id == device)
        db.session.execute(of_device.values(state=state, due_at=None))
    db.session.commit()
    address = f"/admin/broadcasts/{broadcast.id}"
    progress = dashboard.get(f"{address}/progress.json").get_json()
    assert (progress["state"], progress["percent"], progress["done"]) == ("sending", 50, "2 of 4 devices")
    assert (progress["failed"], progress["rate"]) == ("1 could not be reached", "0.2 a second")
    assert progress["left"] == "about 10 seconds left"
    assert progress["again_in"] >= 1000
    page = dashboard.read(address)
    assert page.one("progress").attributes["value"] == "50"
    assert "2 of 4 devices" in page.one(id="progress").words
    assert "open" not in page.one("details", id="end").attributes
    broadcasts.pause(broadcast)
    db.session.commit()
    progress = dashboard.get(f"{address}/progress.json").get_json()
    assert (progress["state"], progress["rate"], progress["left"]) == ("paused", "", "")
    broadcasts.end(broadcast)
    db.session.commit()
    assert dashboard.get(f"{address}/progress.json").get_json()["is_over"]


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
def test_the_results_outlive_the_deliveries(dashboard: Visitor) -> None:
    broadcast = started(new_topic("tricks", *visitors(5)))
    fanned_out(broadcast)
    all_sent(broadcast)
    begun = utcnow() - timedelta(days=2)
    broadcast.started_at = begun
    opened, shown, gone, failed, _ = db.session.query(Delivery).order_by(Delivery.id)
    opened.accepted_at = opened.shown_at = begun + timedelta(seconds=5)
    opened.clicked_at = begun + timedelta(seconds=50)
    shown.accepted_at, shown.shown_at = begun + timedelta(seconds=5), begun + timedelta(hours=2)
    for refused, error in ((gone, "gone"), (failed, "rejected")):
        refused.state, refused.accepted_at, refused.error = DeliveryState.FAILED, None, error
    broadcasts.finish(utcnow())
    db.session.commit()
    entry_id, address = entry_of(broadcast).id, f"/admin/broadcasts/{broadcast.id}"
    expected = {"Sent": "3", "Shown": "2 67%", "Opened": "1 33%", "Gone": "1", "Failed": "1"}
    expected |= {"Expired": "0", "Not sent": "0"}
    assert totals(dashboard.read(address)) == expected
    results.count_due(utcnow())
    db.session.commit()
    outbox.remove([entry_id])
    db.session.commit()
    page = dashboard.read(address)
    assert totals(page) == expected
    assert [element.words for element in page.all("td")][:9] == ["2", "1", "0", "2", "1", "0", "2", "1", "1"]
    assert page.one("svg", role="img").attributes["aria-label"].endswith(": Sent 2, Shown 2, Opened 1.")
    assert [len(line.attributes["points"].split()) for line in page.all("polyline")] == [11] * 3
    assert page.all("th", scope="row")[-1].words == "127.0.0.1:1"
    results.count_due(utcnow() + timedelta(days=9))
    db.session.commit()
    db.session.expire_all()
    assert (broadcast.count_at, broadcast.results is None) == (None, False)


def test_a_broadcast_that_was_never_counted_says_so(dashboard: Visitor) -> None:
    broadcast = started(new_topic("tricks"))
    entry = entry_of(broadcast)
    broadcast.finished_at = utcnow()
    outbox.remove([entry.id])
    db.session.commit()
    assert "removed before it was counted" in dashboard.get(f"/admin/broadcasts/{broadcast.id}").text

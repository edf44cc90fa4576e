"""Drills: a real notification to every administrator, after quiet hours, and the truth about whom it reached."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, time, timedelta

import pytest
from flask import Flask

from feedback_push.alarms import checks, drills, schedule
from feedback_push.alarms.models import Drill, DrillRecipient
from feedback_push.auth import audit
from feedback_push.auth.models import Role, User
from feedback_push.database import db, utcnow
from feedback_push.notification_validators import NO_BURST, QuietHours
from feedback_push.push import preferences, tasks
from feedback_push.push.models import Delivery, OutboxEntry, PreviewLevel
from feedback_push.webhooks.models import Wanted
from tests.conftest import PASSWORD, make_user
from tests.doubles.push_service import PushService
from tests.doubles.webhook_receiver import WebhookReceiver
from tests.push.devices import new_device, owner
from tests.visits import Page, Visitor
from tests.webhooks.receivers import new_target, send


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as running:
        yield running


def begin(now: datetime | None = None) -> Drill:
    """Start a drill, and notify those who have no quiet hours."""
    drill = drills.start("staff@example.org", now or utcnow())
    assert drill
    db.session.commit()
    checks.run_drills(now or utcnow())
    return drill


def push() -> None:
    """Fan out and send what is due, as a worker does."""
    entries = [entry.id for entry in db.session.query(OutboxEntry).filter(OutboxEntry.fanned_out_at.is_(None))]
    db.session.rollback()  # a task has a session of its own
    for entry_id in entries:
        tasks.fan_out(entry_id)
    tasks.deliver()


def pass_time(minutes: int) -> None:
    """Let the drill be this much older."""
    for row in db.session.query(DrillRecipient):
        row.sent_at = row.sent_at and row.sent_at - timedelta(minutes=minutes)
    db.session.commit()


def check() -> None:
    checks.run_drills(utcnow())
    checks.check_drill(utcnow())
    db.session.commit()


def quiet(user: User) -> None:
    """Give an administrator quiet hours that have just begun."""
    now = utcnow()
    hours = QuietHours(
        time((now - timedelta(hours=1)).hour, now.minute), time((now + timedelta(hours=1)).hour, now.minute)
    )
    preferences.save(user, shows=PreviewLevel.NOTHING, quiet_hours=hours, burst=NO_BURST, muted={"feedback", "reply"})
    db.session.commit()


def test_a_drill_reaches_devices_and_what_is_not_reached_is_an_alarm_until_it_is(
    app: Flask, service: PushService, receiver: WebhookReceiver
) -> None:
    new_target(receiver, wanted=Wanted.NONE, takes_alarms=True)
    ada, bob = owner("ada@example.org"), owner("bob@example.org")
    phone, laptop = new_device(ada, service), new_device(bob, service)
    drill = begin()
    push()
    for device in (phone, laptop):
        [pushed] = device.pushes
        shown = pushed.json()["notification"]
        assert shown["title"] == "Drill: this notification has reached you"
        assert shown["navigate"] == f"http://127.0.0.1:8000/admin/alarms/drills/{drill.id}"
    first = db.session.query(Delivery).order_by(Delivery.id).first()
    assert first
    first.shown_at = utcnow()
    db.session.commit()
    pass_time(14)
    check()
    assert (drills.is_running(), receiver.requests) == (True, [])
    pass_time(1)
    check()
    send()
    [request] = receiver.requests
    assert (request.json()["type"], request.json()["data"]["alarm"]) == ("alarm.raised", "drill")
    assert "did not reach bob@example.org" in request.json()["data"]["text"]
    check()
    drills.note_opened(drill, bob)  # late, but it counts
    db.session.commit()
    check()
    send()
    assert [each.json()["type"] for each in receiver.requests] == ["alarm.raised", "alarm.over"]


@pytest.mark.usefixtures("any_app")
def test_quiet_hours_put_a_drill_off_for_their_owner_alone(any_app: Flask) -> None:
    ada, bob = owner("ada@example.org"), owner("bob@example.org")
    quiet(ada)
    drill = begin()
    waiting, sent = drills.outcomes(drill)
    assert (waiting.recipient.user_id, sent.recipient.user_id) == (ada.id, bob.id)
    assert (waiting.recipient.sent_at, waiting.reached) == (None, False)
    assert 0 < (waiting.recipient.send_at - utcnow()).total_seconds() <= 3600
    assert sent.recipient.sent_at
    pass_time(60)
    check()
    assert drills.is_running()  # not everybody has had the time
    waiting.recipient.send_at = utcnow()
    db.session.commit()
    checks.run_drills(utcnow())  # they are still quiet: they may have become longer
    assert drills.outcomes(drill)[0].recipient.sent_at is None
    preferences.save(ada, shows=PreviewLevel.NOTHING, quiet_hours=None, burst=NO_BURST, muted={"feedback"})
    drills.outcomes(drill)[0].recipient.send_at = utcnow()
    db.session.commit()
    checks.run_drills(utcnow())
    assert drills.outcomes(drill)[0].recipient.sent_at
    assert db.session.query(OutboxEntry).count() == 2


@pytest.mark.usefixtures("any_app")
def test_the_schedule_starts_one_drill_at_a_time_however_many_workers_ask(any_app: Flask) -> None:
    owner()
    now = utcnow()
    schedule.start_due(now)
    assert db.session.query(Drill).count() == 0  # the usual interval is none
    any_app.extensions["settings"] = replace(any_app.extensions["settings"], drill_interval_days=7)
    for _ in range(2):
        schedule.start_due(now)
    assert db.session.query(Drill).count() == 1
    assert drills.start("", now, slot="first") is None
    db.session.query(Drill).update({"judged_at": now})
    assert drills.start("", now, slot="first") is None  # as a worker that has found none yet
    for days, count in ((6, 1), (7, 2)):
        schedule.start_due(now + timedelta(days=days))
        assert db.session.query(Drill).count() == count
    db.session.query(Drill).update({"judged_at": now})
    for interval, due in ((0, False), (30, False), (3, True), (None, True)):  # after seven days, as the setting says
        schedule.choose(interval)
        due_at = schedule.next_at(now + timedelta(days=7))
        assert (due_at is not None and due_at <= now + timedelta(days=14)) == due, interval
    schedule.choose(30)
    schedule.start_due(now + timedelta(days=20))
    assert db.session.query(Drill).count() == 2
    drills.remove_old(now + timedelta(days=200))
    assert db.session.query(Drill).count() == 1


def test_an_owner_chooses_the_interval_of_drills_and_a_member_reads_it(
    client: Visitor, app: Flask, staff: User
) -> None:
    app.extensions["settings"] = replace(app.extensions["settings"], drill_interval_days=21)
    client.sign_in(staff.email, PASSWORD)

    def choose(days: str) -> Page:
        token = client.read("/admin/alarms").fields["csrf_token"]
        headers = {"Referer": client.site}
        answer = client.post("/admin/alarms/interval", data={"csrf_token": token, "days": days}, headers=headers)
        return client.read("/admin/alarms") if answer.status_code == 303 else Page(answer)

    page = client.read("/admin/alarms")
    assert "It runs: every 21 days" in page.one(id="drill").words
    assert page.one(id="days").words.startswith("As DRILL_INTERVAL_DAYS says: every 21 days")
    for days, said, interval in (("7", "every 7 days", 7), ("0", "never by itself", 0), ("", "every 21 days", 21)):
        page = choose(days)
        assert f"A drill runs: {said}" in page.one("main").words
        assert (page.fields["days"], schedule.days()) == (days, interval)
    for wrong in ("8", "-1", "x", "99999999999999999999"):
        assert choose(wrong).status == 422
        assert schedule.days() == 21
    assert [audit.label(entry) for entry in audit.page().entries[:3]] == [
        "Changed the days between two drills from 0 to 21",
        "Changed the days between two drills from 7 to 0",
        "Changed the days between two drills from 21 to 7",
    ]
    schedule.choose(5)
    db.session.commit()
    assert client.read("/admin/alarms").fields["days"] == "5"  # as another release has offered it
    client.sign_out()
    make_user("member@example.org", Role.MEMBER)
    client.sign_in("member@example.org", PASSWORD)
    page = client.read("/admin/alarms")
    assert "It runs: every 5 days" in page.one(id="drill").words
    assert page.all(id="interval") == []


def test_the_dashboard_starts_a_drill_and_shows_who_was_not_reached_and_why(
    client: Visitor, app: Flask, staff: User, service: PushService
) -> None:
    client.sign_in(staff.email, PASSWORD)
    new_device(owner("bob@example.org"), service)
    token = client.read("/admin/alarms").fields["csrf_token"]
    headers = {"Referer": client.site}
    answer = client.post("/admin/alarms/drill", data={"csrf_token": token}, headers=headers)
    assert answer.status_code == 303
    page = client.read("/admin/alarms")
    assert "It is in progress." in page.one(id="drill").words
    client.post("/admin/alarms/drill", data={"csrf_token": token}, headers=headers)
    assert db.session.query(Drill).count() == 1
    push()
    pass_time(15)
    check()
    page = client.read("/admin/alarms")
    shown = page.one(id="recipients").words
    assert "staff@example.org Not reached No device gets notifications." in shown
    assert "bob@example.org Not reached Browser: We do not know if it was shown" in shown
    assert "A drill did not reach everybody" in page.one(id="incidents").words
    assert "The drill's notification did not reach " in client.read("/admin/").one("main").words
    drill = drills.newest()
    assert drill
    assert client.get(f"/admin/alarms/drills/{drill.id}").status_code == 303
    assert "staff@example.org Reached" in client.read("/admin/alarms").one(id="recipients").words


def test_the_command_says_who_was_not_reached(
    app: Flask, service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_device(owner(), service)
    runner = app.test_cli_runner()
    run = runner.invoke(args=["push", "drill"])
    assert (run.exit_code, run.output) == (0, "owner@example.org: sent\n")
    assert "A drill is in progress" in runner.invoke(args=["push", "drill"]).output
    db.session.query(Drill).update({"judged_at": utcnow()})
    db.session.commit()
    monkeypatch.setattr("feedback_push.alarms.commands._BETWEEN", 0)
    monkeypatch.setattr("feedback_push.feedback.reach.within", timedelta)
    run = runner.invoke(args=["push", "drill", "--wait"])
    assert run.exit_code == 1
    assert "Not reached: owner@example.org." in run.output

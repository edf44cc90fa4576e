"""push/security_notices.py: the account's other devices are told of what happens to it."""

import json
from typing import Any

import pytest
from flask import Flask

from feedback_push.auth import accounts, notices
from feedback_push.auth.models import Notice, NoticeEvent, User
from feedback_push.database import db, reader, utcnow
from feedback_push.notification_validators import NO_BURST, QuietHours
from feedback_push.push import preferences, sender
from feedback_push.push.claims import Watch
from feedback_push.push.models import Delivery, MutedKind, OutboxEntry, PreviewLevel, Subscription
from feedback_push.push.notification import OPTIONAL_KINDS, payload_for
from tests.conftest import PASSWORD, make_user
from tests.doubles.push_device import Device
from tests.doubles.push_service import PushService
from tests.push.devices import row_of
from tests.push.notes import announce, claim, fan_out
from tests.visits import Visitor

EMAIL = "ada@example.org"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0"


@pytest.fixture
def user(app: Flask) -> User:
    return make_user(EMAIL)


def browser(app: Flask) -> Visitor:
    visitor = Visitor(app)
    visitor.environ_base["HTTP_USER_AGENT"] = FIREFOX
    assert visitor.sign_in(EMAIL, PASSWORD).status_code == 303
    return visitor


def turned_on(visitor: Visitor, service: PushService) -> Device:
    """Turn notifications on in a browser, as its script does."""
    answer = visitor.get("/push/key")
    device = service.new_device(answer.get_json()["applicationServerKey"])
    headers = {"X-CSRFToken": answer.headers["X-CSRFToken"], "Referer": visitor.site}
    assert visitor.post("/push/subscribe", json=device.as_json(), headers=headers).status_code == 200
    return device


def shown(device: Device) -> list[dict[str, Any]]:
    return [push.json()["notification"] for push in device.pushes]


def send() -> list[str]:
    """Fan out and send all entries, and return the kinds of those that are new."""
    db.session.rollback()
    entries = db.session.query(OutboxEntry).filter(OutboxEntry.fanned_out_at.is_(None)).order_by(OutboxEntry.id).all()
    kinds = {entry.id: entry.kind for entry in entries}
    for entry_id in kinds:
        fan_out(entry_id)
    sender.run()
    return list(kinds.values())


@pytest.mark.usefixtures("user", "any_app")
def test_a_new_sign_in_and_a_new_device_are_told_to_the_devices_of_other_sessions_only(
    app: Flask, service: PushService
) -> None:
    mine = turned_on(browser(app), service)
    assert send() == []  # of a first browser and a first device there is nobody to tell
    there = browser(app)
    assert send() == ["new-sign-in"]
    theirs = turned_on(there, service)
    assert send() == ["new-device"]
    assert [note["title"] for note in shown(mine)] == [
        "New sign-in to your account",
        "A new device gets your notifications",
    ]
    assert {note["body"] for note in shown(mine)} == {"Firefox on Linux"}
    newest = db.session.query(Notice).order_by(Notice.id).first()
    assert newest
    assert shown(mine)[0]["navigate"] == f"http://127.0.0.1:8000/admin/notices/{newest.id}"
    assert theirs.pushes == []
    there.sign_out()
    assert there.sign_in(EMAIL, PASSWORD).status_code == 303  # a browser that is known
    assert send() == []


@pytest.mark.usefixtures("any_app")
def test_a_changed_password_reaches_the_devices_that_it_suspends_and_nothing_else_does(
    app: Flask, user: User, service: PushService
) -> None:
    here, there = browser(app), browser(app)
    mine, theirs = turned_on(here, service), turned_on(there, service)
    send()
    before = len(mine.pushes)
    fields = there.read("/admin/account").fields
    form = {**fields, "current": PASSWORD, "new": "battery staple", "again": "battery staple"}
    assert there.post("/admin/account/password", data=form).status_code == 303
    assert row_of(mine).suspended_at
    assert send() == ["password-changed"]
    assert [note["title"] for note in shown(mine)[before:]] == ["Your password was changed"]
    announce()
    sender.run()
    assert len(mine.pushes) == before + 1
    assert [note["title"] for note in shown(theirs)] == ["Ada:"]
    db.session.rollback()
    accounts.set_password(user, "a third password")  # on the command line, for which no device is excepted
    db.session.commit()
    assert send() == ["password-changed"]
    assert [note["title"] for note in shown(theirs)] == ["Ada:", "Your password was changed"]
    assert len(mine.pushes) == before + 1  # it was suspended before


@pytest.mark.usefixtures("any_app")
def test_a_notice_that_is_claimed_is_sent_although_its_device_is_suspended_and_a_message_is_not(
    app: Flask, user: User, service: PushService
) -> None:
    turned_on(browser(app), service)
    announce()
    notices.tell(user, NoticeEvent.PASSWORD_CHANGED)
    db.session.commit()
    fan_out(db.session.query(OutboxEntry.id).order_by(OutboxEntry.id.desc()).limit(1).scalar() or 0)
    claims_of = {claimed.entry.kind: claimed for claimed in claim()}
    db.session.query(Subscription).update({"suspended_at": utcnow()})
    db.session.commit()
    watch = Watch(lambda: reader(db.engine))
    refusals = {kind: watch.refusals([claimed])[0] for kind, claimed in claims_of.items()}
    watch.end()
    assert {kind: refusal is None for kind, refusal in refusals.items()} == {
        "feedback": False,
        "password-changed": True,
    }


def test_a_notice_shows_no_more_than_its_reader_wants_in_the_language_of_each_device(
    app: Flask, user: User, service: PushService
) -> None:
    device = turned_on(browser(app), service)
    with app.test_request_context(headers={"User-Agent": FIREFOX}):
        notices.tell(user, NoticeEvent.NEW_SIGN_IN)
        db.session.commit()
    row = row_of(device)
    expected = {
        PreviewLevel.ALL: ("New sign-in to your account", "Firefox on Linux"),
        PreviewLevel.NAME: ("New sign-in to your account", None),
        PreviewLevel.NOTHING: ("Security notice", None),
    }
    for shows, (title, body) in expected.items():
        preferences.save(user, shows=shows, quiet_hours=None, burst=NO_BURST, muted=())
        db.session.query(Delivery).delete()
        db.session.query(OutboxEntry).update({"fanned_out_at": None, "last_subscription_id": 0})
        db.session.commit()
        fan_out(db.session.query(OutboxEntry.id).scalar() or 0)
        [claimed] = claim()
        note = json.loads(payload_for(claimed.entry, claimed.shows, row.language))["notification"]
        assert (note["title"], note.get("body")) == (title, body)
    german = json.loads(payload_for(claimed.entry, PreviewLevel.ALL, "de"))["notification"]
    assert (german["lang"], german["body"]) == ("de", "Firefox auf Linux")


def test_nobody_turns_notices_off_but_a_paused_device_shows_none(app: Flask, user: User, service: PushService) -> None:
    device = turned_on(browser(app), service)
    night = QuietHours(utcnow().replace(hour=0, minute=0).time(), utcnow().replace(hour=23, minute=59).time())
    preferences.save(user, shows=PreviewLevel.ALL, quiet_hours=night, burst=NO_BURST, muted=OPTIONAL_KINDS)
    db.session.add(MutedKind(user_id=user.id, kind="new-sign-in"))
    db.session.commit()
    browser(app)
    assert send() == ["new-sign-in"]
    assert len(device.pushes) == 1
    db.session.query(Subscription).update({"paused_at": utcnow()})
    db.session.commit()
    browser(app)
    send()
    assert len(device.pushes) == 1

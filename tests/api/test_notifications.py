"""api/notifications.py: a program notifies the administrators, and reads who has seen it."""

import json
from typing import Any

from flask import Flask
from sqlalchemy import func, select, update

from feedback_push.auth import audit, roles
from feedback_push.auth.models import Role
from feedback_push.database import db, utcnow
from feedback_push.push.models import Delivery, DeliveryState, MutedKind, OutboxEntry, PreviewLevel
from feedback_push.push.notification import API, payload_for
from feedback_push.topics import topics
from tests.admin.rows import device
from tests.api.program import EMAIL, Program, problem
from tests.conftest import make_user
from tests.feedback.messages import receive
from tests.published import PublishedTasks
from tests.push.devices import visitors
from tests.push.notes import fan_out
from tests.topics.followed import new_topic
from tests.webhooks.receivers import new_target, only_delivery

NOTE = {"to": "administrators", "title": "Backup failed", "body": "The disk is full."}


def test_a_program_notifies_the_administrators_and_reads_who_has_seen_it(
    any_app: Flask, published: PublishedTasks
) -> None:
    program = Program(any_app)
    mine, theirs = device(program.user, name="Phone"), device(make_user("colleague@example.org"), name="Laptop")
    muted = make_user("muted@example.org")
    device(muted)
    db.session.add(MutedKind(user_id=muted.id, kind=API.code))
    db.session.commit()
    new_target(url="https://example.org/", takes_notifications=True)
    new_target(url="https://example.org/")  # which is told of messages alone
    answer = program.call("POST", "/notifications", NOTE)
    sent = answer.get_json()
    told = only_delivery()
    page = {"url": "http://127.0.0.1:8000/admin/", "sent_by": "Tickets"}
    assert (told.event, told.data) == (
        "notification.created",
        {"id": sent["id"], "title": "Backup failed", "text": "The disk is full.", **page},
    )
    assert (answer.status_code, sent["devices"], sent["state"]) == (201, [], "sending")
    entry = db.session.get_one(OutboxEntry, int(sent["id"].removeprefix("a")))
    shown = json.loads(entry.payload)["notification"]
    assert [shown[name] for name in ("title", "body", "navigate")] == [
        *("Backup failed", "The disk is full.", "http://127.0.0.1:8000/admin/")
    ]
    assert audit.label(audit.page().entries[0]) == "Sent the notification “Backup failed” with the API key “Tickets”"
    fan_out(entry.id)
    reports = {mine: {"shown_at": utcnow(), "clicked_at": utcnow()}, theirs: {}}
    for each, report in reports.items():
        accepted = {"state": DeliveryState.ACCEPTED, "accepted_at": utcnow(), "due_at": None, **report}
        db.session.execute(update(Delivery).where(Delivery.subscription_id == each.id).values(accepted))
    db.session.commit()
    status = program.read(f"/notifications/{sent['id']}")
    found = {(each["administrator"], each["name"]): each["stage"] for each in status["devices"]}
    assert found == {(EMAIL, "Phone"): "clicked", ("colleague@example.org", "Laptop"): "accepted"}
    assert [each["opened_at"] is None for each in status["devices"]] == [False, True]
    numbers = {"devices": 2, "accepted": 2, "shown": 1, "opened": 1, "failed": 0, "summarised": 0, "waiting": 0}
    assert status["counts"] == numbers


def test_a_notification_is_sent_once_for_a_key(any_app: Flask) -> None:
    program = Program(any_app)
    first = program.call("POST", "/notifications", NOTE, Idempotency_Key="nightly-backup-1")
    again = program.call("POST", "/notifications", NOTE, Idempotency_Key="nightly-backup-1")
    assert (again.status_code, again.get_json()) == (201, first.get_json())
    other = program.call("POST", "/notifications", {**NOTE, "body": ""}, Idempotency_Key="nightly-backup-1")
    assert problem(other, 422) == ["header Idempotency-Key"]
    # The same key for another operation is another request.
    assert problem(
        program.call("POST", "/messages/7/replies", {"content": "x"}, Idempotency_Key="nightly-backup-1"), 422
    )
    assert db.session.scalar(select(func.count()).select_from(OutboxEntry)) == 1


def test_a_notification_opens_this_site_only_and_shows_its_text_as_its_reader_wants(app: Flask) -> None:
    program = Program(app)
    site = "http://127.0.0.1:8000"
    for url in (
        *("https://example.org/", "http://127.0.0.1:80000/", "http://127.0.0.1:8000.example.org/", "/admin/", "", "x"),
        *(f"{site}@example.org/", f"{site}\\.example.org", f"{site}/\n", f"{site}/é", "javascript:alert(1)"),
        *("HTTP://127.0.0.1:8000/", f" {site}/", f"{site}/{'x' * 1000}"),
    ):
        assert problem(program.call("POST", "/notifications", {**NOTE, "url": url}), 422) == ["body url"], url
    for url in (site, f"{site}/feedback/", f"{site}/admin/messages/7?q=%20#answer"):
        assert program.call("POST", "/notifications", {**NOTE, "url": url}).status_code == 201, url
    for wrong, field in (
        ({"to": "everybody"}, "to"),
        ({"to": {"topic": 7}}, "to"),
        ({"title": " "}, "title"),
        ({"title": "x" * 101}, "title"),
        ({"body": "x" * 501}, "body"),
        ({"urgency": "high"}, "urgency"),
    ):
        assert problem(program.call("POST", "/notifications", {**NOTE, **wrong}), 422) == [f"body {field}"]
    entry = db.session.scalars(select(OutboxEntry).limit(1)).one()
    assert "disk" not in payload_for(entry, PreviewLevel.NAME, "en")  # type: ignore[arg-type]
    nothing = json.loads(payload_for(entry, PreviewLevel.NOTHING, "de"))["notification"]  # type: ignore[arg-type]
    assert "Backup" not in str(nothing)


def test_only_notifications_of_programs_are_read(app: Flask) -> None:
    program = Program(app)
    receive()  # makes a notification of its own
    for odd in ("1", "a1", "a2", "t1", "x1", "a", "a-1", f"a{2**63}", f"t{2**63 - 1}", "a" + "9" * 500, "%00", "a1%0a"):
        assert problem(program.call("GET", f"/notifications/{odd}"), 404) == [], odd


def test_a_program_notifies_the_followers_of_a_topic_and_reads_counts_only(any_app: Flask) -> None:
    program = Program(any_app)
    topic = topics.add(slug="releases", name="Releases", cap_count=1)
    phones = visitors(2)
    for phone in phones:
        topics.replace_followed(phone, [topic])
    db.session.commit()
    note = {"to": {"topic": "releases"}, "title": "Version 2", "url": "https://blog.example.org/2"}
    answer = program.call("POST", "/notifications", note, Idempotency_Key="version-2-is-out")
    sent = answer.get_json()
    assert answer.status_code == 201
    assert program.call("POST", "/notifications", note, Idempotency_Key="version-2-is-out").get_json() == sent
    entry = db.session.scalars(select(OutboxEntry)).one()
    assert json.loads(entry.payload)["notification"]["navigate"] == "https://blog.example.org/2"
    fan_out(entry.id)
    seen = {"state": DeliveryState.ACCEPTED, "accepted_at": utcnow(), "due_at": None, "shown_at": utcnow()}
    db.session.execute(update(Delivery).where(Delivery.subscription_id == phones[0]).values(seen))
    db.session.commit()
    status = program.read(f"/notifications/{sent['id']}")
    assert (status["to"], status["state"], status["devices"]) == ({"topic": "releases"}, "sending", [])
    numbers = {"devices": 2, "accepted": 1, "shown": 1, "opened": 0, "failed": 0, "summarised": 0, "waiting": 1}
    assert status["counts"] == numbers
    # The topic allows one in a day, so the next one waits.
    later = program.call("POST", "/notifications", note).get_json()
    assert later["state"] == "scheduled"
    assert later["send_at"] > sent["created_at"]
    for wrong, field in (({"to": {"topic": "nothing"}}, "to.topic"), ({"to": {"topic": "\x00"}}, "to.topic")):
        assert problem(program.call("POST", "/notifications", {**note, **wrong}), 404) == [f"body {field}"]
    recipients: list[Any] = [{"topic": "releases", "x": 1}, {}, {"topic": "x" * 65}, ["releases"], {"topic": 7}, None]
    for to in recipients:
        assert problem(program.call("POST", "/notifications", {**note, "to": to}), 422) == ["body to"]
    for url in ("/2", "javascript:alert(1)", "https://", "https://a@b/", "https://[", "https://x.example\\"):
        assert problem(program.call("POST", "/notifications", {**note, "url": url}), 422) == ["body url"], url


def test_a_key_acts_with_the_role_of_its_account(app: Flask) -> None:
    new_topic("releases", *visitors(1))
    program = Program(app)
    news = {**NOTE, "to": {"topic": "releases"}}
    make_user("other@example.org")
    roles.change(program.user, Role.MEMBER)
    db.session.commit()
    problem(program.call("POST", "/notifications", news), 403)
    assert db.session.query(OutboxEntry).count() == 0
    assert program.call("POST", "/notifications", NOTE).status_code == 201
    assert program.call("GET", "/messages").status_code == 200
    roles.change(program.user, Role.OWNER)
    db.session.commit()
    assert program.call("POST", "/notifications", news).status_code == 201

"""feedback/commands.py: export or erase all data about a person, and notify again of a message."""

import json
from datetime import time
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, text, update

from feedback_push import database
from feedback_push.auth.audit_models import AuditEntry
from feedback_push.database import db, utcnow
from feedback_push.feedback import personal_data
from feedback_push.feedback.models import Message, MessageState, person_of
from feedback_push.notification_validators import NO_BURST, QuietHours
from feedback_push.push import preferences
from feedback_push.push.models import Delivery, DeliveryState, OutboxEntry, PreviewLevel
from tests.admin.rows import delivery, device
from tests.conftest import PASSWORD, make_user
from tests.feedback.messages import receive
from tests.test_cli import run, succeeds
from tests.visits import Visitor

ADA = "ada@example.org"


def exported(app: Flask, email: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(succeeds(app, "person", "export", email))
    return found


def left(model: type[Message] | type[OutboxEntry] | type[Delivery]) -> int:
    return db.session.scalar(select(func.count()).select_from(model)) or 0


def audited() -> list[tuple[str, dict[str, Any]]]:
    return [(entry.event, entry.detail) for entry in db.session.scalars(select(AuditEntry).order_by(AuditEntry.id))]


def test_all_messages_of_an_address_are_exported_however_it_is_spelled_and_nobody_elses(any_app: Flask) -> None:
    mine = [
        receive(content="Grüße\n\0"[:-1], submitter_email="Ada@Example.org"),
        receive(content="Archived", submitter_email=ADA, state=MessageState.ARCHIVED),
        receive(content="Deleted", submitter_email="ADA@EXAMPLE.ORG", deleted_at=utcnow()),
        receive(content="Spam", submitter_email=ADA, state=MessageState.SPAM, spam_reason="honeypot"),
    ]
    receive(submitter_email="other@example.org")
    receive(submitter_email="")
    receive(submitter_email="xada@example.org")
    found = exported(any_app, " aDA@example.ORG ")
    assert [message["content"] for message in found["messages"]] == [message.content for message in mine]
    assert [message["spam_reason"] for message in found["messages"]] == [None, None, None, "honeypot"]
    assert found["messages"][0]["submitter_email"] == "Ada@Example.org"
    assert found["messages"][0]["created_at"] == mine[0].created_at.isoformat()
    assert found["account"] is None
    assert audited() == [("messages-exported", {"messages": 4})]


def test_however_many_they_are_they_are_exported_part_by_part_and_nobody_waits_for_the_reader(
    any_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(personal_data, "BATCH", 2)
    phone = device(make_user("staff@example.org"))
    for number in range(5):
        delivery(receive(content=f"line\n\u2028{number}", submitter_email=ADA), phone, state=DeliveryState.ACCEPTED)
    for message in personal_data.messages(ADA):
        assert not db.session().in_transaction()  # on SQLite no visitor could write
        assert len(message["notification"]["deliveries"]) == 1
    told = exported(any_app, ADA)
    assert [message["content"] for message in told["messages"]] == [f"line\n\u2028{number}" for number in range(5)]
    assert told == {"email": ADA, "messages": list(personal_data.messages(ADA)), "account": None}


def test_an_export_that_is_broken_off_is_in_the_log(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    receive(submitter_email=ADA)
    monkeypatch.setattr(personal_data, "account", lambda _: 1 / 0)
    assert isinstance(run(app, "person", "export", ADA).exception, ZeroDivisionError)
    db.session.rollback()
    assert audited() == [("messages-exported", {"messages": 1})]


def test_other_letters_than_those_of_english_have_two_sizes_too(app: Flask) -> None:
    receive(submitter_email="ÜMLAUT@BÜCHER.example")
    assert len(exported(app, "ümlaut@bücher.example")["messages"]) == 1


def test_the_delivery_history_is_exported_without_secrets(app: Flask) -> None:
    user = make_user("staff@example.org")
    message = receive(content="Hello", submitter_email=ADA)
    browser = device(user)
    delivery(message, browser, state=DeliveryState.ACCEPTED, status=201, accepted_at=utcnow(), claim="claim-token")
    words = succeeds(app, "person", "export", ADA)
    [found] = json.loads(words)["messages"]
    [told] = found["notification"]["deliveries"]
    assert found["notification"]["payload"]["notification"]["body"] == "Hello"
    assert (told["push_service"], told["state"], told["status"]) == (
        "updates.push.services.mozilla.com",
        "accepted",
        201,
    )
    secrets = (browser.endpoint, browser.auth, browser.p256dh, browser.vapid_public_key, "claim-token", user.email)
    assert not [secret for secret in secrets if secret in words]


def test_an_administrators_account_is_exported_without_what_opens_it(app: Flask) -> None:
    user = make_user("staff@example.org")
    visitor = Visitor(app)
    visitor.sign_in(user.email, PASSWORD)
    Visitor(app).sign_in(user.email, PASSWORD)
    mine = device(user)
    make_user("other@example.org")
    words = succeeds(app, "person", "export", "Staff@example.org")
    account = json.loads(words)["account"]
    assert account["email"] == "staff@example.org"
    assert [session["remembered"] for session in account["sessions"]] == [False, False]
    assert [(notice["event"], notice["seen_at"]) for notice in account["notices"]] == [("new-sign-in", None)]
    assert (account["name"], account["role"]) == ("", "owner")
    assert len(account["devices"]) == 1
    assert "signed-in" in [entry["event"] for entry in account["audit"]]
    hashes = list(db.session.scalars(text("SELECT token_hash FROM auth_session")))
    assert hashes
    assert not [secret for secret in (user.password_hash, mine.endpoint, mine.auth, *hashes) if secret in words]


def test_an_administrators_preferences_are_exported(app: Flask) -> None:
    user, other = make_user("staff@example.org"), make_user("other@example.org")
    at_night = QuietHours(time(22), time(7))
    preferences.save(user, shows=PreviewLevel.NAME, quiet_hours=at_night, burst=NO_BURST, muted={"feedback"})
    device(user, language="lt", paused_at=utcnow(), last_shown_at=utcnow())
    db.session.commit()
    account = exported(app, user.email)["account"]
    night = {"quiet_from": "22:00", "quiet_until": "07:00"}
    assert account["notifications"] == {"shows": "name", **night, "burst_count": 0, "burst_seconds": 60}
    assert account["muted"] == ["feedback"]
    (known,) = account["devices"]
    assert (known["language"], bool(known["paused_at"]), bool(known["last_shown_at"])) == ("lt", True, True)
    nothing_chosen = exported(app, other.email)["account"]
    assert (nothing_chosen["notifications"], nothing_chosen["muted"]) == (None, [])


def test_a_person_is_erased_with_all_that_repeats_them_and_nobody_else(any_app: Flask) -> None:
    user = make_user("staff@example.org")
    for more in ({}, {"deleted_at": utcnow()}, {"state": MessageState.ARCHIVED}, {"state": MessageState.SPAM}):
        delivery(receive(submitter_email="Ada@example.org", **more), device(user), state=DeliveryState.ACCEPTED)
    kept = receive(submitter_email="other@example.org")
    delivery(kept, device(user), state=DeliveryState.ACCEPTED)
    told = succeeds(any_app, "person", "erase", ADA, "--yes")
    assert told.startswith("4 messages erased")
    db.session.expire_all()
    assert list(db.session.scalars(select(Message.id))) == [kept.id]
    assert (left(OutboxEntry), left(Delivery)) == (1, 1)
    assert audited()[-1] == ("messages-deleted", {"messages": 4})
    assert not [entry for entry in db.session.scalars(select(AuditEntry)) if "ada" in f"{entry.email}{entry.detail}"]


def test_a_person_is_erased_in_batches(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feedback_push.feedback.personal_data.BATCH", 2)
    for _ in range(5):
        receive(submitter_email=ADA)
    assert "5 messages erased" in succeeds(app, "person", "erase", ADA, "--yes")
    assert left(Message) == left(OutboxEntry) == 0


def test_before_it_erases_it_asks(app: Flask) -> None:
    receive(submitter_email=ADA)
    asked = run(app, "person", "erase", ADA, typed="n\n")
    assert (asked.exit_code, "Permanently erase 1 messages from ada@example.org?" in asked.output) == (1, True)
    assert left(Message) == 1
    succeeds(app, "person", "erase", ADA, typed="y\n")
    assert left(Message) == 0


def test_somebody_of_whom_there_is_nothing(app: Flask) -> None:
    receive(submitter_email="")
    assert exported(app, "")["messages"] == []
    assert exported(app, "nobody@example.org") == {"email": "nobody@example.org", "messages": [], "account": None}
    assert succeeds(app, "person", "erase", "nobody@example.org", "--yes").startswith("0 messages erased")
    assert left(Message) == 1


def test_an_account_is_not_erased_with_the_messages_and_the_command_says_so(app: Flask) -> None:
    make_user("staff@example.org")
    assert "was not erased" in succeeds(app, "person", "erase", "Staff@example.org", "--yes")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_erased_data_is_nowhere_in_the_file(app: Flask, tmp_path: Path) -> None:
    receive(content="unforgettable " * 2000 + "for good", submitter_name="Unforgettable", submitter_email=ADA)
    for repeated in (b"unforgettable unforgettable", b"ada example org for good"):
        assert repeated in everything_in(tmp_path)
    succeeds(app, "person", "erase", ADA, "--yes")
    # Not even in parts; the index for searching alone knows the single word until it tidies up.
    assert b"unforgettable unforgettable" not in everything_in(tmp_path)
    assert b"ada example org" not in everything_in(tmp_path)  # as the text for searching has it
    assert ADA.encode() not in everything_in(tmp_path)


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("test.sqlite*"))


@pytest.mark.usefixtures("any_app")
def test_a_person_is_found_by_an_index() -> None:
    query = select(Message.id).where(Message.person == ADA).order_by(Message.id)
    on_sqlite = db.session.get_bind().dialect.name == "sqlite"
    if not on_sqlite:
        db.session.execute(text("SET enable_seqscan = off"))
    explain = "EXPLAIN QUERY PLAN " if on_sqlite else "EXPLAIN "
    compiled = query.compile(db.session.get_bind(), compile_kwargs={"literal_binds": True})
    plan = db.session.execute(text(explain + str(compiled))).all()
    assert "ix_feedback_message_person" in str(plan)
    assert "SCAN" not in str(plan).upper().replace("INDEX ONLY SCAN", "").replace("INDEX SCAN", "")


@pytest.mark.usefixtures("any_app")
def test_messages_from_before_the_upgrade_are_found_too(any_app: Flask) -> None:
    for email in ("Ada@Example.org", "", "ÜMLAUT@bücher.example"):
        receive(submitter_email=email)
    db.session.execute(update(Message).values(person=None))
    db.session.commit()
    db.session.remove()
    runner = any_app.test_cli_runner()
    database.enable_migrations(any_app)
    assert runner.invoke(args=["db", "downgrade", "0006"]).exit_code == 0
    database.upgrade(any_app)
    emails = ["ada@example.org", None, "ümlaut@bücher.example"]
    assert list(db.session.scalars(select(Message.person).order_by(Message.id))) == emails


def test_an_address_is_known_by_one_spelling() -> None:
    assert person_of(" Ada@Example.ORG\n") == "ada@example.org"
    assert person_of(" ") is None
    assert len(person_of("ß" * 320) or "") == 320


def test_a_message_is_notified_again_unless_it_is_in_spam_or_deleted(app: Flask) -> None:
    message = receive(content="Hello")
    first = message.outbox_id
    db.session.commit()
    assert "within seconds" in succeeds(app, "push", "resend", str(message.id))
    db.session.expire_all()
    assert message.outbox_id != first
    payloads = {entry.payload for entry in db.session.scalars(select(OutboxEntry))}
    assert len(payloads) == 1
    in_spam = receive(state=MessageState.SPAM, spam_reason="honeypot")
    deleted = receive(deleted_at=utcnow())
    db.session.commit()
    for number in (in_spam.id, deleted.id, 99):
        db.session.rollback()
        refused = run(app, "push", "resend", str(number))
        assert (refused.exit_code, "no such message" in refused.output) == (1, True)

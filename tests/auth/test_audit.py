"""auth/audit.py: record each action with its account."""

from datetime import timedelta

import pytest
from flask import Flask
from flask_babel import force_locale
from sqlalchemy import delete, func, select, update

from feedback_push.auth import audit
from feedback_push.auth.audit_models import AuditEntry, AuditEvent
from feedback_push.auth.models import User
from feedback_push.database import db, utcnow
from feedback_push.network_address import keyed_hash
from tests.conftest import make_user

AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0"


@pytest.fixture
def user(app: Flask) -> User:
    """An account, and an empty log."""
    user = make_user("ada@example.org")
    db.session.execute(delete(AuditEntry))
    db.session.commit()
    return user


def newest() -> AuditEntry:
    return audit.page().entries[0]


def test_an_entry_says_who_when_from_where_and_with_what(app: Flask, user: User) -> None:
    with app.test_request_context(headers={"User-Agent": AGENT}, environ_overrides={"REMOTE_ADDR": "192.0.2.1"}):
        audit.record(AuditEvent.DEVICE_RENAMED, user, before="Phone", device="My phone")
        db.session.commit()
        address = keyed_hash("192.0.2.1")
    entry = newest()
    assert (entry.user_id, entry.email, entry.event) == (user.id, user.email, "device-renamed")
    assert (entry.address_hash, entry.browser, entry.count) == (address, "Firefox on Linux", 1)
    assert entry.detail == {"before": "Phone", "device": "My phone"}
    assert abs(entry.at - utcnow()) < timedelta(minutes=1)
    assert audit.label(entry) == "Renamed the device “Phone” to “My phone”"


def test_a_command_has_no_address_and_no_browser(user: User) -> None:
    audit.record(AuditEvent.KEY_ROTATED)
    db.session.commit()
    entry = newest()
    assert (entry.user_id, entry.email, entry.address_hash, entry.browser) == (None, "", "", "")
    assert audit.label(entry) == "Replaced the VAPID key"


def test_an_entry_is_part_of_its_callers_transaction(user: User) -> None:
    audit.record(AuditEvent.SIGNED_IN, user)
    db.session.rollback()
    assert audit.page().entries == []


@pytest.mark.usefixtures("any_app")
def test_an_entry_outlives_its_account_and_keeps_the_address(user: User) -> None:
    audit.record(AuditEvent.SIGNED_IN, user)
    db.session.delete(user)
    db.session.commit()
    assert (newest().user_id, newest().email) == (None, "ada@example.org")


def test_every_event_has_words_even_where_an_older_version_wrote_less_down() -> None:
    entries = [AuditEntry(event=event, detail={}) for event in AuditEvent]
    shown = [audit.label(entry) for entry in entries]
    assert len(set(shown)) == len(AuditEvent)
    assert not set(shown) & set(AuditEvent)


def test_an_event_of_a_later_version_is_shown_as_it_is() -> None:
    assert audit.label(AuditEntry(event="from-the-future", detail={"a": "b"})) == "from-the-future"


def test_a_percent_sign_or_a_placeholder_in_a_detail_is_just_text(any_app: Flask) -> None:
    entry = AuditEntry(event=AuditEvent.DEVICE_ADDED, detail={"device": "100 % %(browser)s %s"})
    with force_locale("en"):
        assert audit.label(entry) == "Turned notifications on: 100 % %(browser)s %s"


def test_a_long_detail_is_cut(user: User) -> None:
    audit.record(AuditEvent.DEVICE_ADDED, user, device="x" * 10_000)
    assert len(newest().detail["device"]) == 200


def test_what_a_stranger_causes_is_one_row_an_hour_for_an_account(any_app: Flask, user: User) -> None:
    other = make_user("bob@example.org")
    for address in ("192.0.2.1", "192.0.2.2", "192.0.2.3"):
        with any_app.test_request_context(environ_overrides={"REMOTE_ADDR": address}):
            audit.count(AuditEvent.SIGN_IN_FAILED, user)
            audit.count(AuditEvent.SIGN_IN_FAILED, None)
            audit.count(AuditEvent.SIGN_IN_DELAYED, user)
            db.session.commit()
    audit.count(AuditEvent.SIGN_IN_FAILED, other)
    db.session.commit()
    counted = [entry for entry in audit.page().entries if entry.counted_as]
    assert sorted((entry.email, entry.event, entry.count) for entry in counted) == [
        ("", "sign-in-failed", 3),
        ("ada@example.org", "sign-in-delayed", 3),
        ("ada@example.org", "sign-in-failed", 3),
        ("bob@example.org", "sign-in-failed", 1),
    ]
    [failed] = [entry for entry in counted if entry.user_id == user.id and entry.event == "sign-in-failed"]
    with any_app.test_request_context():
        assert failed.address_hash == keyed_hash("192.0.2.3")


def test_another_hour_is_another_row(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    now = utcnow()
    for hours in (0, 1, 1, 2):
        monkeypatch.setattr(audit, "utcnow", lambda hours=hours: now + timedelta(hours=hours))
        audit.count(AuditEvent.SIGN_IN_FAILED, user)
    assert [entry.count for entry in audit.page().entries] == [1, 2, 1]


def test_the_log_is_read_page_by_page_the_newest_first(user: User) -> None:
    for number in range(7):
        audit.record(AuditEvent.DEVICE_ADDED, user, device=str(number))
    first = audit.page(size=3)
    audit.record(AuditEvent.DEVICE_ADDED, user, device="meanwhile")
    second = audit.page(before=first.older, size=3)
    third = audit.page(before=second.older, size=3)
    pages = [[entry.detail["device"] for entry in page.entries] for page in (first, second, third)]
    assert pages == [["6", "5", "4"], ["3", "2", "1"], ["0"]]
    assert third.older is None


def test_a_page_that_is_just_full_is_the_last(user: User) -> None:
    for _ in range(3):
        audit.record(AuditEvent.SIGNED_IN, user)
    assert audit.page(size=3).older is None


def test_one_account_can_be_asked_for(user: User) -> None:
    other = make_user("bob@example.org")
    audit.record(AuditEvent.SIGNED_IN, user)
    audit.record(AuditEvent.SIGNED_IN, other)
    audit.record(AuditEvent.KEY_ROTATED)
    assert {entry.user_id for entry in audit.page(about=user).entries} == {user.id}
    db.session.execute(update(AuditEntry).where(AuditEntry.user_id == other.id).values(user_id=None))
    assert audit.page(about=other).entries == []
    assert db.session.scalar(select(func.count()).select_from(AuditEntry)) == 4

"""auth/notices.py: an account is told of what happens to it."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update

from feedback_push.auth import accounts, notices, sessions, sign_in_links
from feedback_push.auth.models import Notice, NoticeEvent, User
from feedback_push.database import db, utcnow
from tests.conftest import PASSWORD, make_user
from tests.visits import Visitor

EMAIL = "ada@example.org"


@pytest.fixture
def user(app: Flask) -> User:
    return make_user(EMAIL)


def told() -> list[str]:
    db.session.rollback()
    return list(db.session.scalars(select(Notice.event).order_by(Notice.id)))


def test_a_browser_is_new_once_and_the_first_one_of_an_account_is_not(app: Flask, user: User) -> None:
    first = Visitor(app)
    first.sign_in(EMAIL, PASSWORD)
    assert told() == []
    first.sign_out()
    first.sign_in(EMAIL, PASSWORD)
    assert told() == []
    second = Visitor(app)
    second.sign_in(EMAIL, PASSWORD)
    assert told() == ["new-sign-in"]
    code = sign_in_links.make(user).partition("#")[2]
    db.session.commit()
    third = Visitor(app)
    third.post("/login/link/use", data={**third.read("/login/link").fields, "token": code})
    assert third.signed_in()
    assert told() == ["new-sign-in"] * 2
    [one, two] = db.session.scalars(select(Notice).order_by(Notice.id))
    assert one.session_id != two.session_id
    assert {one.session_id, two.session_id} <= {session.id for session in sessions.of(user)}


@pytest.mark.usefixtures("any_app")
def test_an_account_keeps_its_newest_notices_for_90_days(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "_MOST", 3)
    other = make_user("bob@example.org")
    notices.tell(other, NoticeEvent.ROLE_CHANGED, role="member")
    for _ in range(5):
        notices.tell(user, NoticeEvent.PASSKEY_REMOVED, name="x" * 500)
    db.session.commit()
    assert told() == ["role-changed", *["passkey-removed"] * 3]
    assert len(db.session.scalars(select(Notice)).all()[-1].detail["name"]) == 200
    db.session.execute(update(Notice).where(Notice.user_id == user.id).values(at=utcnow() - timedelta(days=91)))
    notices.remove_older(utcnow())
    db.session.commit()
    assert told() == ["role-changed"]
    make_user("carol@example.org")
    accounts.delete(other)
    db.session.commit()
    assert told() == []


def test_every_event_has_its_text(user: User) -> None:
    for event in NoticeEvent:
        notices.tell(user, event)
        db.session.commit()
        notice = notices.newest_unseen(user)
        assert notice
        assert len(notices.title(notice)) > 10
        notices.mark_seen(notice)

"""A sign-in or a device that races with the end of its sessions does not survive it."""

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from feedback_push.auth import accounts, sessions
from feedback_push.auth.models import Role, Session, User
from feedback_push.concurrency_limit import ConcurrencyLimit
from feedback_push.database import db
from feedback_push.push.models import Subscription
from tests.conftest import PASSWORD, make_user
from tests.crossing import cross
from tests.push.malformed import GOOD
from tests.visits import Visitor

EMAIL = "ada@example.org"
_ACCOUNT = "FROM auth_user"
pytestmark = pytest.mark.usefixtures("any_app")


@pytest.fixture
def app(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Flask:
    monkeypatch.setattr(accounts, "hashing", ConcurrencyLimit(2))  # the first keeps a place while it stands still
    make_user(EMAIL, Role.MEMBER)
    return app


def account() -> User:
    return db.session.scalars(select(User).where(User.email == EMAIL)).one()


def change_password() -> None:
    accounts.set_password(account(), "battery staple")
    db.session.commit()


def sign_out_everywhere() -> None:
    sessions.end_all(account())
    db.session.commit()


def delete() -> None:
    accounts.delete(account())
    db.session.commit()


def ends_elsewhere(visitor: Visitor) -> TestResponse:
    token = visitor.read("/admin/account").fields["csrf_token"]
    return visitor.post("/admin/account/sessions/end-others", data={"csrf_token": token})


def sessions_left() -> int:
    db.session.rollback()
    return len(db.session.scalars(select(Session)).all())


@pytest.mark.parametrize("end", [change_password, sign_out_everywhere, delete])
def test_a_sign_in_that_was_first_is_ended_with_the_others(app: Flask, end: Callable[[], None]) -> None:
    visitor = Visitor(app)
    # The account is read for the second time once the old password has been found right.
    answer, _ = cross(app, lambda: visitor.sign_in(EMAIL, PASSWORD), _ACCOUNT, end, nth=2)
    assert answer.status_code in (303, 404)  # the account may be gone before the answer is made
    assert sessions_left() == 0
    assert not visitor.signed_in()


@pytest.mark.parametrize(("end", "last"), [(change_password, "auth_audit"), (delete, "DELETE FROM auth_user")])
def test_a_sign_in_with_the_old_password_after_it_fails_and_the_browser_is_not_known(
    app: Flask, end: Callable[[], None], last: str
) -> None:
    visitor = Visitor(app)
    fields = visitor.read("/login").fields | {"email": EMAIL, "password": PASSWORD}
    _, answer = cross(app, end, last, lambda: visitor.post("/login", data=fields))
    assert answer.status_code == 422
    assert not [line for line in answer.headers.getlist("Set-Cookie") if line.startswith("known_browser=")]
    assert sessions_left() == 0


def test_a_session_that_begins_while_the_others_are_ended_is_one_of_them(app: Flask) -> None:
    here, there = Visitor(app), Visitor(app)
    here.sign_in(EMAIL, PASSWORD)
    cross(app, lambda: there.sign_in(EMAIL, PASSWORD), _ACCOUNT, lambda: ends_elsewhere(here), nth=2)
    assert here.signed_in()
    assert not there.signed_in()


@pytest.mark.parametrize("end", [change_password, sign_out_everywhere])
def test_a_device_that_subscribes_meanwhile_is_suspended_or_refused(app: Flask, end: Callable[[], None]) -> None:
    def ready() -> tuple[Visitor, dict[str, str]]:
        visitor = Visitor(app)
        visitor.sign_in(EMAIL, PASSWORD)
        return visitor, {"X-CSRFToken": visitor.get("/push/key").headers["X-CSRFToken"], "Referer": visitor.site}

    visitor, headers = ready()
    subscribe = lambda: visitor.post("/push/subscribe", json=GOOD, headers=headers)  # noqa: E731
    answer, _ = cross(app, subscribe, "INTO push_subscription", end)
    assert answer.status_code == 200
    [device] = db.session.query(Subscription).all()
    assert device.suspended_at

    account().password_hash = accounts._hash(PASSWORD)  # noqa: SLF001 - signs in once more
    db.session.commit()
    visitor, headers = ready()
    _, answer = cross(app, end, "DELETE FROM auth_session", subscribe)
    assert (answer.status_code, answer.get_json()) == (401, {"error": "Please sign in first."})
    db.session.rollback()
    assert device.suspended_at


def test_a_password_change_in_a_session_that_is_just_ended_changes_nothing(app: Flask) -> None:
    here, there = Visitor(app), Visitor(app)
    for visitor in (here, there):
        visitor.sign_in(EMAIL, PASSWORD)
    fields = {
        **there.read("/admin/account").fields,
        "current": PASSWORD,
        "new": "a thief's word",
        "again": "a thief's word",
    }
    change = lambda: there.post("/admin/account/password", data=fields)  # noqa: E731
    _, answer = cross(app, lambda: ends_elsewhere(here), "DELETE FROM auth_session", change)
    assert (answer.location or "").startswith("/login")
    assert here.signed_in()
    assert not there.signed_in()
    assert accounts.has_password(account(), PASSWORD)

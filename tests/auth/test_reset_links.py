"""auth/reset_links.py and the pages of a link for a new password."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update

from feedback_push.auth import accounts, recovery_codes, reset_links, roles, second_factor, sessions
from feedback_push.auth.factor_models import Totp
from feedback_push.auth.models import Notice, ResetLink, Role, User
from feedback_push.database import db, utcnow
from tests.conftest import PASSWORD, make_user
from tests.crossing import cross
from tests.visits import Page, Visitor

EMAIL = "ada@example.org"
NEW = "battery staple"
REFUSED = "This link does not work, or no longer works."


@pytest.fixture
def owner(app: Flask) -> User:
    return make_user("owner@example.org")


@pytest.fixture
def user(app: Flask) -> User:
    return make_user(EMAIL, Role.MEMBER)


def link(user: User, owner: User) -> str:
    """Make a link and return its code."""
    address = reset_links.make(user, owner)
    db.session.commit()
    return address.partition("#")[2]


def opened(visitor: Visitor, code: str) -> Page:
    return Page(visitor.send("/login/reset", token=code))


def used(visitor: Visitor, code: str, password: str = NEW) -> Page:
    """Send the form with a new password; the page that is seen then."""
    fields = {**visitor.read("/login/reset").fields, "token": code, "password": password, "again": password}
    answer = visitor.post("/login/reset/use", data=fields)
    return visitor.read("/login") if answer.status_code == 303 else Page(answer)


def test_a_link_sets_a_new_password_once_and_ends_every_session(app: Flask, user: User, owner: User) -> None:
    there, visitor = Visitor(app), Visitor(app)
    there.sign_in(EMAIL, PASSWORD)
    code = link(user, owner)
    assert opened(visitor, code).status == 200
    assert used(visitor, code, "short").status == 422
    assert there.signed_in()
    said = used(visitor, code).one(role="status").words
    assert said == "Your password is changed, and all sessions have ended. Sign in with the new password."
    assert not visitor.signed_in()  # the password alone may not be enough
    assert not there.signed_in()
    assert used(Visitor(app), code).alert == REFUSED
    assert Visitor(app).sign_in(EMAIL, PASSWORD).status_code == 422
    assert visitor.sign_in(EMAIL, NEW).status_code == 303
    assert list(db.session.scalars(select(Notice.event).where(Notice.user_id == user.id).order_by(Notice.id))) == [
        *("reset-link-made", "password-changed", "new-sign-in")
    ]


ENDS: dict[str, Callable[[User, User], object]] = {
    "a new password": lambda user, _: accounts.set_password(user, NEW),
    "the end of all sessions": lambda user, _: sessions.end_all(user),
    "a new link": reset_links.make,
    "the account's end": lambda user, _: accounts.delete(user),
    "the end of its maker": lambda _, owner: accounts.delete(owner),
    "its maker's new role": lambda _, owner: roles.change(owner, Role.MEMBER),
    "an hour": lambda *_: db.session.execute(update(ResetLink).values(expires_at=utcnow() - timedelta(seconds=1))),
}


def test_each_way_to_end_a_link_ends_it(app: Flask, owner: User) -> None:
    for number, (how, end) in enumerate(ENDS.items()):
        user, maker = make_user(f"{number}@example.org", Role.MEMBER), make_user(f"maker{number}@example.org")
        code, other = link(user, maker), link(make_user(f"other{number}@example.org"), owner)
        assert opened(Visitor(app), code).status == 200, how
        end(user, maker)
        db.session.commit()
        assert used(Visitor(app), code).alert == REFUSED, how
        if how != "an hour":
            assert opened(Visitor(app), other).status == 200, how
    reset_links.remove_expired(utcnow())
    assert db.session.scalars(select(ResetLink)).all() == []


def test_the_end_of_one_session_ends_no_link(app: Flask, user: User, owner: User) -> None:
    visitor = Visitor(app)
    visitor.sign_in(EMAIL, PASSWORD)
    code = link(user, owner)
    visitor.sign_out()
    assert opened(Visitor(app), code).status == 200


@pytest.mark.usefixtures("any_app")
def test_of_two_uses_at_once_one_is_refused(app: Flask, user: User, owner: User) -> None:
    code = link(user, owner)

    def use(password_hash: str) -> bool:
        done = reset_links.use(code, password_hash)
        db.session.commit()
        return done is not None

    assert cross(app, lambda: use("first"), "DELETE FROM auth_reset_link", lambda: use("second")) == (True, False)
    db.session.rollback()
    assert user.password_hash == "first"


def test_only_a_link_that_says_so_removes_the_second_factor(app: Flask, user: User, owner: User) -> None:
    db.session.add(Totp(user_id=user.id, secret="x", confirmed_at=utcnow()))
    recovery_codes.make(user)
    kept, full = reset_links.make(user, owner), ""
    assert reset_links.use(kept.partition("#")[2], "x")
    db.session.commit()
    assert second_factor.is_set_up(user)
    full = reset_links.make(user, owner, drops_second_factor=True)
    assert reset_links.use(full.partition("#")[2], "y")
    db.session.commit()
    assert not second_factor.is_set_up(user)
    assert recovery_codes.left(user) == 0
    assert "second-factor-off" in db.session.scalars(select(Notice.event)).all()


def test_only_a_hash_is_stored_and_guesses_wait(app: Flask, user: User, owner: User) -> None:
    code = link(user, owner)
    [row] = db.session.execute(select(ResetLink.__table__)).all()
    assert code not in str(tuple(row))
    assert code not in str([notice.detail for notice in db.session.scalars(select(Notice))])

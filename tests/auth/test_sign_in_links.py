"""auth/sign_in_links.py and its pages: a link signs in once within ten minutes, and ends with the sessions."""

from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256

import pytest
from flask import Flask
from sqlalchemy import select, update

from feedback_push import maintenance
from feedback_push.auth import accounts, audit, sessions, sign_in_links, throttle
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.auth.models import Role, Session, SignInLink, User
from feedback_push.database import db, utcnow
from tests.conftest import PASSWORD, make_user
from tests.crossing import cross
from tests.test_cli import succeeds
from tests.visits import Page, Visit, Visitor

EMAIL = "ada@example.org"
REFUSED = "This sign-in link does not work, or no longer works."


@pytest.fixture
def user(app: Flask) -> User:
    return make_user(EMAIL, Role.MEMBER)


def link(user: User) -> str:
    """Make a link and return its code."""
    address = sign_in_links.make(user)
    db.session.commit()
    return address.partition("#")[2]


def opened(visitor: Visitor, code: str) -> Page:
    """Return the page that the link's script gets for the code."""
    return Page(visitor.send("/login/link", token=code))


def used(visitor: Visitor, code: str) -> Page:
    """Press the button, even if the page shows none, and return the response."""
    fields = visitor.read("/login/link").fields | {"token": code}
    return Page(visitor.post("/login/link/use", data=fields))


def events() -> list[str]:
    db.session.rollback()
    return [entry.event for entry in audit.page().entries]


def test_a_link_signs_in_once_and_only_a_button_uses_it_up(app: Flask, user: User) -> None:
    code, preview, first, second = link(user), Visitor(app), Visitor(app), Visitor(app)
    for _ in range(3):
        assert [preview.get("/login/link").status_code, opened(preview, code).status] == [200, 200]
    page = opened(first, code)
    assert page.one("button").words == f"Sign in as {EMAIL}"
    answer = first.post("/login/link/use", data=page.fields)
    assert (answer.status_code, answer.location) == (303, "/admin/")
    assert {"remember_token", "known_browser"} <= {line.split("=")[0] for line in answer.headers.getlist("Set-Cookie")}
    assert first.signed_in()
    assert used(second, code).alert == REFUSED
    assert not second.signed_in()
    assert events() == ["sign-in-link-refused", "signed-in-by-link", "sign-in-link-made", "account-created"]


def test_a_session_of_a_link_is_remembered_only_if_the_box_stays_checked(app: Flask, staff: User) -> None:
    page = opened(Visitor(app), link(staff))
    assert page.fields["remember"] == "y"
    visitor = Visitor(app)
    fields = {name: value for name, value in opened(visitor, link(staff)).fields.items() if name != "remember"}
    assert "remember_token" not in str(visitor.post("/login/link/use", data=fields).headers)
    assert visitor.signed_in()


def test_a_link_that_is_unknown_used_replaced_or_too_old_gets_one_answer_with_what_to_do(
    app: Flask, user: User
) -> None:
    replaced, expired = link(user), link(make_user("bob@example.org"))
    spent = link(user)
    assert used(Visitor(app), spent).status == 303
    too_old = utcnow() - timedelta(seconds=1)
    db.session.execute(update(SignInLink).where(SignInLink.token_hash == hash_of(expired)).values(expires_at=too_old))
    db.session.commit()
    answers = set()
    for code in (replaced, expired, spent, "unknown", "x" * 32, "ü" * 64):
        for send in (opened, used):
            visitor = Visitor(app)
            page = send(visitor, code)
            answers.add((page.status, page.alert, page.one(id="next-steps").words))
            assert not visitor.signed_in()
    [(status, alert, steps)] = answers
    assert (status, alert) == (422, REFUSED)
    assert "within 10 minutes" in steps
    assert "user sign-in-link EMAIL" in steps


def test_what_is_no_code_is_looked_up_nowhere(client: Visitor) -> None:
    before = events()
    for code in ("", " ", "\0", "x" * 65, "x" * 60_000):
        for address in ("/login/link", "/login/link/use"):
            page = Page(client.post(address, data=client.read("/login/link").fields | {"token": code}))
            assert page.status == 422
            assert page.one("p", class_="error").words
            assert page.fields["token"] == code[:64].strip(" \0")
    assert events() == before


def hash_of(code: str) -> str:
    return sha256(code.encode()).hexdigest()


def test_only_a_hash_of_192_random_bits_is_stored_and_no_log_or_address_has_them(app: Flask, staff: User) -> None:
    address = sign_in_links.make(staff)
    db.session.commit()
    before_it, code = address.split("#")
    assert before_it == "http://127.0.0.1:8000/login/link"  # all of the address that a browser sends
    assert len(code) == 32
    stored = db.session.scalars(select(SignInLink)).one()
    assert stored.token_hash == hash_of(code)
    assert code not in " ".join(
        str(row) for table in db.metadata.sorted_tables for row in db.session.execute(table.select())
    )
    visitor = Visitor(app)
    page = Visitor(app).read("/login/link")
    assert page.one("form").attributes["method"] == "post"
    answers = [
        visitor.send("/login/link", token=code),
        visitor.post("/login/link/use", data=opened(visitor, code).fields),
    ]
    for answer in answers:
        assert code not in f"{answer.request.url}{answer.headers}"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "same-origin"


def ends_a_session(_user: User) -> None:
    db.session.execute(select(1))
    user = db.session.scalars(select(User).where(User.email == EMAIL)).one()
    sessions.begin(user, browser="A thief's browser", remembered=True)
    db.session.commit()
    sessions.end(sessions.of(user)[0].id, user=user)


ENDS: dict[str, Callable[[User], object]] = {
    "a new password": lambda user: accounts.set_password(user, "battery staple"),
    "the end of all sessions": sessions.end_all,
    "the end of one session": ends_a_session,
    "a new link": sign_in_links.make,
    "the account's end": accounts.delete,
}


@pytest.mark.parametrize("how", ENDS)
def test_ending_sessions_ends_the_accounts_link(app: Flask, user: User, how: str) -> None:
    code, other = link(user), link(make_user("bob@example.org"))
    ENDS[how](user)
    db.session.commit()
    assert used(Visitor(app), code).alert == REFUSED
    assert used(Visitor(app), other).status == 303


@pytest.mark.parametrize("how", ["a new password", "the account's end"])
def test_a_sign_in_by_link_that_crosses_it_is_ended_with_the_others_or_refused(
    any_app: Flask, user: User, how: str
) -> None:
    def end() -> None:
        ENDS[how](db.session.scalars(select(User).where(User.email == EMAIL)).one())
        db.session.commit()

    code, visitor = link(user), Visitor(any_app)
    cross(any_app, lambda: used(visitor, code), "UPDATE auth_sign_in_link", end)
    db.session.rollback()
    assert db.session.scalars(select(Session)).all() == []
    assert not visitor.signed_in()
    if how == "a new password":
        code = link(db.session.scalars(select(User)).one())
        accounts._hash(PASSWORD)  # noqa: SLF001 - makes its threads before the clock runs
        _, page = cross(any_app, accounts_password, "UPDATE auth_user", lambda: used(visitor, code))
        assert page.alert == REFUSED


def accounts_password() -> None:
    accounts.set_password(db.session.scalars(select(User)).one(), "another battery staple")
    db.session.commit()


def test_a_session_that_is_just_ended_makes_no_link(any_app: Flask, user: User) -> None:
    def end() -> None:
        sessions.end_all(db.session.scalars(select(User)).one())
        db.session.commit()

    visitor = Visitor(any_app)
    visitor.sign_in(user.email, PASSWORD)
    fields = {"csrf_token": visitor.read("/admin/devices").fields["csrf_token"]}
    _, answer = cross(any_app, end, "DELETE FROM auth_session", lambda: visitor.post("/admin/devices", data=fields))
    assert (answer.location or "").startswith("/login")
    db.session.rollback()
    assert db.session.scalars(select(SignInLink)).all() == []


def test_of_two_browsers_that_use_a_link_at_once_one_is_refused(any_app: Flask, user: User) -> None:
    code, here, there = link(user), Visitor(any_app), Visitor(any_app)
    pages = cross(any_app, lambda: used(here, code), "UPDATE auth_sign_in_link", lambda: used(there, code))
    assert [page.status for page in pages] == [303, 422]
    assert [here.signed_in(), there.signed_in()] == [True, False]


def test_a_browser_that_is_signed_in_keeps_its_session_or_changes_the_account(app: Flask, user: User) -> None:
    visitor, other = Visitor(app), make_user("bob@example.org")
    visitor.sign_in(EMAIL, PASSWORD)
    code = link(user)
    answer = visitor.post("/login/link", data=visitor.read("/login/link").fields | {"token": code})
    assert (answer.status_code, answer.location) == (303, "/admin/")
    assert used(Visitor(app), code).status == 303  # so it was not used up
    page = opened(visitor, link(other))
    assert f"This browser is signed in as {EMAIL}. That session ends." in page.one("main").words
    assert visitor.post("/login/link/use", data=page.fields).status_code == 303
    assert "bob@example.org" in visitor.read("/admin/account").one("main").words
    db.session.rollback()
    assert len(sessions.of(user)) == 1  # of the other browser
    assert "signed-out" in events()


def test_guesses_have_to_wait_and_passwords_of_others_keep_no_link_from_working(
    visit: Visit, staff: User, own_redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "_FREE", -9)  # so that the first wait lasts many minutes
    visitor = visit(ratelimit_enabled=True, redis_url=own_redis_url)
    assert [visitor.sign_in("nobody@example.org", "wrong password").status_code for _ in range(2)] == [422, 429]
    code = link(staff)
    assert opened(visitor, code).status == 200
    guess = visitor.post("/login/link", data=visitor.read("/login/link").fields | {"token": "x"})
    assert guess.status_code == 429
    assert int(guess.headers["Retry-After"]) >= 1
    waiting = Page(visitor.post("/login/link", data=visitor.read("/login/link").fields | {"token": code}))
    assert waiting.fields["token"] == code  # to be sent again after the wait


def test_the_command_prints_the_link_alone(app: Flask, user: User) -> None:
    told = succeeds(app, "user", "sign-in-link", " ADA@example.org")
    assert told.startswith("http://127.0.0.1:8000/login/link#")
    assert used(Visitor(app), told.strip().partition("#")[2]).status == 303
    assert AuditEvent.SIGN_IN_LINK_MADE in events()


def test_an_expired_link_is_removed_by_the_sweep(app: Flask, staff: User) -> None:
    link(staff)
    maintenance.run_all()
    assert db.session.scalars(select(SignInLink)).all()
    db.session.execute(update(SignInLink).values(expires_at=utcnow()))
    db.session.commit()
    maintenance.run_all()
    assert db.session.scalars(select(SignInLink)).all() == []

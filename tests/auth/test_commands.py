"""auth/commands.py: the operator's commands about accounts, beside those that tests/test_cli.py tries."""

import click
import pytest
from flask import Flask
from sqlalchemy import select

from feedback_push.auth import accounts, audit, sessions
from feedback_push.auth.models import Role, Session, User
from feedback_push.database import db, utcnow
from feedback_push.push.models import Subscription
from tests.admin.rows import device
from tests.conftest import PASSWORD, make_user
from tests.feedback.messages import receive
from tests.test_cli import run, succeeds
from tests.visits import Visitor


@pytest.fixture
def user(app: Flask) -> User:
    return make_user("staff@example.org")


def test_an_account_is_signed_out_everywhere(app: Flask, user: User) -> None:
    browsers = [Visitor(app), Visitor(app)]
    for browser in browsers:
        browser.sign_in(user.email, PASSWORD, remember="y")
    other = make_user("ada@example.org")
    sessions.begin(other, browser="Firefox on Linux", remembered=True)
    db.session.commit()
    told = succeeds(app, "user", "sign-out", " STAFF@example.org")
    assert told == "staff@example.org is signed out everywhere; sessions ended: 2.\n"
    db.session.rollback()
    assert [browser.signed_in() for browser in browsers] == [False, False]
    assert len(sessions.of(other)) == 1


def test_a_deleted_account_takes_its_sessions_and_devices_along_and_leaves_messages_and_the_log(
    any_app: Flask, user: User
) -> None:
    other = make_user("ada@example.org")
    message = receive(content="Hello", submitter_name="Ada")
    device(user)
    sessions.begin(user, browser="Firefox on Linux", remembered=True)
    db.session.commit()
    assert succeeds(any_app, "user", "delete", "Staff@example.org") == "The account staff@example.org is deleted.\n"
    db.session.rollback()
    db.session.expire_all()
    assert accounts.list_all() == [other]
    for model in (Session, Subscription):
        assert db.session.scalars(select(model)).all() == []
    assert message.content == "Hello"
    assert [
        (entry.event, entry.email, entry.user_id) for entry in audit.page().entries if "account" in entry.event
    ] == [
        ("account-deleted", "staff@example.org", None),
        ("account-created", "ada@example.org", other.id),
        ("account-created", "staff@example.org", None),
    ]


def test_accounts_are_listed_with_their_roles_and_the_only_owner_stays_one(app: Flask) -> None:
    succeeds(app, "user", "create", "owner@example.org", "--password-stdin", typed=f"{PASSWORD}\n")
    command = ("user", "create", "ada@example.org", "--role", "member", "--password-stdin")
    succeeds(app, *command, typed=f"{PASSWORD}\n")
    today = f"since {utcnow():%Y-%m-%d}"
    assert succeeds(app, "user", "list") == f"owner@example.org  owner  {today}\nada@example.org  member  {today}\n"
    for refused in (("role", "owner@example.org", "member"), ("delete", "owner@example.org")):
        result = run(app, "user", *refused)
        assert (result.exit_code, result.output.startswith("Error: This is the only owner")) == (1, True)
    assert succeeds(app, "user", "role", "Ada@example.org", "owner") == "ada@example.org is an owner now.\n"
    assert succeeds(app, "user", "role", "owner@example.org", "member") == "owner@example.org is a member now.\n"
    db.session.rollback()
    assert {user.email: user.role for user in accounts.list_all()} == {
        "owner@example.org": Role.MEMBER,
        "ada@example.org": Role.OWNER,
    }
    assert [audit.label(entry) for entry in audit.page(size=2).entries] == [
        "Changed the role of owner@example.org: Member",
        "Changed the role of ada@example.org: Owner",
    ]
    assert run(app, "user", "role", "ada@example.org", "root").exit_code == 2


def test_nobody_waits_for_whoever_types_a_password(any_app: Flask, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def typed(*_: object, **__: object) -> str:
        assert not db.session().in_transaction()  # on SQLite no visitor could write
        return "battery staple"

    monkeypatch.setattr(click, "prompt", typed)
    assert "is changed" in succeeds(any_app, "user", "password", user.email)
    db.session.rollback()
    assert accounts.authenticate(user.email, "battery staple")


def test_the_log_is_printed_while_no_transaction_is_open(
    any_app: Flask, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed: list[tuple[str, bool]] = []
    monkeypatch.setattr("click.echo", lambda line: printed.append((line, db.session().in_transaction())))
    succeeds(any_app, "audit", "list")
    [(line, is_open)] = printed
    assert user.email in line
    assert not is_open


@pytest.mark.parametrize("command", ["sign-out", "delete"])
@pytest.mark.usefixtures("user")
def test_an_account_that_there_is_not_is_named(app: Flask, command: str) -> None:
    ended = run(app, "user", command, "ada@example.org")
    assert (ended.exit_code, ended.output) == (1, "Error: There is no account for ada@example.org.\n")
    db.session.rollback()
    assert len(accounts.list_all()) == 1


def test_the_log_is_shown_the_newest_first_and_no_more_than_wanted(app: Flask, user: User) -> None:
    for _ in range(2):
        Visitor(app).sign_in(user.email, "wrong password")
    lines = succeeds(app, "audit", "list").splitlines()
    assert len(lines) == 2
    assert (
        "staff@example.org  Failed to sign in: wrong e-mail address or password (2 times)  [Browser, network "
        in lines[0]
    )
    assert lines[1].endswith("staff@example.org  Account created  [command]")
    assert succeeds(app, "audit", "list", "--most", "1").splitlines() == lines[:1]

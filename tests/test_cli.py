"""cli.py: the operator's commands."""

import re
from pathlib import Path

import argon2
import pytest
from click.testing import Result
from flask import Flask

from feedback_push.auth import accounts
from feedback_push.auth.models import User
from feedback_push.config import Settings
from feedback_push.database import db
from tests import preloaded
from tests.conftest import PASSWORD
from tests.environment import environment_of
from tests.visits import Visitor


def run(app: Flask, *words: str, typed: str = "") -> Result:
    ended: Result = app.test_cli_runner().invoke(args=words, input=typed)
    return ended


def succeeds(app: Flask, *words: str, typed: str = "") -> str:
    ended = run(app, *words, typed=typed)
    assert ended.exit_code == 0, ended.output
    return ended.output


def test_an_account_is_made_with_a_password_from_standard_input(app: Flask) -> None:
    told = succeeds(app, "user", "create", "Ada@Example.org", "--password-stdin", typed=f"{PASSWORD}\r\n")
    assert told == "ada@example.org can sign in now.\n"
    db.session.rollback()
    assert accounts.authenticate("ada@example.org", PASSWORD)


def test_a_password_is_asked_for_twice_and_never_shown(app: Flask) -> None:
    told = succeeds(app, "user", "create", "ada@example.org", typed=f"{PASSWORD}\n{PASSWORD}\n")
    assert PASSWORD not in told
    assert Visitor(app).sign_in("ada@example.org", PASSWORD).status_code == 303


def test_two_different_passwords_make_no_account(app: Flask) -> None:
    ended = run(app, "user", "create", "ada@example.org", typed=f"{PASSWORD}\nanother password\n")
    assert ended.exit_code != 0
    assert not accounts.exist()


@pytest.mark.parametrize(
    ("email", "password", "words"),
    [
        ("staff@example.org", PASSWORD, "already an account for staff@example.org"),
        ("STAFF@example.org", PASSWORD, "already an account for staff@example.org"),
        ("nobody", PASSWORD, "Not an e-mail address"),
        ("ada@example.org", "7 chars", "at least 8 characters"),
        ("ada@example.org", "", "at least 8 characters"),
        ("ada@example.org", "PASSWORD", "very common"),
        ("ada@example.org", "ada@example.org", "part of your e-mail address"),
    ],
)
def test_an_invalid_account_is_refused_with_a_reason(
    app: Flask, staff: User, email: str, password: str, words: str
) -> None:
    ended = run(app, "user", "create", email, "--password-stdin", typed=password)
    assert ended.exit_code == 1
    assert ended.output.startswith("Error: ")
    assert words in ended.output
    assert accounts.list_all() == [staff]


def test_accounts_are_listed_the_oldest_first(app: Flask, staff: User) -> None:
    succeeds(app, "user", "create", "ada@example.org", "--password-stdin", typed=PASSWORD)
    since = f"since {staff.created_at:%Y-%m-%d}"
    assert succeeds(app, "user", "list") == f"staff@example.org  owner  {since}\nada@example.org  owner  {since}\n"


def test_without_accounts_the_list_is_empty(app: Flask) -> None:
    assert succeeds(app, "user", "list") == ""


def test_a_changed_password_is_the_only_one_and_signs_everybody_out(app: Flask, staff: User) -> None:
    visitor = Visitor(app)
    visitor.sign_in(staff.email, PASSWORD)
    told = succeeds(app, "user", "password", "Staff@example.org", "--password-stdin", typed="battery staple\n")
    assert told == "The password of staff@example.org is changed.\n"
    assert not visitor.signed_in()
    assert visitor.sign_in(staff.email, PASSWORD).status_code == 422
    assert visitor.sign_in(staff.email, "battery staple").status_code == 303


def test_a_password_that_cannot_be_changed_stays(app: Flask, staff: User) -> None:
    unknown = run(app, "user", "password", "ada@example.org", "--password-stdin", typed=PASSWORD)
    assert (unknown.exit_code, unknown.output) == (1, "Error: There is no account for ada@example.org.\n")
    short = run(app, "user", "password", staff.email, "--password-stdin", typed="short")
    assert short.exit_code == 1
    assert "at least 8 characters" in short.output
    assert Visitor(app).sign_in(staff.email, PASSWORD).status_code == 303


@pytest.mark.usefixtures("app")
def test_from_a_shell_an_account_gets_the_hash_that_argon2_advises_today(settings: Settings) -> None:
    command = ["flask", "--app", "wsgi", "user", "create", "ada@example.org", "--password-stdin"]
    assert preloaded.run(command, environment=environment_of(settings), typed=PASSWORD).returncode == 0
    user = accounts.find("ada@example.org")
    assert user
    assert not argon2.PasswordHasher().check_needs_rehash(user.password_hash)
    assert argon2.PasswordHasher().verify(user.password_hash, PASSWORD)


def test_help_needs_no_settings_and_lists_programs_and_commands(tmp_path: Path) -> None:
    listed = preloaded.run(["feedback_push", "--help"], environment={"HOME": str(tmp_path)}, folder=tmp_path)
    assert listed.returncode == 0, listed.stderr
    for command in ("run", "web", "worker", "db", "user", "vapid", "person", "audit"):
        assert re.search(rf"^  {command} ", listed.stdout, re.MULTILINE), listed.stdout
    assert list(tmp_path.iterdir()) == []

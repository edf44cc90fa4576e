"""auth/accounts.py: create accounts, and check their passwords."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, get_native_id

import argon2
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from feedback_push.auth import accounts, sessions
from feedback_push.auth.accounts import AccountError
from feedback_push.auth.models import User
from feedback_push.concurrency_limit import Busy
from feedback_push.database import db
from tests.conftest import PASSWORD, make_user

EMAIL = "ada@example.org"
OTHER_HASHER = argon2.PasswordHasher(time_cost=2, memory_cost=32, parallelism=1)


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The parameters of every hash that a password is really verified against."""
    seen: list[str] = []
    verify = argon2.PasswordHasher.verify

    def watched(hasher: argon2.PasswordHasher, stored: str, password: str) -> bool:
        seen.append(stored.rsplit("$", 2)[0])
        return verify(hasher, stored, password)

    monkeypatch.setattr(argon2.PasswordHasher, "verify", watched)
    return seen


@pytest.mark.usefixtures("app")
def test_only_the_right_password_of_the_right_account_fits() -> None:
    user = make_user(EMAIL)
    make_user("bob@example.org")
    assert accounts.authenticate(EMAIL, PASSWORD) is user
    assert accounts.authenticate(" ADA@Example.ORG ", PASSWORD) is user
    for email, password in [
        *[(EMAIL, ""), (EMAIL, PASSWORD.upper()), (EMAIL, f"{PASSWORD} "), (EMAIL, user.password_hash)],
        *[("", PASSWORD), ("nobody@example.org", PASSWORD), ("%", PASSWORD), (EMAIL[:-1], PASSWORD)],
    ]:
        assert accounts.authenticate(email, password) is None


@pytest.mark.usefixtures("app")
def test_an_unknown_address_costs_the_same_verification_as_a_wrong_password(verified: list[str]) -> None:
    make_user(EMAIL)
    accounts.authenticate(EMAIL, "wrong password")
    accounts.authenticate("nobody@example.org", "wrong password")
    assert len(verified) == 2
    assert verified[0] == verified[1]


@pytest.mark.usefixtures("app")
def test_a_password_is_kept_as_a_salted_argon2id_hash() -> None:
    first, second = make_user(EMAIL), make_user("bob@example.org")
    assert first.password_hash.startswith("$argon2id$")
    assert first.password_hash != second.password_hash
    assert PASSWORD not in first.password_hash


@pytest.mark.usefixtures("app")
def test_a_hash_with_other_parameters_than_todays_is_replaced_when_its_user_signs_in() -> None:
    user = make_user(EMAIL)
    sessions.begin(user, browser="Firefox on Linux", remembered=False)
    user.password_hash = old = OTHER_HASHER.hash(PASSWORD)
    db.session.commit()
    assert accounts.authenticate(EMAIL, "wrong password") is None
    assert user.password_hash == old
    assert accounts.authenticate(EMAIL, PASSWORD) is user
    db.session.commit()
    assert user.password_hash != old
    assert accounts.authenticate(EMAIL, PASSWORD) is user
    assert sessions.find(user.token)


@pytest.mark.usefixtures("app")
def test_an_address_is_one_account_however_it_is_spelled() -> None:
    user = accounts.create(" Ada@Example.org ", PASSWORD)
    db.session.commit()
    assert user.email == EMAIL
    assert accounts.find("ADA@example.ORG") is user
    with pytest.raises(AccountError, match="already an account"):
        accounts.create("aDa@example.org", PASSWORD)


@pytest.mark.usefixtures("any_app")
def test_the_database_too_keeps_an_address_to_one_account() -> None:
    make_user(EMAIL)
    db.session.add(User(email=EMAIL, password_hash=""))
    with pytest.raises(IntegrityError):
        db.session.commit()


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("email", ["", "ada", "ada@", "ada@example.org\nbob@example.org", "Ada <ada@example.org>"])
def test_an_invalid_address_gets_no_account(email: str) -> None:
    with pytest.raises(AccountError, match="Not an e-mail address"):
        accounts.create(email, PASSWORD)
    assert accounts.list_all() == []


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("password", ["1234567", "password", "x" * 1001, EMAIL, "ADA@example.org"])
def test_a_password_that_is_easily_guessed_is_taken_neither_for_a_new_account_nor_for_an_old_one(password: str) -> None:
    with pytest.raises(AccountError, match="password"):
        accounts.create(EMAIL, password)
    user = make_user(EMAIL)
    with pytest.raises(AccountError, match="password"):
        accounts.set_password(user, password)
    assert accounts.has_password(user, PASSWORD)
    assert not accounts.has_password(user, password)


@pytest.mark.usefixtures("any_app")
def test_nobody_waits_while_a_new_password_is_looked_at_and_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    user = make_user(EMAIL)
    assert user.email == EMAIL
    hash_of_new = accounts.hash_of_new

    def outside_of_any_transaction(password: str, email: str) -> str:
        assert not db.session().in_transaction()  # on SQLite everybody else would wait for it
        return hash_of_new(password, email)

    monkeypatch.setattr(accounts, "hash_of_new", outside_of_any_transaction)
    accounts.set_password(user, "battery staple")
    db.session.commit()
    assert accounts.has_password(user, "battery staple")


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("change", ["DELETE FROM auth_user", "UPDATE auth_user SET password_hash = 'another'"])
def test_a_password_that_is_changed_while_it_is_looked_at_signs_nobody_in(
    monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    make_user(EMAIL)
    fits = accounts._fits  # noqa: SLF001

    def changed_meanwhile(password: str, stored: str) -> bool:
        assert not db.session().in_transaction()  # on SQLite everybody else would wait for it
        db.session.execute(text(change))
        db.session.commit()
        return fits(password, stored)

    monkeypatch.setattr(accounts, "_fits", changed_meanwhile)
    assert accounts.authenticate(EMAIL, PASSWORD) is None


def test_a_crowd_of_passwords_is_refused_but_for_a_few_and_hashed_at_low_priority(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    running: list[int] = []
    most: list[int] = []
    priorities: set[int] = set()

    class Slow(argon2.PasswordHasher):
        def hash(self, *_: object, **__: object) -> str:
            running.append(1)
            most.append(len(running))
            priorities.add(os.getpriority(os.PRIO_PROCESS, get_native_id()))
            time.sleep(0.3)
            running.pop()
            return "hashed"

    monkeypatch.setattr(accounts, "_hasher", Slow())
    outcomes = _at_once(16, lambda: accounts._hash(PASSWORD))  # noqa: SLF001
    at_once = accounts._AT_ONCE  # noqa: SLF001
    assert max(most) == at_once
    assert (outcomes.count("hashed"), outcomes.count("busy")) == (at_once + 2, 14 - at_once)
    assert min(priorities) > os.getpriority(os.PRIO_PROCESS, get_native_id())


def _at_once(count: int, work: Callable[[], str]) -> list[str]:
    together = Barrier(count)

    def one(_: int) -> str:
        together.wait(10)
        try:
            return work()
        except Busy:
            return "busy"

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


@pytest.mark.usefixtures("app")
def test_a_password_may_be_long_and_in_any_script() -> None:
    password = "пароль 🔑 " * 40
    accounts.create(EMAIL, password)
    db.session.commit()
    assert accounts.authenticate(EMAIL, password)
    assert accounts.authenticate(EMAIL, password[:-1]) is None


@pytest.mark.usefixtures("app")
def test_a_new_password_is_the_only_one_and_ends_the_sessions_of_the_old_one() -> None:
    user, other = make_user(EMAIL), make_user("bob@example.org")
    for each in (user, other):
        sessions.begin(each, browser="Firefox on Linux", remembered=True)
    db.session.commit()
    accounts.set_password(user, "battery staple")
    db.session.commit()
    assert sessions.find(user.token) is None
    assert sessions.find(other.token)
    assert accounts.authenticate(EMAIL, PASSWORD) is None
    assert accounts.authenticate(EMAIL, "battery staple") is user


@pytest.mark.usefixtures("app")
def test_accounts_are_counted_and_listed_the_oldest_first() -> None:
    assert not accounts.exist()
    users = [make_user("zoe@example.org"), make_user("ada@example.org")]
    assert accounts.exist()
    assert accounts.list_all() == users

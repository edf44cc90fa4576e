"""auth/roles.py: owners, members, and the owner that a site always has."""

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import NoResultFound

from feedback_push.auth import accounts, roles, sessions
from feedback_push.auth.models import Role, User
from feedback_push.database import db
from tests.crossing import cross
from tests.push.devices import owner


def account(email: str) -> User:
    return db.session.scalars(select(User).where(User.email == email)).one()


def owners() -> list[str]:
    db.session.rollback()
    return list(db.session.scalars(select(User.email).where(User.role == Role.OWNER)))


def demote(actor: str, other: str) -> None:
    roles.lock_owners(account(actor))
    roles.change(account(other), Role.MEMBER)
    db.session.commit()


def remove(actor: str, other: str) -> None:
    roles.lock_owners(account(actor))
    accounts.delete(account(other))
    db.session.commit()


def refused(act: Callable[[str, str], None], actor: str, other: str) -> type[Exception] | None:
    try:
        act(actor, other)
    except (roles.LastOwner, roles.OwnersOnly, sessions.Ended) as error:
        db.session.rollback()
        return type(error)
    except NoResultFound:  # on SQLite, the second only begins when the first has deleted its account
        return roles.OwnersOnly
    return None


@pytest.mark.parametrize("first", [demote, remove])
@pytest.mark.parametrize("second", [demote, remove])
def test_of_two_owners_who_remove_each_other_at_once_one_stays(
    any_app: Flask, first: Callable[[str, str], None], second: Callable[[str, str], None]
) -> None:
    owner("ada@example.org")
    owner("bob@example.org")
    results = cross(
        any_app,
        lambda: refused(first, "ada@example.org", "bob@example.org"),
        "FROM auth_user",
        lambda: refused(second, "bob@example.org", "ada@example.org"),
        nth=2,  # after the owners are locked, which the first statement's reader is about to do
    )
    assert results == (None, roles.OwnersOnly)
    assert owners() == ["ada@example.org"]


def test_the_only_owner_can_be_neither_demoted_nor_removed_and_nothing_changes(any_app: Flask) -> None:
    user = owner("ada@example.org")
    owner("bob@example.org").role = Role.MEMBER
    sessions.begin(user, browser="Firefox on Linux", remembered=True)
    db.session.commit()
    for attempt in (lambda: roles.change(user, Role.MEMBER), lambda: accounts.delete(user)):
        with pytest.raises(roles.LastOwner):
            attempt()
        db.session.rollback()
        assert owners() == ["ada@example.org"]
        assert len(sessions.of(user)) == 1


def test_an_account_that_becomes_an_owner_while_it_is_removed_stays_if_it_would_be_the_only_one(
    any_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bob = owner("ada@example.org"), owner("bob@example.org")

    def change_places(user: User) -> None:
        db.session.commit()  # as the removal of many deliveries does
        roles.change(user, Role.OWNER)
        roles.change(bob, Role.MEMBER)
        db.session.commit()

    monkeypatch.setattr(accounts, "_before_deletion", [change_places])
    with pytest.raises(roles.LastOwner):
        accounts.delete(ada)
    assert owners() == ["ada@example.org"]

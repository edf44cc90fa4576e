"""Accounts: making them, finding them, and checking and changing their passwords."""

import os
import secrets
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import cache
from threading import get_native_id

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from sqlalchemy import exists, select

from feedback_push import email_address
from feedback_push.auth import audit, password_rules, sessions
from feedback_push.auth.models import AuditEvent, User
from feedback_push.concurrency_limit import ConcurrencyLimit
from feedback_push.database import db

_hasher = PasswordHasher()  # argon2id with the library's current parameters
# A hash takes 64 MiB and two cores for a moment. A request that finds no place is refused.
_AT_ONCE = max(1, min(2, (os.cpu_count() or 1) // 2))
hashing = ConcurrencyLimit(_AT_ONCE, waiting=2, patience=2.0, for_each=2, pause=2)


def _yield_to_others() -> None:
    if sys.platform == "linux":  # where a thread has a priority of its own, which argon2's threads inherit
        os.setpriority(os.PRIO_PROCESS, get_native_id(), 4)


_threads = ThreadPoolExecutor(_AT_ONCE, "passwords", _yield_to_others)

_before_deletion: list[Callable[[User], None]] = []


class AccountError(Exception):
    """The account cannot be made or changed; the text says why."""


def create(email: str, password: str) -> User:
    """Add an account to the session; AccountError when the address is taken or unusable, or the password is no good."""
    address = email.strip().lower()
    if problem := email_address.problem(address):
        raise AccountError(f"Not an e-mail address: {problem}")
    password_hash = _hash_of_new(password, address)  # before there is a transaction, for which others would wait
    if find(address):
        raise AccountError(f"There is already an account for {address}.")
    user = User(email=address, password_hash=password_hash)
    db.session.add(user)
    db.session.flush()
    audit.note(AuditEvent.ACCOUNT_CREATED, user)
    return user


def set_password(user: User, password: str, *, keep_current: bool = False) -> None:
    """Change the password and sign the user out everywhere, or everywhere but in the session in which they ask.

    AccountError says why the password is not taken; sessions.Ended where the session to be kept was ended meanwhile.
    It ends the transaction before it hashes, like `authenticate`.
    """
    email = user.email
    db.session.rollback()
    password_hash = _hash_of_new(password, email)
    # A sign-in with the old password is over before this, and its session ends here, or sees the new hash.
    sessions.lock(user)
    if keep_current:
        sessions.hold(user)
    user.password_hash = password_hash
    if keep_current:
        sessions.end_others(user)
    else:
        sessions.end_all(user)
    audit.note(AuditEvent.PASSWORD_CHANGED, user)


def before_deletion(tidy: Callable[[User], None]) -> Callable[[User], None]:
    """Have this called for each account that is about to be deleted; it may commit."""
    _before_deletion.append(tidy)
    return tidy


def delete(user: User) -> None:
    """Delete an account; its sessions end first, and the database takes its devices along."""
    sessions.end_all(user)
    for tidy in _before_deletion:
        tidy(user)
    audit.note(AuditEvent.ACCOUNT_DELETED, user)
    db.session.delete(user)


def authenticate(email: str, password: str) -> User | None:
    """Return the user with this e-mail and password; an unknown e-mail takes as long as a wrong password.

    It ends the transaction before it looks at the password, which takes long enough to keep others waiting for it. The
    account it returns is locked: the password cannot change before the caller has committed the new session.
    """
    user = find(email)
    stored = user.password_hash if user else None
    db.session.rollback()
    if stored is None:
        stored = _nobodys_hash()
    if not _fits(password, stored):
        return None
    wanted = _hash(password) if _hasher.check_needs_rehash(stored) else stored
    user = _find_locked(email)
    if not user or user.password_hash != stored:  # it may have been changed meanwhile
        return None
    user.password_hash = wanted
    return user


def has_password(user: User, password: str) -> bool:
    """Whether this is the user's password; it ends the transaction like `authenticate`."""
    stored = user.password_hash
    db.session.rollback()
    return _fits(password, stored)


def find(email: str) -> User | None:
    """The account with this e-mail address, which is kept in lower case."""
    return db.session.scalar(select(User).where(User.email == email.strip().lower()))


def every() -> list[User]:
    """All accounts, the oldest first."""
    return list(db.session.scalars(select(User).order_by(User.id)))


def exist() -> bool:
    """Whether there is any account."""
    return bool(db.session.scalar(select(exists().where(User.id.is_not(None)))))


def _find_locked(email: str) -> User | None:
    account = select(User).where(User.email == email.strip().lower()).with_for_update(key_share=True)
    return db.session.scalar(account, execution_options={"populate_existing": True})


def _hash_of_new(password: str, email: str) -> str:
    if problem := password_rules.problem(password, email):
        raise AccountError(problem)
    return _hash(password)


def _hash(password: str) -> str:
    with hashing.place():
        return _threads.submit(copy_context().run, _hasher.hash, password).result()


def _fits(password: str, stored: str) -> bool:
    try:
        with hashing.place():
            return _threads.submit(copy_context().run, _hasher.verify, stored, password).result()
    except VerificationError:
        return False


@cache
def _nobodys_hash() -> str:
    return _hash(secrets.token_urlsafe())

"""Create and find accounts, and check and change their passwords."""

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
from sqlalchemy import delete as delete_rows
from sqlalchemy import exists, select

from feedback_push import email_address
from feedback_push.auth import audit, notices, password_validators, roles, sessions
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.auth.models import NoticeEvent, Role, User
from feedback_push.concurrency_limit import ConcurrencyLimit
from feedback_push.database import db

_hasher = PasswordHasher()  # argon2id with the library's current parameters
# A hash uses 64 MiB and two cores for a moment. A request that gets no place is refused.
_AT_ONCE = max(1, min(2, (os.cpu_count() or 1) // 2))
hashing = ConcurrencyLimit(_AT_ONCE, waiting=2, patience=2.0, for_each=2, pause=2)


def _yield_to_others() -> None:
    if sys.platform == "linux":  # here each thread has its own priority, which argon2's threads inherit
        os.setpriority(os.PRIO_PROCESS, get_native_id(), 4)


_threads = ThreadPoolExecutor(_AT_ONCE, "passwords", _yield_to_others)

_before_deletion: list[Callable[[User], None]] = []


class AccountError(Exception):
    """The account cannot be created or changed; the text gives the reason."""


def create(email: str, password: str, role: Role = Role.OWNER) -> User:
    """Add an account to the session.

    Raise AccountError if the address is taken or invalid, or if the password is refused.
    """
    address = email.strip().lower()
    if problem := email_address.problem(address):
        raise AccountError(f"Not an e-mail address: {problem}")
    password_hash = hash_of_new(password, address)  # before the transaction, so that no other waits for it
    return add(address, password_hash, role)


def add(address: str, password_hash: str, role: Role, name: str = "") -> User:
    """Add an account whose password `hash_of_new` has hashed. Raise AccountError if the address is taken."""
    if find(address):
        raise AccountError(f"There is already an account for {address}.")
    user = User(email=address, password_hash=password_hash, role=role, name=name)
    db.session.add(user)
    db.session.flush()
    audit.record(AuditEvent.ACCOUNT_CREATED, user)
    return user


def set_password(user: User, password: str, *, keep_current: bool = False) -> None:
    """Change the password and end all of the user's sessions, except the current one if `keep_current` is true.

    Raise AccountError if the password is refused, and sessions.Ended if the session to keep has ended meanwhile. Like
    `authenticate`, it ends the transaction before it hashes.
    """
    email = user.email
    db.session.rollback()
    password_hash = hash_of_new(password, email)
    # A sign-in with the old password finishes before this lock, and its session ends here, or it reads the new hash.
    sessions.lock(user)
    if keep_current:
        sessions.lock_current(user)
    store_password(user, password_hash, keep_current=keep_current)


def store_password(user: User, password_hash: str, *, keep_current: bool = False) -> None:
    """Store a password that `hash_of_new` has hashed, as `set_password` does; the caller has locked the account."""
    user.password_hash = password_hash
    notices.tell(user, NoticeEvent.PASSWORD_CHANGED)  # before it suspends the devices, so that they still get it
    if keep_current:
        sessions.end_others(user)
    else:
        sessions.end_all(user)
    audit.record(AuditEvent.PASSWORD_CHANGED, user)


def before_deletion(tidy: Callable[[User], None]) -> Callable[[User], None]:
    """Register a function to call before an account is deleted; it may commit."""
    _before_deletion.append(tidy)
    return tidy


def delete(user: User) -> None:
    """End an account's sessions, then delete it; the database deletes its devices and keys with it.

    Raise roles.LastOwner for the only owner, before anything is changed. It may commit before the end, because an
    account may have too many deliveries for one transaction. Until then, the account is a member, so that of two owners
    who delete each other at once, one stays.
    """
    roles.step_down(user)
    sessions.end_all(user)
    for tidy in _before_deletion:
        tidy(user)
    audit.record(AuditEvent.ACCOUNT_DELETED, user)
    # Not if somebody has made it an owner meanwhile: it may be the only one.
    gone = delete_rows(User).where(User.id == user.id, User.role == Role.MEMBER).returning(User.id)
    if db.session.scalar(gone) is None:
        raise roles.LastOwner


def authenticate(email: str, password: str) -> User | None:
    """Return the user with this e-mail and password, or None; an unknown e-mail takes as long as a wrong password.

    It ends the transaction before it checks the password, because the check is slow and would block others. The
    returned account is locked, so the password cannot change before the caller commits the new session.
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
    """Return whether this is the user's password; like `authenticate`, it ends the transaction first."""
    stored = user.password_hash
    db.session.rollback()
    return _fits(password, stored)


def find(email: str) -> User | None:
    """Return the account with this e-mail address, or None; addresses are stored in lower case."""
    return db.session.scalar(select(User).where(User.email == email.strip().lower()))


def list_all() -> list[User]:
    """Return all accounts, the oldest first."""
    return list(db.session.scalars(select(User).order_by(User.id)))


def exist() -> bool:
    """Return whether any account exists."""
    return bool(db.session.scalar(select(exists().where(User.id.is_not(None)))))


def hash_of_new(password: str, email: str) -> str:
    """Return the hash of a new password for this account; raise AccountError if the password is refused."""
    if problem := password_validators.problem(password, email):
        raise AccountError(problem)
    return _hash(password)


def _find_locked(email: str) -> User | None:
    account = select(User).where(User.email == email.strip().lower()).with_for_update(key_share=True)
    return db.session.scalar(account, execution_options={"populate_existing": True})


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

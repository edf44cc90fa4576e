"""Accounts: making them, finding them, and checking and changing their passwords."""

import secrets
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from sqlalchemy import exists, select

from feedback_push import email_address
from feedback_push.auth import audit, sessions
from feedback_push.auth.models import AuditEvent, User
from feedback_push.database import db

SHORTEST_PASSWORD = 8
_hasher = PasswordHasher()  # argon2id with the library's current parameters


class AccountError(Exception):
    """The account cannot be made or changed; the text says why."""


def create(email: str, password: str) -> User:
    """Add an account to the session; AccountError when the address is taken or unusable, or the password too short."""
    address = email.strip().lower()
    if problem := email_address.problem(address):
        raise AccountError(f"Not an e-mail address: {problem}")
    if find(address):
        raise AccountError(f"There is already an account for {address}.")
    user = User(email=address, password_hash=_hash(password))
    db.session.add(user)
    db.session.flush()
    audit.note(AuditEvent.ACCOUNT_CREATED, user)
    return user


def set_password(user: User, password: str) -> None:
    """Change the password and sign the user out everywhere."""
    user.password_hash = _hash(password)
    sessions.end_all(user)
    audit.note(AuditEvent.PASSWORD_CHANGED, user)


def authenticate(email: str, password: str) -> User | None:
    """The user whose e-mail and password these are; an unknown e-mail takes as long as a wrong password."""
    user = find(email)
    try:
        _hasher.verify(user.password_hash if user else _nobodys_hash(), password)
    except VerificationError:
        return None
    if user and _hasher.check_needs_rehash(user.password_hash):
        user.password_hash = _hasher.hash(password)
    return user


def find(email: str) -> User | None:
    """The account with this e-mail address, which is kept in lower case."""
    return db.session.scalar(select(User).where(User.email == email.strip().lower()))


def every() -> list[User]:
    """All accounts, the oldest first."""
    return list(db.session.scalars(select(User).order_by(User.id)))


def exist() -> bool:
    """Whether there is any account."""
    return bool(db.session.scalar(select(exists().where(User.id.is_not(None)))))


def _hash(password: str) -> str:
    if len(password) < SHORTEST_PASSWORD:
        raise AccountError(f"A password needs at least {SHORTEST_PASSWORD} characters.")
    return _hasher.hash(password)


@cache
def _nobodys_hash() -> str:
    return _hasher.hash(secrets.token_urlsafe())

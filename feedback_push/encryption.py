"""Encryption of secrets that stand in the database: keyed from SECRET_KEY, with a key of its own for each purpose.

A feature names each column that holds such secrets with `stored_in`, so that a new SECRET_KEY reaches all of them.
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import select, update

from feedback_push import secret_keys
from feedback_push.database import db

_BATCH = 200  # rows
_columns: list[tuple[Any, str]] = []  # with the purposes


class UnreadableError(Exception):
    """A stored secret was changed, or encrypted with another SECRET_KEY or for another purpose."""


@dataclass(frozen=True)
class Batch:
    """Some rows after `renew`: how many are encrypted anew, and how many neither key can read."""

    renewed: int
    unreadable: int


def encrypt(secret: str, purpose: str) -> str:
    """Return the secret encrypted for this purpose ("VAPID keys"), as text for a column."""
    return _cipher(secret_keys.accepted()[0], purpose).encrypt(secret.encode()).decode()


def decrypt(stored: str, purpose: str) -> str:
    """Return the secret that `encrypt` stored for this purpose; raise UnreadableError."""
    for key in secret_keys.accepted():
        if (secret := _decrypted(stored, key, purpose)) is not None:
            return secret
    raise UnreadableError


def stored_in(column: Any, purpose: str) -> None:
    """Register the column of a model, with one primary key, that holds what is encrypted for this purpose."""
    _columns.append((column, purpose))


def columns() -> list[tuple[Any, str]]:
    """Return the columns that hold encrypted secrets, with their purposes."""
    return list(_columns)


def renew() -> Iterator[Batch]:
    """Encrypt every stored secret with SECRET_KEY that is not yet, a batch at a time. The caller commits after each."""
    for column, purpose in _columns:
        [key] = column.class_.__table__.primary_key
        after = None
        while rows := db.session.execute(_next(column, key, after)).all():
            yield _renewed(rows, column, key, purpose)
            after = rows[-1][0]


def _next(column: Any, key: Any, after: Any) -> Any:
    rows = select(key, column).where(column.is_not(None)).order_by(key).limit(_BATCH)
    return rows if after is None else rows.where(key > after)


def _renewed(rows: Any, column: Any, key: Any, purpose: str) -> Batch:
    current = secret_keys.accepted()[0]
    renewed = unreadable = 0
    for row_key, stored in rows:
        if _decrypted(stored, current, purpose) is not None:
            continue
        try:
            secret = encrypt(decrypt(stored, purpose), purpose)
        except UnreadableError:
            unreadable += 1
            continue
        # Only what was read, because a feature may have replaced it meanwhile.
        this = update(column.class_).where(key == row_key, column == stored).values({column.key: secret})
        db.session.execute(this, execution_options={"synchronize_session": False})
        renewed += 1
    return Batch(renewed, unreadable)


def _decrypted(stored: str, key: str, purpose: str) -> str | None:
    try:
        return _cipher(key, purpose).decrypt(stored.encode()).decode()
    except InvalidToken:
        return None


def _cipher(key: str, purpose: str) -> Fernet:
    # The purpose is a part of the key, so a secret copied from one table into another cannot be read there.
    derived = HKDF(SHA256(), 32, salt=None, info=f"feedback_push: stored {purpose}".encode())
    return Fernet(base64.urlsafe_b64encode(derived.derive(key.encode())))

"""Recovery codes: each replaces the second factor once, for somebody who has lost their passkeys and their code app."""

import hmac
import secrets
from hashlib import sha256

from sqlalchemy import delete, func, select, update

from feedback_push.auth import sessions
from feedback_push.auth.factor_models import RecoveryCode
from feedback_push.auth.models import User
from feedback_push.database import db, utcnow

COUNT = 10
LONGEST_CODE = 40  # characters, with the spaces and hyphens that people type
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, in which no two characters look alike
_LENGTH = 16  # characters: 80 bits, which nobody can guess
_GROUP = 4
_READ_AS = str.maketrans("oil", "011", "- \t")


def make(user: User) -> list[str]:
    """Return ten new codes, which replace the user's earlier ones; only their hashes are stored. The caller commits."""
    sessions.lock(user)
    db.session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    codes = ["".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH)) for _ in range(COUNT)]
    for code in codes:
        salt = secrets.token_hex(16)
        db.session.add(RecoveryCode(user_id=user.id, salt=salt, code_hash=_hash(salt, code)))
    return ["-".join(code[at : at + _GROUP] for at in range(0, _LENGTH, _GROUP)) for code in codes]


def remove(user: User) -> None:
    """Remove all codes of the user. The caller commits."""
    db.session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))


def left(user: User) -> int:
    """Return how many of the user's codes still work."""
    unused = select(func.count()).select_from(RecoveryCode)
    return db.session.scalar(unused.where(RecoveryCode.user_id == user.id, RecoveryCode.used_at.is_(None))) or 0


def use(user: User, code: str) -> bool:
    """Use up one of the user's codes and return whether it was one. The caller commits."""
    typed = code[:LONGEST_CODE].lower().translate(_READ_AS)
    if len(typed) != _LENGTH:
        return False
    unused = (RecoveryCode.user_id == user.id, RecoveryCode.used_at.is_(None))
    for row in db.session.scalars(select(RecoveryCode).where(*unused)).all():
        if hmac.compare_digest(row.code_hash, _hash(row.salt, typed)):
            used = update(RecoveryCode).where(RecoveryCode.id == row.id, *unused).values(used_at=utcnow())
            once = used.returning(RecoveryCode.id)
            return db.session.scalar(once, execution_options={"synchronize_session": False}) is not None
    return False


def _hash(salt: str, code: str) -> str:
    # A slow hash would add nothing, because 80 random bits cannot be tried out.
    return sha256(f"{salt}{code}".encode()).hexdigest()

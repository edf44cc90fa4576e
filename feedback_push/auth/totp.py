"""The codes of a code app (TOTP, RFC 6238): six digits for each 30 seconds, each of which works once."""

import re

import pyotp
from pyotp.exceptions import OTPVerificationError
from sqlalchemy import delete, select, update

from feedback_push import encryption
from feedback_push.auth import sessions
from feedback_push.auth.factor_models import Totp
from feedback_push.auth.models import User
from feedback_push.config import current_settings
from feedback_push.database import db, insert, utcnow

LONGEST_CODE = 20  # characters, with the spaces that people type
_PURPOSE = "TOTP secrets"
encryption.stored_in(Totp.secret, _PURPOSE)
_WINDOW = 1  # time steps before and after the current one, for clocks that differ by 30 seconds
_CODE = re.compile(r"[0-9]{6}")


class AlreadyAdded(Exception):
    """The account has a code app already, which must be removed first."""


def begin(user: User) -> str:
    """Store a new secret, which counts once `confirm` has seen a code of it, and return it. Raise AlreadyAdded."""
    sessions.lock(user)
    if is_set_up(user):
        raise AlreadyAdded
    secret = pyotp.random_base32()  # 160 bits, as RFC 4226 recommends
    fresh = {"secret": encryption.encrypt(secret, _PURPOSE), "created_at": utcnow(), "last_step": 0}
    row = insert(Totp).values(user_id=user.id, **fresh)
    db.session.execute(row.on_conflict_do_update(index_elements=[Totp.user_id], set_=fresh))
    return secret


def secret_to_confirm(user: User) -> str | None:
    """Return the secret that `begin` has stored and `confirm` has not confirmed yet, or None."""
    row = db.session.get(Totp, user.id, populate_existing=True)
    return None if row is None or row.confirmed_at else _secret(row)


def uri(user: User, secret: str) -> str:
    """Return the address from which an app reads the secret, for a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=user.email, issuer_name=current_settings().site_name)


def confirm(user: User, code: str) -> bool:
    """Add the code app if this is a code of the secret to confirm; return whether it is. The caller commits."""
    sessions.lock(user)
    return _use(user, code, Totp.confirmed_at.is_(None), confirmed_at=utcnow())


def use(user: User, code: str) -> bool:
    """Return whether this is a code of the user's app, now, that was not used before. The caller commits."""
    return _use(user, code, Totp.confirmed_at.is_not(None))


def is_set_up(user: User) -> bool:
    """Return whether the user has a code app."""
    return of(user) is not None


def of(user: User) -> Totp | None:
    """Return the user's code app, or None."""
    return db.session.scalar(select(Totp).where(Totp.user_id == user.id, Totp.confirmed_at.is_not(None)))


def remove(user: User) -> bool:
    """Remove the user's code app and return whether there was one. The caller commits."""
    sessions.lock(user)
    removed = delete(Totp).where(Totp.user_id == user.id, Totp.confirmed_at.is_not(None)).returning(Totp.user_id)
    return db.session.scalar(removed) is not None


def _use(user: User, code: str, *which: object, **more: object) -> bool:
    typed = "".join(code[:LONGEST_CODE].split())
    row = db.session.get(Totp, user.id, populate_existing=True)
    secret = _secret(row) if row else None
    if secret is None or not _CODE.fullmatch(typed):
        return False
    now = utcnow()
    try:
        step = pyotp.TOTP(secret).verify_and_get_timecode(typed, for_time=now, valid_window=_WINDOW)
    except OTPVerificationError:
        return False
    # One statement, so that of two simultaneous requests with the same code only one succeeds.
    unused = (Totp.user_id == user.id, Totp.last_step < step, *which)
    used = update(Totp).where(*unused).values(last_step=step, last_used_at=now, **more).returning(Totp.user_id)  # type: ignore[arg-type]
    return db.session.scalar(used, execution_options={"synchronize_session": False}) is not None


def _secret(row: Totp) -> str | None:
    try:
        return encryption.decrypt(row.secret, _PURPOSE)
    except encryption.UnreadableError:
        return None

"""The stored passkeys: several for an account, to sign in without a password or as its second factor."""

import logging

from sqlalchemy import exists, func, select

from feedback_push.auth import relying_party
from feedback_push.auth.factor_models import Passkey
from feedback_push.auth.models import User
from feedback_push.database import db

MOST = 50  # of one account
LONGEST_NAME = 100
LONGEST_CREDENTIAL = 16_384  # characters of JSON; usual ones have about a thousand
_log = logging.getLogger(__name__)


class Refused(Exception):
    """The passkey does not prove anything; the text is for the log of a developer, never for the page."""


class Cloned(Refused):
    """The passkey's counter went back, so there may be a copy of it."""

    def __init__(self, passkey: Passkey) -> None:
        super().__init__("the signature counter went back")
        self.passkey = passkey


class TooMany(Exception):
    """The account has as many passkeys as one may have."""


def of(user: User) -> list[Passkey]:
    """Return the user's passkeys of every host, the newest first."""
    return list(db.session.scalars(select(Passkey).where(Passkey.user_id == user.id).order_by(Passkey.id.desc())))


def usable(user: User) -> list[Passkey]:
    """Return the user's passkeys that work under the present SITE_URL."""
    return [passkey for passkey in of(user) if passkey.host == relying_party.host()]


def exist() -> bool:
    """Return whether any account has a passkey that works under the present SITE_URL."""
    return bool(db.session.scalar(select(exists().where(Passkey.host == (relying_party.host() or "")))))


def of_other_hosts() -> dict[str, int]:
    """Count the passkeys that do not work under the present SITE_URL, by the host they were made for."""
    others = select(Passkey.host, func.count()).where(Passkey.host != (relying_party.host() or ""))
    rows = db.session.execute(others.group_by(Passkey.host).order_by(Passkey.host))
    return {host: number for host, number in rows}  # noqa: C416 - rows are no pairs to the type checker


def warn_of_other_hosts() -> None:
    """Log which passkeys stopped working because SITE_URL has another host name; for the start of a web server."""
    here = relying_party.host() or ""
    for host, number in of_other_hosts().items():
        _log.warning("%d passkeys of %s do not work at %s, which is another host name", number, host, here)


def find(passkey_id: int, *, user: User) -> Passkey | None:
    """Return one of the user's passkeys by its id; None if it is not theirs."""
    mine = (Passkey.id == passkey_id, Passkey.user_id == user.id)
    return db.session.scalar(select(Passkey).where(*mine).with_for_update())

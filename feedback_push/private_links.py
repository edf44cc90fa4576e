"""Private links: the secret token in a visitor's address, derived from a key of the site and stored only as a hash.

The first key follows from SECRET_KEY, or from the one before it during a rotation, which stores it. Each rotation adds
a key for new links, because somebody may know the old SECRET_KEY. So an old link lives on, and a new one is safe.
"""

import base64
import hmac
import re
import secrets
import time
from hashlib import sha256
from typing import NamedTuple

from flask import current_app
from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_push import database, encryption, secret_keys, site_secrets
from feedback_push.database import db
from feedback_push.site_path import absolute_url
from feedback_push.site_secrets import SiteSecret

TOKEN_LENGTH = 43  # characters: 256 bits in base64url
_TOKEN = re.compile(r"[\w-]{43}", re.ASCII)
_UNFINISHED = re.compile(
    r"(?P<page>.+/conversations/)(?P<message_id>\d+)\.(?P<number>\d+)(\.(?P<key_id>\d+))?", re.ASCII
)
_FIRST, _LATER = "the first key of private links", "a key of private links"
_FRESH = 60.0  # seconds for which a process keeps the list of keys


class _Keys(NamedTuple):
    """The stored keys by their ids, with None for the first one and for a key that cannot be read."""

    by_id: dict[int | None, bytes | None]
    newest: int | None


def newest_key() -> int | None:
    """Return the id of the key for new links; None for the first key."""
    return _keys().newest


def token(message_id: int, number: int, key_id: int | None = None) -> str:
    """Return the token of a message's link with this number; each new link of a message has a higher number.

    Raise encryption.UnreadableError if neither SECRET_KEY nor the previous one can read the key.
    """
    raw = hmac.digest(_key(key_id), b"%d:%d" % (message_id, number), "sha256")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def is_token(text: object) -> bool:
    """Return whether this could be a token, which only a look into the database can tell."""
    return isinstance(text, str) and _TOKEN.fullmatch(text) is not None


def hashed(token: str) -> str:
    """Return the hash of a token as 64 hexadecimal digits; it needs no salt, because a token is random."""
    return sha256(token.encode()).hexdigest()


def unfinished(message_id: int, number: int, key_id: int | None) -> str:
    """Return the address of a private page without its token, so that no stored notification opens the page."""
    key = "" if key_id is None else f".{key_id}"
    return absolute_url("conversations.show", token=f"{message_id}.{number}{key}")


def finished(address: str) -> str:
    """Return an address that `unfinished` has made with its token in place, and any other address unchanged."""
    if not (match := _UNFINISHED.fullmatch(address)):
        return address
    key_id = int(match["key_id"]) if match["key_id"] else None
    try:
        return match["page"] + token(int(match["message_id"]), int(match["number"]), key_id)
    except encryption.UnreadableError:
        return absolute_url("feedback.home")


def add_key() -> None:
    """Add a key for new links, and keep the first one, which has been derived until now. The caller commits."""
    if not site_secrets.of(_FIRST):
        site_secrets.add(_FIRST, _derived().hex())
    site_secrets.add(_LATER, secrets.token_hex(32))
    current_app.extensions.pop("private_links", None)  # other processes see it within a minute


def keys_made() -> list[SiteSecret]:
    """Return the keys that rotations have added, the newest first."""
    return site_secrets.of(_LATER)


def _key(key_id: int | None) -> bytes:
    stored = _keys().by_id
    if key_id is not None and key_id not in stored:  # a rotation has just added it
        stored = _keys(anew=True).by_id
    key = stored.get(key_id, None if key_id else _derived())
    if key is None:
        raise encryption.UnreadableError
    return key


def _keys(*, anew: bool = False) -> _Keys:
    kept: tuple[float, _Keys] | None = current_app.extensions.get("private_links")
    if kept and not anew and time.monotonic() - kept[0] < _FRESH:
        return kept[1]
    found = _read()
    current_app.extensions["private_links"] = (time.monotonic(), found)
    return found


def _read() -> _Keys:
    by_id: dict[int | None, bytes | None] = {}
    # A session of its own, because a notification is finished while no transaction may be open.
    with database.reader(db.engine) as connection, Session(connection) as session:
        these = select(SiteSecret).where(SiteSecret.purpose.in_((_FIRST, _LATER))).order_by(SiteSecret.id)
        for row in session.scalars(these).all():
            by_id[None if row.purpose == _FIRST else row.id] = _revealed(row)
    return _Keys(by_id, max((key_id for key_id, key in by_id.items() if key_id and key), default=None))


def _revealed(row: SiteSecret) -> bytes | None:
    try:
        return bytes.fromhex(row.reveal())
    except encryption.UnreadableError:
        return None


def _derived() -> bytes:
    return secret_keys.derived("private link")[-1]

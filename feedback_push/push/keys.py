"""VAPID keys: several can be live at once, because a device can be reached only with the key it subscribed with.

The pair in the settings is the only one until an operator rotates it. Stored keys are encrypted with SECRET_KEY, so a
stolen backup alone cannot send notifications.
"""

import logging
import time
from collections.abc import Iterable
from typing import NamedTuple

from environs import ValidationError
from flask import current_app
from sqlalchemy import ColumnElement, func, select, update

from feedback_push import encryption, vapid_validators
from feedback_push.auth import audit
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.auth.models import User
from feedback_push.config import current_settings
from feedback_push.database import db, utcnow
from feedback_push.push.models import DeviceState, Subscription, VapidKey
from feedback_push.webpush import vapid
from feedback_push.webpush.vapid import VapidKeys

_FRESH = 3.0  # seconds for which a process caches the keys
_PURPOSE = "VAPID keys"
encryption.stored_in(VapidKey.private_key, _PURPOSE)

_log = logging.getLogger(__name__)


class Keyring(NamedTuple):
    """The usable keys: browsers subscribe with `current`, which is None if push is off."""

    current: VapidKeys | None
    live: dict[str, VapidKeys]  # by their public keys
    unreadable: frozenset[str]  # public keys whose private half was stored under another SECRET_KEY


def cached() -> Keyring:
    """Return the keys as read a few seconds ago at most: for pages and browsers."""
    cached: tuple[float, Keyring] | None = current_app.extensions.get("push.keys")
    if cached and time.monotonic() - cached[0] < _FRESH:
        return cached[1]
    return load()


def load() -> Keyring:
    """Return the keys as they are now: for decisions about a device, whose key may be a second old."""
    cached: tuple[float, Keyring] | None = current_app.extensions.get("push.keys")
    fresh = _read()
    for public_key in fresh.unreadable - (cached[1].unreadable if cached else set()):
        _log.error("cannot use the VAPID key %s…: it was stored with another SECRET_KEY", public_key[:12])
    current_app.extensions["push.keys"] = (time.monotonic(), fresh)
    return fresh


def rotate() -> str:
    """Add a new key pair, current for every process within seconds, and return its public key."""
    ours, known = _ours(), list_all()
    if ours and ours.public_key not in {row.public_key for row in known}:
        _store(ours)  # or it would count as the newest if it left the settings and came back
    new = vapid.generate()
    _store(new)
    audit.record(AuditEvent.KEY_ROTATED)
    _forget()
    return new.public_key


def add(private_key: str) -> str:
    """Keep another program's key for the devices that subscribed with it; return its public key.

    The current key stays current, unless there is none. The caller commits.
    """
    pair = VapidKeys(private_key, vapid_validators.public_key_of(private_key))
    keyring, stored = _read(), {row.public_key: row for row in list_all()}
    if pair.public_key in keyring.live:
        return pair.public_key
    for again in (stored.get(pair.public_key), stored.get(keyring.current.public_key) if keyring.current else None):
        if again:
            db.session.delete(again)
    db.session.flush()
    _store(pair)
    if keyring.current:
        _store(keyring.current)  # the newest row is the current key
    _forget()
    return pair.public_key


def list_all() -> list[VapidKey]:
    """Return every stored key, including retired ones, the oldest first."""
    return list(db.session.scalars(select(VapidKey).order_by(VapidKey.id)))


def old() -> set[str]:
    """Return the public keys that `retire` would end: all but the current and the retired ones."""
    now = _read()
    return ({*now.live, *now.unreadable}) - {now.current.public_key if now.current else ""}


def lost(public_keys: Iterable[str]) -> list[tuple[Subscription, User]]:
    """Return the administrators' devices, with their owners, that could not be reached without these keys."""
    devices = select(Subscription, User).join(User, User.id == Subscription.user_id)
    devices = devices.where(*_made_with(public_keys)).order_by(User.id, Subscription.id)
    return [(device, user) for device, user in db.session.execute(devices)]


def lost_visitors(public_keys: Iterable[str]) -> int:
    """Count the visitors' devices that could not be reached without these keys."""
    theirs = select(func.count()).select_from(Subscription).where(Subscription.user_id.is_(None))
    return db.session.scalar(theirs.where(*_made_with(public_keys))) or 0


def retire(public_keys: set[str]) -> None:
    """End these keys for good: erase their private halves; their devices must subscribe again."""
    for public_key in public_keys - {row.public_key for row in list_all()}:
        db.session.add(VapidKey(public_key=public_key))
    db.session.flush()
    these = update(VapidKey).where(VapidKey.public_key.in_(public_keys), VapidKey.retired_at.is_(None))
    db.session.execute(these.values(retired_at=utcnow(), private_key=None))
    devices = update(Subscription).where(Subscription.vapid_public_key.in_(public_keys))
    db.session.execute(devices.where(Subscription.state == DeviceState.LIVE).values(state=DeviceState.STALE))
    audit.record(AuditEvent.KEY_RETIRED)
    _forget()


def _made_with(public_keys: Iterable[str]) -> tuple[ColumnElement[bool], ...]:
    return Subscription.vapid_public_key.in_(set(public_keys)), Subscription.state == DeviceState.LIVE


def devices() -> dict[str, int]:
    """Count the live devices by the key they subscribed with."""
    count = select(Subscription.vapid_public_key, func.count()).where(Subscription.state == DeviceState.LIVE)
    rows = db.session.execute(count.group_by(Subscription.vapid_public_key))
    return {public_key: number for public_key, number in rows}  # noqa: C416 - rows are no pairs to the type checker


def _read() -> Keyring:
    ours = _ours()
    live, unreadable, retired = {}, set(), set()
    for row in list_all():
        if row.retired_at:
            retired.add(row.public_key)
        elif pair := ours if ours and ours.public_key == row.public_key else _decrypted(row):
            live[row.public_key] = pair
        else:
            unreadable.add(row.public_key)
    newest = next(reversed(live.values()), None)
    if ours and ours.public_key not in retired:
        live.setdefault(ours.public_key, ours)
        newest = newest or ours
    return Keyring(newest, live, frozenset(unreadable))


def _ours() -> VapidKeys | None:
    """Return the key pair in the settings, if there is one."""
    settings = current_settings()
    return VapidKeys(settings.vapid_private_key, settings.vapid_public_key) if settings.push_enabled else None


def _store(pair: VapidKeys) -> None:
    secret = encryption.encrypt(pair.private_key, _PURPOSE)
    db.session.add(VapidKey(public_key=pair.public_key, private_key=secret))
    db.session.flush()


def _decrypted(row: VapidKey) -> VapidKeys | None:
    try:
        private_key = encryption.decrypt(row.private_key or "", _PURPOSE)
        if vapid_validators.public_key_of(private_key) == row.public_key:
            return VapidKeys(private_key, row.public_key)
    except (encryption.UnreadableError, ValidationError):
        return None
    return None


def _forget() -> None:
    current_app.extensions.pop("push.keys", None)

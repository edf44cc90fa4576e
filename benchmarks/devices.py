"""Devices to push to: many devices share a few real key pairs; their endpoints are at the benchmarks' push service."""

import base64
import os
from collections.abc import Sequence
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from feedback_push.push.notification import Notification

_KEY_PAIRS = 64
NOTE = Notification(
    title="Ada Lovelace:",
    body="The Analytical Engine has no pretensions whatever to originate anything. It can do whatever we know how to "
    "order it",
    navigate="http://127.0.0.1:8000/admin/messages/1",
    tag="message-1",
)


@cache
def keys() -> tuple[dict[str, str], ...]:
    """Return key pairs in the form that browsers send as `keys`."""
    return tuple({"p256dh": _new_public_key(), "auth": _base64url(os.urandom(16))} for _ in range(_KEY_PAIRS))


def subscription(prefix: str, number: int, among: Sequence[dict[str, str]]) -> dict[str, Any]:
    """Return one device in the form of a browser's JSON; its keys come from `among`."""
    return {"endpoint": f"{prefix}{number}", "keys": among[number % len(among)]}


def _new_public_key() -> str:
    public_key = ec.generate_private_key(ec.SECP256R1()).public_key()
    return _base64url(public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

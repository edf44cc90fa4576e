"""VAPID key pairs (RFC 8292)."""

import base64
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec

from feedback_push import vapid_rules


class VapidKeys(NamedTuple):
    """A key pair in base64url without padding: 32 bytes of private key, 65 bytes of public key."""

    private_key: str
    public_key: str


def generate() -> VapidKeys:
    """Make a new pair."""
    secret = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
    private_key = base64.urlsafe_b64encode(secret.to_bytes(32, "big")).rstrip(b"=").decode()
    return VapidKeys(private_key, vapid_rules.public_key_of(private_key))

"""VAPID key pairs: what an operator is given, and what browsers and push services can use."""

import base64

from cryptography.hazmat.primitives.asymmetric import ec

from feedback_push.push import vapid


def test_a_new_pair_is_32_and_65_bytes_of_base64url() -> None:
    pair = vapid.generate()
    assert len(base64.urlsafe_b64decode(pair.private_key + "=")) == 32
    assert len(base64.urlsafe_b64decode(pair.public_key + "=")) == 65
    assert "=" not in pair.private_key + pair.public_key
    assert pair != vapid.generate()


def test_the_halves_of_a_pair_belong_together() -> None:
    pair = vapid.generate()
    secret = int.from_bytes(base64.urlsafe_b64decode(pair.private_key + "="))
    numbers = ec.derive_private_key(secret, ec.SECP256R1()).public_key().public_numbers()
    point = b"\x04" + numbers.x.to_bytes(32) + numbers.y.to_bytes(32)
    assert base64.urlsafe_b64decode(pair.public_key + "=") == point

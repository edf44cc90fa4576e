"""The keys of a subscription that the double made itself: the browser's half of RFC 8291."""

import secrets

import http_ece
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


class DeviceKeys:
    """The private key and the shared secret that a browser keeps for one subscription."""

    def __init__(self) -> None:
        self.private_key = ec.generate_private_key(ec.SECP256R1())
        self.secret = secrets.token_bytes(16)

    @property
    def point(self) -> bytes:
        return self.private_key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def decrypt(self, body: bytes) -> bytes:
        """Return the plaintext of an RFC 8291 body; raise ValueError if it is not for these keys."""
        try:
            plaintext: bytes = http_ece.decrypt(body, private_key=self.private_key, auth_secret=self.secret)
        except http_ece.ECEException as error:
            raise ValueError(f"this push cannot be read: {error}") from error
        return plaintext

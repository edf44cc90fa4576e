"""An authenticator in software: it makes passkeys and signs challenges as a browser and a security key do together."""

import base64
import json
import secrets
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40  # flags of the authenticator data (WebAuthn, section 6.1)


@dataclass
class Authenticator:
    """One passkey; `origin`, `host`, `flags` and `count` can be changed to what an honest one never sends."""

    origin: str = "http://localhost:8000"
    host: str = "localhost"
    flags: int = PRESENT | VERIFIED
    count: int = 0
    step: int = 1
    handle: str | None = None
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    id: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    def create(self, options: dict[str, Any], **client: Any) -> str:
        """Return the JSON that a page sends after `navigator.credentials.create`."""
        self.handle = options["user"]["id"]
        data = self._data(self.flags | ATTESTED) + bytes(16) + len(self.id).to_bytes(2, "big") + self.id + self._cose()
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        signed = self._client("webauthn.create", options, client)
        return self._json(clientDataJSON=signed, attestationObject=attestation)

    def get(self, options: dict[str, Any], **client: Any) -> str:
        """Return the JSON that a page sends after `navigator.credentials.get`."""
        self.count += self.step
        data, signed = self._data(self.flags), self._client("webauthn.get", options, client)
        signature = self.key.sign(data + sha256(signed).digest(), ec.ECDSA(SHA256()))
        handle = _bytes(self.handle) if self.handle else None
        return self._json(clientDataJSON=signed, authenticatorData=data, signature=signature, userHandle=handle)

    def _client(self, kind: str, options: dict[str, Any], more: dict[str, Any]) -> bytes:
        data = {"type": kind, "challenge": options["challenge"], "origin": self.origin, "crossOrigin": False}
        return json.dumps(data | more).encode()

    def _data(self, flags: int) -> bytes:
        return sha256(self.host.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")

    def _cose(self) -> bytes:
        numbers = self.key.public_key().public_numbers()
        return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")})

    def _json(self, **parts: bytes | None) -> str:
        response = {name: _text(part) for name, part in parts.items() if part is not None}
        return json.dumps({"id": _text(self.id), "rawId": _text(self.id), "type": "public-key", "response": response})


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(f"{text}==")

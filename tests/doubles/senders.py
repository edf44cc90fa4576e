"""A sender of pushes for tests: pywebpush, with every part of the request open to change."""

import json
import time
from collections.abc import Mapping
from typing import Any

import requests
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid
from pywebpush import WebPusher

from tests.doubles import base64url
from tests.doubles.push_device import Device


class Sender:
    """A sender with a VAPID key; subscriptions are made with `public_key`."""

    def __init__(self) -> None:
        self.vapid = Vapid()
        self.vapid.generate_keys()
        self._session = requests.Session()
        self._session.trust_env = False  # REQUESTS_CA_BUNDLE would override `verify`
        point = self.vapid.public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.public_key = base64url.encode(point)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def trust(self, ca_file: str) -> None:
        """Verify https against this authority only."""
        self._session.verify = ca_file

    def authorization(self, endpoint: str, **claims: Any) -> str:
        """Return a correctly signed VAPID header for this endpoint, with other claims if given."""
        origin = "/".join(endpoint.split("/")[:3])
        usual = {"aud": origin, "exp": int(time.time()) + 3600, "sub": "mailto:owner@feedback.test"}
        return f"vapid t={self._token({**usual, **claims})},k={self.public_key}"

    def post(
        self,
        endpoint: str,
        body: bytes,
        headers: Mapping[str, str | None] | None = None,
        *,
        timeout: float = 5,
        stream: bool = False,
    ) -> requests.Response:
        """Send a finished body, with other headers if given; a header given as None is left out."""
        usual = {
            "TTL": "60",
            "Content-Encoding": "aes128gcm",
            "Authorization": self.authorization(endpoint),
        }
        wanted = {name: value for name, value in {**usual, **(headers or {})}.items() if value is not None}
        return self._session.post(
            endpoint,
            body,
            headers=wanted,
            timeout=timeout,
            stream=stream,
            allow_redirects=False,
        )

    def push(
        self,
        device: Device,
        data: bytes = b'{"hello": "world"}',
        *,
        timeout: float = 5,
        stream: bool = False,
    ) -> requests.Response:
        """Encrypt for this device and send."""
        return self.post(device.endpoint, encrypted(device.as_json(), data), timeout=timeout, stream=stream)

    def _token(self, claims: dict[str, Any]) -> str:
        parts = [{"typ": "JWT", "alg": "ES256"}, claims]
        signed = ".".join(base64url.encode(json.dumps(part).encode()) for part in parts)
        signature = self.vapid.private_key.sign(signed.encode(), ec.ECDSA(SHA256()))
        numbers = b"".join(number.to_bytes(32) for number in decode_dss_signature(signature))
        return f"{signed}.{base64url.encode(numbers)}"


def encrypted(subscription: dict[str, Any], data: bytes) -> bytes:
    """Return the body that pywebpush makes for a subscription."""
    body: bytes = WebPusher(subscription).encode(data)["body"]
    return body

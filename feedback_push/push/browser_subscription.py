"""Check the subscription that a browser sends: its endpoint, its keys, and the VAPID key that it used."""

import base64
import binascii
from collections.abc import Container
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec
from flask_babel import lazy_gettext as _

from feedback_push.config import Settings
from feedback_push.webpush.endpoints import KNOWN_HOSTS, EndpointPolicy, EndpointRefused, UnknownService

_LONGEST_KEY = 200  # characters; the longest has 88


class SubscriptionRefused(ValueError):
    """The browser's subscription cannot be used; the text says why."""


@dataclass(frozen=True)
class BrowserSubscription:
    """The checked fields of `PushSubscription.toJSON()`; the keys are base64url without padding."""

    endpoint: str
    p256dh: str
    auth: str

    @classmethod
    def parse(cls, data: object, policy: EndpointPolicy) -> "BrowserSubscription":
        """Check the JSON that a browser sent; raise SubscriptionRefused with the reason if it is not valid."""
        if not isinstance(data, dict) or not isinstance(keys := data.get("keys"), dict):
            raise SubscriptionRefused("Send an object with endpoint and keys.")
        endpoint = data.get("endpoint")
        if not isinstance(endpoint, str) or not endpoint:
            raise SubscriptionRefused("The endpoint is missing.")
        try:
            policy.check(endpoint)
        except UnknownService as error:
            raise SubscriptionRefused(f"{error} The operator can allow it with PUSH_ALLOWED_HOSTS.") from None
        except EndpointRefused as error:
            raise SubscriptionRefused(str(error)) from None
        return cls(endpoint, _public_key(keys.get("p256dh")), _secret(keys.get("auth")))


def endpoint_policy(settings: Settings) -> EndpointPolicy:
    """Return the policy that the settings describe: the known push services and the operator's own."""
    return EndpointPolicy(KNOWN_HOSTS + settings.push_allowed_hosts, settings.push_allow_private_addresses)


def key_of(data: object, live: Container[str]) -> str | None:
    """Return the VAPID key that a browser names as its own, or None; raise SubscriptionRefused if the key has ended."""
    key = data.get("applicationServerKey") if isinstance(data, dict) else None
    if key is not None and not (isinstance(key, str) and len(key) <= _LONGEST_KEY and key in live):
        raise SubscriptionRefused(_("This browser uses a key that is no longer valid. Please load the page again."))
    return key


def _public_key(value: object) -> str:
    raw = _decode(value, "p256dh")
    if len(raw) != 65 or not _on_curve(raw):
        raise SubscriptionRefused("p256dh is not an uncompressed point on P-256.")
    return _encode(raw)


def _on_curve(point: bytes) -> bool:
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError:
        return False
    return True


def _secret(value: object) -> str:
    raw = _decode(value, "auth")
    if len(raw) != 16:
        raise SubscriptionRefused("auth is not 16 bytes.")
    return _encode(raw)


def _decode(value: object, name: str) -> bytes:
    if not isinstance(value, str) or not value or len(value) > _LONGEST_KEY:
        raise SubscriptionRefused(f"{name} is missing or malformed.")
    try:
        text = value.rstrip("=")
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise SubscriptionRefused(f"{name} is not base64url.") from None


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

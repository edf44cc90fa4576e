"""The site's master secret, and the one before it: sign with the first, and accept what either has signed.

An operator who replaces SECRET_KEY keeps the old one in SECRET_KEY_PREVIOUS until nothing depends on it.
"""

import hmac

from feedback_push.config import current_settings


def accepted() -> tuple[str, ...]:
    """Return the keys whose signatures count, the current one first."""
    settings = current_settings()
    return (settings.secret_key, *filter(None, [settings.secret_key_previous]))


def oldest_first() -> list[str]:
    """Return the keys in the order that itsdangerous wants; it signs with the last one."""
    return [*reversed(accepted())]


def derived(purpose: str) -> tuple[bytes, ...]:
    """Return a key for this purpose alone from each master secret, the current one first."""
    return tuple(derive(secret, purpose) for secret in accepted())


def derive(secret_key: str, purpose: str) -> bytes:
    """Derive a key for this purpose alone from a master secret."""
    return hmac.digest(secret_key.encode(), purpose.encode(), "sha256")

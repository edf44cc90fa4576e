"""Encode and decode base64url as the push standards do, without padding; refuse anything else."""

import base64
import re

_ALPHABET = re.compile(r"[A-Za-z0-9_-]+")


def encode(data: bytes) -> str:
    """Return these bytes as unpadded base64url."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Return the bytes of an unpadded base64url text; raise ValueError for anything else."""
    if not _ALPHABET.fullmatch(text):
        raise ValueError("not base64url without padding")
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)

"""Private links: the secret token in a visitor's address, derived from the site's secret and stored only as a hash."""

import base64
import hmac
import re
from hashlib import sha256

from feedback_push.config import current_settings

TOKEN_LENGTH = 43  # characters: 256 bits in base64url
_TOKEN = re.compile(r"[\w-]{43}", re.ASCII)
_UNFINISHED = re.compile(r"(?P<page>.+/conversations/)(?P<message_id>\d+)\.(?P<number>\d+)", re.ASCII)


def token(message_id: int, number: int) -> str:
    """Return the token of a message's link with this number; each new link of a message has a higher number."""
    key = hmac.digest(current_settings().secret_key.encode(), b"private link", "sha256")
    raw = hmac.digest(key, b"%d:%d" % (message_id, number), "sha256")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def is_token(text: object) -> bool:
    """Return whether this could be a token, which only a look into the database can tell."""
    return isinstance(text, str) and _TOKEN.fullmatch(text) is not None


def hashed(token: str) -> str:
    """Return the hash of a token as 64 hexadecimal digits; it needs no salt, because a token is random."""
    return sha256(token.encode()).hexdigest()


def unfinished(message_id: int, number: int) -> str:
    """Return the address of a private page without its token, so that no stored notification opens the page."""
    return f"{current_settings().site_url}/conversations/{message_id}.{number}"


def finished(address: str) -> str:
    """Return an address that `unfinished` has made with its token in place, and any other address unchanged."""
    if not (match := _UNFINISHED.fullmatch(address)):
        return address
    return match["page"] + token(int(match["message_id"]), int(match["number"]))

"""Turn a push service's answer into a decision: each error class says what to do next.

PushError
├── Gone           the device has unsubscribed: take it off the list
├── KeyMismatch    the device belongs to another VAPID key: it must subscribe again
├── Misconfigured  our key, contact or clock is wrong: stop sending to this origin, blame no device
├── Rejected       our message is wrong: send it once more, smaller, then give up
├── Throttled      too fast: wait for `retry_after`, and send fewer at a time
├── Unavailable    the push service or the way to it failed: try again later
├── ProxyFailed    our proxy did not connect to it: try again later, blame no device
└── Postponed      never sent, because its origin answers too slowly: try again later; it was no attempt
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import ClassVar

ACCEPTED = range(200, 205)
LONGEST_DETAIL = 200
# In the answers of Apple, FCM (two spellings) and Mozilla, in this order.
_KEY_MISMATCH = re.compile(r"VapidPkHashMismatch|do not correspond|MismatchSenderId|public key mismatch", re.IGNORECASE)
_SECRET = re.compile(r"\w+://\S+|[A-Za-z0-9_+/=.-]{24,}")


@dataclass
class PushError(Exception):
    """`status` is the HTTP status if there was an answer, `detail` the service's reason, `retry_after` in seconds."""

    status: int | None = None
    detail: str = ""
    retry_after: float | None = None
    code: ClassVar[str]
    conclusive: ClassVar[bool] = True  # the push service accepted our key and contact


class Gone(PushError):
    """404 or 410."""

    code = "gone"


class KeyMismatch(PushError):
    """The subscription was made with another application server key."""

    code = "key-mismatch"


class Misconfigured(PushError):
    """401 or 403 for a reason that is ours."""

    code = "misconfigured"
    conclusive = False


class Rejected(PushError):
    """400, 413 or another refusal of this message."""

    code = "rejected"


class Throttled(PushError):
    """429, or 406 from Windows; a service may answer so before it looks at our key."""

    code = "throttled"
    conclusive = False


class Unavailable(PushError):
    """408, 5xx, a network error or no answer in time."""

    code = "unavailable"
    conclusive = False


class ProxyFailed(PushError):
    """Our proxy is down, hangs or refused to connect; the push service was not asked."""

    code = "proxy"
    conclusive = False


class Postponed(PushError):
    """Waited too long for its turn at an origin that answers slowly."""

    code = "postponed"
    conclusive = False


def error_for(status: int, headers: Mapping[str, str], body: bytes) -> PushError:
    """Return the error for an answer whose status is not among ACCEPTED.

    The names in `headers` are in lower case; `body` is the beginning of the answer's body.
    """
    text = body.decode("utf-8", "replace")
    kind = _kind(status, text)
    return kind(status=status, detail=_detail(headers, text), retry_after=retry_after(headers.get("retry-after")))


def _kind(status: int, text: str) -> type[PushError]:
    if status in (404, 410):
        return Gone
    if status in (400, 401, 403) and _KEY_MISMATCH.search(text):
        return KeyMismatch
    if status in (401, 403):
        return Misconfigured
    if status in (406, 429):
        return Throttled
    # A redirect is not followed: a push service does not answer with one.
    if status == 408 or status >= 500 or status < 400:
        return Unavailable
    return Rejected


def _detail(headers: Mapping[str, str], text: str) -> str:
    """Return the service's own reason, from the place where each service puts it, without possible secrets."""
    return masked(headers.get("x-wns-error-description") or _reason_in_json(text) or text)


def reason(text: str) -> str:
    """Return the reason in the beginning of an answer's body, on one line and without possible secrets."""
    return masked(_reason_in_json(text) or text)


def masked(text: str) -> str:
    """Return a short text on one line, without what may be a secret: addresses, keys and tokens."""
    text = _SECRET.sub("…", " ".join(text.split()))
    return "".join(char for char in text if char.isprintable())[:LONGEST_DETAIL]


def _reason_in_json(text: str) -> str:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(data, dict):
        return ""
    reason = data.get("reason") or data.get("message") or data.get("error")
    return reason if isinstance(reason, str) else ""


def retry_after(value: str | None) -> float | None:
    """Return seconds from now, from either form of the header (RFC 9110); None if it has neither."""
    if value is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}", value.strip()):
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())  # HTTP knows only UTC

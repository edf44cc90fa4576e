"""What a push service's answer means: the table that turns an HTTP response into a decision."""

import json
import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

from feedback_push.database import utcnow
from feedback_push.push import errors
from feedback_push.push.errors import PushError

ACCEPTED = range(200, 205)
_LONGEST_DETAIL = 200
# Apple, FCM (two spellings) and Mozilla, in the order of push-key mismatches seen in their answers.
_KEY_MISMATCH = re.compile(r"VapidPkHashMismatch|do not correspond|MismatchSenderId|public key mismatch", re.IGNORECASE)
_SECRET = re.compile(r"\w+://\S+|[A-Za-z0-9_+/=.-]{24,}")


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> PushError:
    """The error that says what to do about an answer that is not among ACCEPTED.

    The names of `headers` are in lower case; `body` is its beginning.
    """
    text = body.decode("utf-8", "replace")
    kind = _kind(status, text)
    return kind(status=status, detail=_detail(headers, text), retry_after=_retry_after(headers.get("retry-after")))


def _kind(status: int, text: str) -> type[PushError]:
    if status in (404, 410):
        return errors.Gone
    if status in (400, 401, 403) and _KEY_MISMATCH.search(text):
        return errors.KeyMismatch
    if status in (401, 403):
        return errors.Misconfigured
    if status in (406, 429):
        return errors.Throttled
    # A redirect is not followed: it is no answer of a push service.
    if status == 408 or status >= 500 or status < 400:
        return errors.Unavailable
    return errors.Rejected


def _detail(headers: Mapping[str, str], text: str) -> str:
    """The service's own reason, from where each of them puts it, without anything that could be a secret."""
    words = headers.get("x-wns-error-description") or _reason_in_json(text) or text
    words = _SECRET.sub("…", " ".join(words.split()))
    return "".join(char for char in words if char.isprintable())[:_LONGEST_DETAIL]


def _reason_in_json(text: str) -> str:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(data, dict):
        return ""
    reason = data.get("reason") or data.get("message") or data.get("error")
    return reason if isinstance(reason, str) else ""


def _retry_after(value: str | None) -> float | None:
    """Seconds from now, from either form of the header; None where it says nothing usable."""
    if value is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}", value.strip()):
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - utcnow()).total_seconds())  # HTTP knows only UTC

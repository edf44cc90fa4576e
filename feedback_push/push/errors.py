"""What a push service's refusal means for us: each class is a decision, not a status code.

PushError
├── Gone           the device has unsubscribed: take it off the list
├── KeyMismatch    the device belongs to another VAPID key: it must re-subscribe
├── Misconfigured  our key, contact or clock is wrong: hold this origin, blame no device
├── Rejected       our message is wrong: once more, smaller, then give up
├── Throttled      too fast: not before `retry_after`, and slower from now on
├── Unavailable    the push service or the way to it failed: later
├── SessionEnded   never sent, because the session of its device has ended: give up
├── ProxyFailed    our proxy did not connect to it: later, and blame no device
└── Postponed      never sent, because its origin answers too slowly: later, and not an attempt
"""

from dataclasses import dataclass
from typing import ClassVar


@dataclass
class PushError(Exception):
    """`status` is the HTTP status if there was an answer, `detail` the service's reason; `retry_after` in seconds."""

    status: int | None = None
    detail: str = ""
    retry_after: float | None = None
    code: ClassVar[str]
    conclusive: ClassVar[bool] = True  # the push service took our key and contact for good


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
    """400, 413 or another refusal of this very message."""

    code = "rejected"


class Throttled(PushError):
    """429, or 406 from Windows; it may be said before anybody looks at our key."""

    code = "throttled"
    conclusive = False


class Unavailable(PushError):
    """408, 5xx, a network error or no answer in time."""

    code = "unavailable"
    conclusive = False


class SessionEnded(PushError):
    """Somebody ended the session of the device, or withdrew the delivery, before it was sent."""

    code = "session-ended"
    conclusive = False


class ProxyFailed(PushError):
    """The proxy in PUSH_PROXY is down, hangs, or refused to connect; the push service was not asked."""

    code = "proxy"
    conclusive = False


class Postponed(PushError):
    """Waited too long for its turn at an origin that answers slowly."""

    code = "postponed"
    conclusive = False

"""The ledger in words: what became of a delivery, for an administrator."""

from feedback_push.push import errors
from feedback_push.push.models import Delivery, DeliveryState

_REASONS = {
    errors.Gone.code: "The browser has unsubscribed.",
    errors.KeyMismatch.code: "The browser subscribed with another key; opening the dashboard there mends it.",
    errors.Misconfigured.code: "The push service refuses this site's key, contact or clock.",
    errors.Rejected.code: "The push service refused the message.",
    errors.Throttled.code: "The push service asks us to wait.",
    errors.Unavailable.code: "The push service could not be reached.",
    errors.Postponed.code: "The push service answers slowly.",
}


def reason(delivery: Delivery) -> str | None:
    """Why a delivery is not accepted, with the push service's own words; None when there is nothing to explain."""
    if delivery.state == DeliveryState.ACCEPTED or delivery.error is None:
        return "Its time ran out." if delivery.state == DeliveryState.EXPIRED else None
    theirs = " ".join(str(part) for part in (delivery.status, delivery.detail) if part)
    return _REASONS[delivery.error] + (f" ({theirs})" if theirs else "")

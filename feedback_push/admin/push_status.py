"""What the dashboard says about push: whether it is on, and what an operator has to mend."""

from dataclasses import dataclass

from flask import current_app

from feedback_push.push import origins, subscriptions
from feedback_push.push.models import DeviceState


@dataclass(frozen=True)
class PushStatus:
    """`banner` is a configuration alarm in words, or None when all is well."""

    banner: str | None


def current() -> PushStatus | None:
    """The state of push for the dashboard; None when no keys are configured."""
    settings = current_app.extensions["settings"]
    if not settings.push_enabled:
        return None
    return PushStatus(_refused() or _mismatched(settings.vapid_public_key))


def _refused() -> str | None:
    held = origins.held()
    if not held:
        return None
    reasons = "; ".join(f"{place.origin} answered {place.status} {place.detail}".strip() for place in held)
    return (
        "Notifications are on hold: a push service refuses this site's signature. "
        f"Check VAPID_SUBJECT, the VAPID keys and the server's clock. ({reasons})"
    )


def _mismatched(vapid_public_key: str) -> str | None:
    stale = subscriptions.count(DeviceState.STALE, vapid_public_key)
    if not stale or subscriptions.count(DeviceState.LIVE, vapid_public_key):
        return None
    return (
        "Every device was refused because it belongs to another VAPID key. "
        "Put the earlier VAPID keys back, or open the dashboard once on each device."
    )

"""The state of push on the dashboard: whether it is on, and what an operator has to fix."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from flask_babel import gettext

from feedback_push.admin import labels
from feedback_push.auth.models import User
from feedback_push.config import current_settings
from feedback_push.feedback import lists
from feedback_push.installation import COMMAND
from feedback_push.push import circuit_breaker, history, keys, subscriptions
from feedback_push.push.keys import Keyring
from feedback_push.push.models import DeviceState, Subscription


@dataclass(frozen=True)
class PushStatus:
    """The state of push for one administrator.

    `banner` is the text of a configuration alarm, or None when all is well. `troubled` are the administrator's browsers
    with a problem.
    """

    banner: str | None
    troubled: Sequence[Subscription]
    has_device: bool  # True if at least one device works

    @property
    def gone(self) -> list[Subscription]:
        """The browsers whose subscription the push service has dropped. They must subscribe again."""
        return [device for device in self.troubled if device.state == DeviceState.GONE]

    @property
    def failing(self) -> list[Subscription]:
        """The browsers for which several pushes in a row have failed."""
        return [device for device in self.troubled if device.state != DeviceState.GONE]

    def why_failing(self, device: Subscription) -> str | None:
        """Return the reason as a text, or None."""
        last = history.last_failed(device)
        return labels.reason(last) if last else None

    @property
    def newest_unread(self) -> int:
        """The id of the newest unread message, or 0."""
        return lists.newest_unread()


class RotationProgress(NamedTuple):
    """The number of devices with the current VAPID key, and the number of all devices."""

    devices: int
    of: int


def current(user: User) -> PushStatus | None:
    """Return the state of push for an administrator, or None if no keys are configured."""
    keyring = keys.cached()
    if keyring.current:
        banner = _refused() or _proxy_failed() or _unreadable(keyring) or _mismatched(keyring.current.public_key)
    else:
        banner = _unreadable(keyring)
    if not (keyring.current or banner):
        return None
    return PushStatus(banner, subscriptions.troubled(user), subscriptions.works(user, keyring.live))


def rotation_progress() -> RotationProgress | None:
    """Return how many devices have moved to the current VAPID key, or None if there is no old key."""
    keyring = keys.cached()
    if keyring.current is None or len(keyring.live) + len(keyring.unreadable) < 2:
        return None
    devices = keys.devices()
    return RotationProgress(devices.get(keyring.current.public_key, 0), sum(devices.values()))


def _refused() -> str | None:
    held = circuit_breaker.open_circuits()
    if not held:
        return None
    text: str = gettext(
        "Notifications are on hold: a push service refuses this site's signature. Check VAPID_SUBJECT, the VAPID keys "
        "and the server's clock. (%(answers)s)",
        answers="; ".join(f"{place.origin}: {place.status} {place.detail}".strip() for place in held),
    )
    return text


def _proxy_failed() -> str | None:
    failure = history.proxy_failure() if current_settings().push_proxy else None
    if failure is None:
        return None
    text: str = gettext(
        "Notifications wait, because the proxy in PUSH_PROXY does not let them through. They are sent as soon as it "
        "does. (%(reason)s)",
        reason=failure,
    )
    return text


def _unreadable(keyring: Keyring) -> str | None:
    if not keyring.unreadable:
        return None
    text: str = gettext(
        "A VAPID key cannot be used, because SECRET_KEY has changed since the key was created. Devices with that key"
        " get no notifications. Restore the previous SECRET_KEY. Or create a new key with `%(command)s vapid rotate`, "
        "retire the old one with `%(command)s vapid retire`, and open the dashboard once on each device.",
        command=COMMAND,
    )
    return text


def _mismatched(vapid_public_key: str) -> str | None:
    stale = subscriptions.count(DeviceState.STALE, vapid_public_key)
    if not stale or subscriptions.count(DeviceState.LIVE, vapid_public_key):
        return None
    text: str = gettext(
        "The push services refused every device, because the devices subscribed with another VAPID key. Restore the "
        "previous VAPID keys, or open the dashboard once on each device."
    )
    return text

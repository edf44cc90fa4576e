"""The first steps on a site, each with its state, for an empty inbox."""

from typing import NamedTuple

from flask_login import current_user

from feedback_push import browser_name
from feedback_push.auth import sessions
from feedback_push.feedback import lists
from feedback_push.push import keys, subscriptions
from feedback_push.push.models import DeviceState


class Steps(NamedTuple):
    """True for each step that is done."""

    notifications: bool  # a device of the administrator gets notifications
    phone: bool  # they are signed in on a phone or tablet, or get notifications there
    form: bool  # somebody who was not signed in has sent a message, other than spam
    message: bool  # anybody has


def steps() -> Steps:
    """Return the state of each step for the signed-in administrator."""
    notifies = subscriptions.works(current_user, keys.cached().live)
    return Steps(notifies, _has_phone(), lists.has_any(from_visitors=True), lists.has_any())


def _has_phone() -> bool:
    browsers = [session.browser for session in sessions.of(current_user)]
    browsers += [device.name for device in subscriptions.of(current_user) if device.state != DeviceState.GONE]
    return any(browser_name.is_mobile(browser) for browser in browsers)

"""Texts that tell administrators the stage of a delivery, the reason for it, and the next step."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from flask_babel import format_decimal, gettext, lazy_gettext
from sqlalchemy import Row

from feedback_push import bidi, browser_name
from feedback_push.feedback import form_words
from feedback_push.feedback.models import Message
from feedback_push.push.claims import SessionEnded
from feedback_push.push.history import LeftOut, Stage
from feedback_push.push.models import Delivery, DeliveryState, OutboxEntry
from feedback_push.webpush import responses

TEST_TIMEOUT = timedelta(seconds=15)
STAGES = {
    Stage.QUEUED: lazy_gettext("Queued"),
    Stage.SENDING: lazy_gettext("On its way"),
    Stage.RETRYING: lazy_gettext("Not yet sent"),
    Stage.HELD: lazy_gettext("Held"),
    Stage.SUMMARISED: lazy_gettext("Summarised"),
    Stage.PAUSED: lazy_gettext("Paused"),
    Stage.CANCELLED: lazy_gettext("Cancelled"),
    Stage.ACCEPTED: lazy_gettext("Sent"),
    Stage.SHOWN: lazy_gettext("Shown"),
    Stage.CLICKED: lazy_gettext("Opened"),
    Stage.FAILED: lazy_gettext("Failed"),
    Stage.EXPIRED: lazy_gettext("Expired"),
}
COUNTED = {**STAGES, Stage.QUEUED: lazy_gettext("Sending")}
LEFT_OUT = {
    LeftOut.NOT_YET: lazy_gettext("A worker has not picked it up yet."),
    LeftOut.ADDED_LATER: lazy_gettext("Nothing was sent: this device was added later."),
    LeftOut.PAUSED: lazy_gettext("Nothing was sent: this device is paused. Resume it under Devices."),
    LeftOut.MUTED: lazy_gettext("Nothing was sent: your settings turn this kind of notification off."),
    LeftOut.NOT_CHOSEN: lazy_gettext("Nothing was sent: this form notifies other administrators."),
    LeftOut.OTHERWISE: lazy_gettext(
        "Nothing was sent: this device was paused at that time, or its notifications were turned off."
    ),
}
REASONS = {
    responses.Gone.code: lazy_gettext("The browser has unsubscribed."),
    responses.KeyMismatch.code: lazy_gettext("The browser has subscribed with another key of this site."),
    responses.Misconfigured.code: lazy_gettext("The push service refuses this site's key, contact or clock."),
    responses.Rejected.code: lazy_gettext("The push service refused the notification."),
    responses.Throttled.code: lazy_gettext("The push service asks us to wait."),
    responses.Unavailable.code: lazy_gettext("The push service could not be reached."),
    SessionEnded.code: lazy_gettext("The session of this device was ended."),
    responses.ProxyFailed.code: lazy_gettext("The proxy did not connect to the push service."),
    responses.Postponed.code: lazy_gettext("The push service answers slowly."),
}
_TOO_LATE = lazy_gettext("It expired.")
_NOT_AGAIN = lazy_gettext("It expired and is not tried again.")
_WHEN_MENDED = lazy_gettext("It is sent as soon as this is fixed. Until then, one notification is tried every minute.")
# Advice to administrators when nothing more is sent.
_REMEDIES = {
    responses.Gone.code: lazy_gettext(
        "Nothing more is sent to this device until you turn notifications on there again."
    ),
    responses.KeyMismatch.code: lazy_gettext("To fix this, open the dashboard once on that device."),
    SessionEnded.code: lazy_gettext("Sign in again on that device to get notifications there."),
    responses.Rejected.code: lazy_gettext("It was also tried without its text. Nothing more is sent."),
}
# The same for a visitor's device, on which the reader can do nothing.
_REMEDIES_OF_VISITORS = {
    **_REMEDIES,
    responses.Gone.code: lazy_gettext("Nothing more is sent there until the visitor turns notifications on again."),
    responses.KeyMismatch.code: lazy_gettext("It gets notifications again after the visitor has opened their page."),
}
_UNKNOWN = lazy_gettext(
    "We do not know if it was shown: the device may be off or offline, or its browser may not report it."
)
_UNKNOWN_TO_SAFARI = lazy_gettext(
    "We do not know if it was shown: Safari shows notifications by itself and does not report it."
)
_NOT_SEEN = lazy_gettext(
    "Not shown within 15 seconds: the device may be off or offline, or its browser may not report it."
)
_NOT_SEEN_BY_SAFARI = lazy_gettext(
    "Sent. We do not know if it was shown: Safari shows notifications by itself and does not report it."
)
_APPLE = ".push.apple.com/"


def sender(name: str) -> str:
    """Return a visitor's name as a page can show it, or a text for a visitor who has left it out."""
    return bidi.isolated(name) or str(gettext("Anonymous"))


def about(row: Message | Row[Any], form_names: Mapping[str, str]) -> dict[str, Any]:
    """Return how a message's form was answered: its rating as text and as symbols, its category and its form.

    The default form is not named.
    """
    form = form_names.get(row.form_key, row.form_key) if row.form_key else None
    return {
        "rating": form_words.rating(row.rating) if row.rating else None,
        "symbols": form_words.symbols(row.rating) if row.rating else None,
        "pills": [bidi.isolated(text) for text in (row.category, form) if text],
    }


def is_visitors(delivery: Delivery) -> bool:
    """Return whether a delivery is for the device of a visitor."""
    return delivery.subscription.user_id is None


def device(delivery: Delivery) -> str:
    """Return the name of a delivery's device, in the reader's language."""
    name = browser_name.localized(delivery.subscription.name)
    return str(gettext("A visitor's %(browser)s", browser=name)) if is_visitors(delivery) else name


def reason(delivery: Delivery) -> str | None:
    """Return why a delivery is not accepted, with the push service's text; None if there is nothing to explain."""
    if delivery.shown_at or delivery.state in (DeliveryState.ACCEPTED, DeliveryState.SUMMARISED):
        return None
    if delivery.error is None:
        return str(_TOO_LATE) if delivery.state == DeliveryState.EXPIRED else None
    theirs = " ".join(str(part) for part in (delivery.status, delivery.detail) if part)
    return str(REASONS[delivery.error]) + (f" ({theirs})" if theirs else "")


def next_step(delivery: Delivery) -> str | None:
    """Return what is unknown about a delivery, what happens next, or what to do; None if it is a matter of time."""
    text = None if delivery.shown_at else _next_step(delivery)
    return None if text is None else str(text)


def _next_step(delivery: Delivery) -> object:
    match delivery.state:
        case DeliveryState.ACCEPTED:
            return _UNKNOWN_TO_SAFARI if _APPLE in delivery.subscription.endpoint else _UNKNOWN
        case DeliveryState.FAILED:
            return (_REMEDIES_OF_VISITORS if is_visitors(delivery) else _REMEDIES).get(delivery.error or "")
        case DeliveryState.EXPIRED if delivery.error:
            return _NOT_AGAIN
        case DeliveryState.WAITING if delivery.error == responses.Misconfigured.code:
            return _WHEN_MENDED
    return None


def test_result(entry: OutboxEntry, delivery: Delivery | None, now: datetime) -> tuple[str, bool]:
    """Return the text for the result of a test notification so far, and whether the result is final."""
    if delivery and delivery.shown_at:
        seconds = format_decimal(round((delivery.shown_at - entry.created_at).total_seconds(), 1))
        return gettext("Arrived after %(seconds)s s.", seconds=seconds), True
    if delivery and (why := reason(delivery)):
        final = delivery.state in (DeliveryState.FAILED, DeliveryState.EXPIRED)
        return _joined(why, next_step(delivery)), final
    if now - entry.created_at < TEST_TIMEOUT:
        return gettext("On its way …"), False
    if delivery is None:
        if entry.fanned_out_at:
            return str(REASONS[responses.Gone.code]), True
        return gettext("No worker has picked it up within 15 seconds. Please check that one is running."), False
    if delivery.state == DeliveryState.ACCEPTED:
        return str(_NOT_SEEN_BY_SAFARI if _APPLE in delivery.subscription.endpoint else _NOT_SEEN), True
    return gettext("Not sent within 15 seconds: the push service has not answered yet."), False


def _joined(why: str, then: str | None) -> str:
    # Translators: two whole sentences, why a test did not arrive and what can be done; only their order and the space.
    return why if then is None else gettext("%(reason)s %(next_step)s", reason=why, next_step=then)

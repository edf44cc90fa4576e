"""The lines on every page of the dashboard for open incidents, and for webhooks that were paused."""

from typing import NamedTuple

from flask import url_for
from flask_babel import gettext

from feedback_push.alarms import incidents, texts
from feedback_push.alarms.models import Alarm
from feedback_push.auth.models import User
from feedback_push.webhooks import targets

_MOST = 3


class Line(NamedTuple):
    """A text, and the address of the page with more."""

    text: str
    address: str


def lines(reader: User) -> list[Line]:
    """Return the alarms for an administrator, the oldest first; only owners see webhooks."""
    alarms = [texts.text(Alarm(each.alarm), each.detail) for each in incidents.open_now()[:_MOST]]
    paused = [
        Line(
            gettext("The webhook “%(name)s” is paused, because it does not work any more.", name=target.name),
            url_for("admin.webhook", target_id=target.id),
        )
        for target in (targets.paused()[:_MOST] if reader.is_owner else ())
    ]
    return [*(Line(text, url_for("admin.alarms")) for text in alarms), *paused]

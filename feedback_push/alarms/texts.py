"""The texts of alarms, for people at a target and on the dashboard."""

from typing import Any

from flask_babel import gettext

from feedback_push.alarms.models import Alarm


def title(alarm: Alarm) -> str:
    """Return the title of an alarm."""
    titles = {
        Alarm.UNSEEN: gettext("Nobody has seen a new message"),
        Alarm.DEVICE: gettext("An administrator gets no notifications"),
        Alarm.WORKERS: gettext("No worker is running"),
        Alarm.DRILL: gettext("A drill did not reach everybody"),
    }
    return str(titles[alarm])


def text(alarm: Alarm, detail: dict[str, Any]) -> str:
    """Return the text of an alarm, which says what to do."""
    emails = ", ".join(detail.get("emails", []))
    texts = {
        Alarm.UNSEEN: gettext(
            "No device has shown the notification of a message, and nobody has opened the message. Read it in the "
            "dashboard, and check your devices there."
        ),
        Alarm.DEVICE: gettext(
            "No device of %(email)s gets notifications any more. Open the dashboard on a device and turn "
            "notifications on.",
            email=detail.get("email", ""),
        ),
        Alarm.WORKERS: gettext(
            "No worker has done anything for five minutes. Messages are stored, but no notification is sent until a "
            "worker runs. Start it again."
        ),
        Alarm.DRILL: gettext(
            "The drill's notification did not reach %(emails)s. The dashboard shows why.", emails=emails
        ),
    }
    return str(texts[alarm])


def over(alarm: Alarm, detail: dict[str, Any]) -> str:
    """Return the text for the end of an alarm."""
    email = detail.get("email", "")
    texts = {
        Alarm.UNSEEN: gettext("The messages have been seen."),
        Alarm.DEVICE: gettext("A device of %(email)s gets notifications again.", email=email)
        if detail.get("works", True)
        else gettext("%(email)s has no devices any more.", email=email),
        Alarm.WORKERS: gettext("A worker is running again."),
        Alarm.DRILL: gettext("The last drill has reached everybody."),
    }
    return str(texts[alarm])

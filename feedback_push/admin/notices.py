"""The notice that the next page shows after a bulk action, with the id that its Undo button sends."""

from dataclasses import dataclass

from flask import session
from flask_babel import gettext, ngettext

from feedback_push.feedback.bulk_actions import BulkAction

_KEY = "notice"
_TAKEN_BACK = "taken-back"
_TOO_LATE = "too-late"


@dataclass(frozen=True)
class Notice:
    """A text, and the id of the undo if the action can be undone."""

    words: str
    undo: int | None


def tell(how: BulkAction, count: int, undo: int | None) -> None:
    """Make the next page show the action and the number of messages, and offer to undo it."""
    session[_KEY] = [how, count, undo]


def tell_taken_back() -> None:
    """Make the next page show that the action was undone."""
    session[_KEY] = [_TAKEN_BACK, 0, None]


def tell_too_late() -> None:
    """Make the next page show that the action can no longer be undone."""
    session[_KEY] = [_TOO_LATE, 0, None]


def take() -> Notice | None:
    """Return the notice for this page and remove it, or return None."""
    how, count, undo = session.pop(_KEY, (None, 0, None))
    return Notice(_words(how, count), undo) if how else None


def _words(how: str, count: int) -> str:
    if how == _TAKEN_BACK:
        return str(gettext("The action was undone."))
    if how == _TOO_LATE:
        return str(gettext("Nothing was changed: the action was already undone, or it was too long ago."))
    if not count:
        return str(gettext("No message was selected."))
    words = {
        BulkAction.READ: ngettext("%(num)d message marked as read.", "%(num)d messages marked as read.", count),
        BulkAction.UNREAD: ngettext("%(num)d message marked as unread.", "%(num)d messages marked as unread.", count),
        BulkAction.ARCHIVE: ngettext("%(num)d message archived.", "%(num)d messages archived.", count),
        BulkAction.INBOX: ngettext(
            "%(num)d message moved to the inbox.", "%(num)d messages moved to the inbox.", count
        ),
        BulkAction.SPAM: ngettext("%(num)d message moved to spam.", "%(num)d messages moved to spam.", count),
        BulkAction.NOT_SPAM: ngettext(
            "%(num)d message marked as not spam.", "%(num)d messages marked as not spam.", count
        ),
        BulkAction.DELETE: ngettext("%(num)d message deleted.", "%(num)d messages deleted.", count),
        BulkAction.RESTORE: ngettext("%(num)d message restored.", "%(num)d messages restored.", count),
    }
    return str(words[BulkAction(how)])

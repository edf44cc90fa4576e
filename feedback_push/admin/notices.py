"""What the next page says about a move, with what its Undo button needs."""

from dataclasses import dataclass

from flask import current_app, session
from flask_babel import gettext, ngettext
from itsdangerous import BadSignature, URLSafeSerializer

from feedback_push.feedback.moving import Before, Move, Moved

_KEY = "notice"
_MOST_UNDONE = 200  # messages; four full pages of a list, which are 2 kB of the 4 kB that a cookie may have
_TAKEN_BACK = "taken-back"


@dataclass(frozen=True)
class Notice:
    """Words, and what takes it back where that is possible."""

    words: str
    undo: str | None


def tell(how: Move, moved: Moved) -> None:
    """Have the next page say what was done, and offer to undo it unless that is too much for a cookie."""
    session[_KEY] = [how, moved.count, undo_of(moved.before) if 0 < moved.count <= _MOST_UNDONE else None]


def tell_taken_back() -> None:
    """Have the next page say that it was taken back."""
    session[_KEY] = [_TAKEN_BACK, 0, None]


def take() -> Notice | None:
    """The notice that waits for this page, once."""
    how, count, undo = session.pop(_KEY, (None, 0, None))
    return Notice(_words(how, count), undo) if how else None


def undo_of(before: Before) -> str:
    """What a notice's button sends to take a move back: signed, because it says what messages become."""
    return str(_serializer().dumps(before))


def before(undo: str) -> Before | None:
    """What messages were before, as a notice has kept it; None for anything else."""
    try:
        kept: Before = _serializer().loads(undo)
    except BadSignature:
        return None
    return kept


def _words(how: str, count: int) -> str:
    if how == _TAKEN_BACK:
        return str(gettext("Everything is as it was."))
    if not count:
        return str(gettext("No message was selected."))
    words = {
        Move.READ: ngettext("%(num)d message marked as read.", "%(num)d messages marked as read.", count),
        Move.UNREAD: ngettext("%(num)d message marked as unread.", "%(num)d messages marked as unread.", count),
        Move.ARCHIVE: ngettext("%(num)d message archived.", "%(num)d messages archived.", count),
        Move.INBOX: ngettext("%(num)d message moved to the inbox.", "%(num)d messages moved to the inbox.", count),
        Move.SPAM: ngettext("%(num)d message moved to spam.", "%(num)d messages moved to spam.", count),
        Move.NOT_SPAM: ngettext("%(num)d message is no spam.", "%(num)d messages are no spam.", count),
        Move.DELETE: ngettext("%(num)d message deleted.", "%(num)d messages deleted.", count),
    }
    return str(words[Move(how)])


def _serializer() -> URLSafeSerializer:
    return URLSafeSerializer(current_app.config["SECRET_KEY"], salt="feedback_push.undo")

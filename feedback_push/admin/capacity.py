"""The dashboard's capacity warnings: low disk space, a full spam list, messages without a notification."""

from flask_babel import gettext, ngettext

from feedback_push import disk
from feedback_push.config import current_settings
from feedback_push.disk import Space
from feedback_push.feedback import daily_counts
from feedback_push.feedback.daily_counts import Count


def lines() -> list[str]:
    """Return the warnings that an operator should read, or none when all is well."""
    counts = daily_counts.recent()
    found = [_disk(), _not_notified(counts.get(Count.NOT_NOTIFIED, 0)), _removed(counts.get(Count.SPAM_REMOVED, 0))]
    return [line for line in found if line]


def _disk() -> str | None:
    space = disk.space()
    if space == Space.PLENTY:
        return None
    free = disk.free_mb()
    if space == Space.LITTLE:
        return str(
            gettext("Disk space is low: %(free)d MB are free. Free some space before messages are refused.", free=free)
        )
    return str(
        gettext(
            "The disk is nearly full: %(free)d MB are free. Only short messages are accepted until you free some "
            "space.",
            free=free,
        )
    )


def _not_notified(count: int) -> str | None:
    if not count:
        return None
    limit = current_settings().notification_daily_limit
    text: str = ngettext(
        "Since yesterday, %(num)d message caused no notification, because its network had reached the daily limit "
        "(NOTIFICATION_DAILY_LIMIT: %(limit)d).",
        "Since yesterday, %(num)d messages caused no notification, because their network had reached the daily limit"
        " (NOTIFICATION_DAILY_LIMIT: %(limit)d).",
        count,
        limit=limit,
    )
    return text


def _removed(count: int) -> str | None:
    if not count:
        return None
    text: str = ngettext(
        "The spam list is full. Since yesterday, its oldest message was permanently deleted.",
        "The spam list is full. Since yesterday, its %(num)d oldest messages were permanently deleted.",
        count,
    )
    return text

"""Preferences: what each administrator wants of notifications, and the site's defaults for those who have not said."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, time
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flask import current_app
from sqlalchemy import delete, select

from feedback_push.auth.models import User
from feedback_push.database import db, insert, utcnow
from feedback_push.notification_rules import Burst, QuietHours
from feedback_push.push import quiet
from feedback_push.push.models import MutedKind, Preference, Shows


@dataclass(frozen=True)
class Wishes:
    """What holds for one administrator."""

    shows: Shows
    quiet_hours: QuietHours | None
    burst: Burst
    zone: ZoneInfo

    def quiet_until(self, moment: datetime) -> datetime | None:
        """When the quiet hours end that a moment is in, if it is in any."""
        return quiet.until(self.quiet_hours, self.zone, moment) if self.quiet_hours else None


def of(user: User) -> Wishes:
    """The wishes of one administrator."""
    return wishes(db.session.get(Preference, user.id), user.time_zone)


def quiet_until(user: User) -> datetime | None:
    """When the quiet hours end that one administrator has now, if they have any."""
    return of(user).quiet_until(utcnow())


def muted_by(user: User) -> set[str]:
    """The codes of the kinds that one administrator does not want."""
    return set(db.session.scalars(select(MutedKind.kind).where(MutedKind.user_id == user.id)))


def wishes(preference: Preference | None, time_zone: str | None) -> Wishes:
    """What holds for an administrator with this preference, or none, in this zone, or the site's."""
    settings = current_app.extensions["settings"]
    most, zone = Shows(settings.notification_shows), _zone(time_zone or settings.time_zone)
    if preference is None:
        return Wishes(most, settings.quiet_hours, settings.notification_burst, zone)
    burst = Burst(preference.burst_count, preference.burst_seconds)
    return Wishes(_less(most, Shows(preference.shows)), _quiet_hours(preference), burst, zone)


def allowed() -> list[Shows]:
    """How much an administrator may choose to be shown, the most first."""
    return list(Shows)[list(Shows).index(Shows(current_app.extensions["settings"].notification_shows)) :]


def save(user: User, *, shows: Shows, quiet_hours: QuietHours | None, burst: Burst, muted: Collection[str]) -> None:
    """Store what an administrator wants; `user.time_zone` is set before."""
    _save(user, shows, quiet_hours, burst)
    db.session.execute(delete(MutedKind).where(MutedKind.user_id == user.id))
    for kind in sorted(muted):
        db.session.execute(insert(MutedKind).values(user_id=user.id, kind=kind).on_conflict_do_nothing())


def _save(user: User, shows: Shows, quiet_hours: QuietHours | None, burst: Burst) -> None:
    usual = wishes(None, None)
    if (shows, quiet_hours, burst) == (usual.shows, usual.quiet_hours, usual.burst):
        # Whoever wants what the operator's settings say goes on with them when they change.
        db.session.execute(delete(Preference).where(Preference.user_id == user.id))
        return
    begin, end = (f"{quiet_hours.begin:%H:%M}", f"{quiet_hours.end:%H:%M}") if quiet_hours else (None, None)
    wanted = {
        "shows": shows,
        "quiet_from": begin,
        "quiet_until": end,
        "burst_count": burst.count,
        "burst_seconds": burst.seconds,
    }
    row = insert(Preference).values(user_id=user.id, **wanted)
    db.session.execute(row.on_conflict_do_update(index_elements=[Preference.user_id], set_=wanted))


def _less(one: Shows, other: Shows) -> Shows:
    return max(one, other, key=list(Shows).index)


def _quiet_hours(preference: Preference) -> QuietHours | None:
    if preference.quiet_from is None or preference.quiet_until is None:
        return None
    return QuietHours(time.fromisoformat(preference.quiet_from), time.fromisoformat(preference.quiet_until))


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")  # another machine may know fewer zones, and nobody's message may fail for that

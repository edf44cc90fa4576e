"""Preferences: how each administrator wants to be notified; the site's settings are the defaults."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import delete, select

from feedback_push.auth.models import User
from feedback_push.config import current_settings
from feedback_push.database import db, insert, utcnow
from feedback_push.notification_validators import Burst, QuietHours
from feedback_push.push.models import MutedKind, Preference, PreviewLevel

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class EffectivePreferences:
    """The preferences in force for one administrator."""

    shows: PreviewLevel
    quiet_hours: QuietHours | None
    burst: Burst
    zone: ZoneInfo

    def quiet_until(self, moment: datetime) -> datetime | None:
        """Return when the quiet hours that this moment falls into end; None outside of them."""
        return quiet_hours_end(self.quiet_hours, self.zone, moment) if self.quiet_hours else None


def of(user: User) -> EffectivePreferences:
    """Return the preferences of one administrator."""
    return effective(db.session.get(Preference, user.id), user.time_zone)


def quiet_until(user: User) -> datetime | None:
    """Return when the quiet hours that this administrator has now end; None outside of them."""
    return of(user).quiet_until(utcnow())


def muted_by(user: User) -> set[str]:
    """Return the codes of the kinds that one administrator has turned off."""
    return set(db.session.scalars(select(MutedKind.kind).where(MutedKind.user_id == user.id)))


def effective(preference: Preference | None, time_zone: str | None) -> EffectivePreferences:
    """Combine a stored preference and time zone, if there are any, with the site's settings."""
    settings = current_settings()
    most, zone = PreviewLevel(settings.notification_shows), _zone(time_zone or settings.time_zone)
    if preference is None:
        return EffectivePreferences(most, settings.quiet_hours, settings.notification_burst, zone)
    burst = Burst(preference.burst_count, preference.burst_seconds)
    return EffectivePreferences(_stricter(most, PreviewLevel(preference.shows)), _quiet_hours(preference), burst, zone)


def allowed() -> list[PreviewLevel]:
    """Return the preview levels that an administrator may choose from, the one that shows most first."""
    return list(PreviewLevel)[list(PreviewLevel).index(PreviewLevel(current_settings().notification_shows)) :]


def save(
    user: User, *, shows: PreviewLevel, quiet_hours: QuietHours | None, burst: Burst, muted: Collection[str]
) -> None:
    """Store an administrator's preferences; set `user.time_zone` before."""
    _save(user, shows, quiet_hours, burst)
    db.session.execute(delete(MutedKind).where(MutedKind.user_id == user.id))
    for kind in sorted(muted):
        db.session.execute(insert(MutedKind).values(user_id=user.id, kind=kind).on_conflict_do_nothing())


def quiet_hours_end(hours: QuietHours, zone: ZoneInfo, now: datetime) -> datetime | None:
    """Return when the quiet hours that `now` falls into end; None outside of them.

    An hour that the clock shows twice is quiet both times; a time that the clock skips is the one it jumps to.
    """
    today = now.astimezone(zone).date()
    for day in (today - _DAY, today):
        end = _last(day if hours.begin < hours.end else day + _DAY, hours.end, zone)
        if _first(day, hours.begin, zone) <= now < end:
            return end
    return None


def _save(user: User, shows: PreviewLevel, quiet_hours: QuietHours | None, burst: Burst) -> None:
    usual = effective(None, None)
    if (shows, quiet_hours, burst) == (usual.shows, usual.quiet_hours, usual.burst):
        # Without a row they follow the operator's settings when those change.
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


def _stricter(one: PreviewLevel, other: PreviewLevel) -> PreviewLevel:
    return max(one, other, key=list(PreviewLevel).index)


def _quiet_hours(preference: Preference) -> QuietHours | None:
    if preference.quiet_from is None or preference.quiet_until is None:
        return None
    return QuietHours(time.fromisoformat(preference.quiet_from), time.fromisoformat(preference.quiet_until))


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")  # another machine may know fewer zones; that must not make a notification fail


def _first(day: date, at: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, at, zone).astimezone(UTC)


def _last(day: date, at: time, zone: ZoneInfo) -> datetime:
    return max(_first(day, at, zone), _first(day, at.replace(fold=1), zone))

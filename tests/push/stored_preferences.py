"""Store preferences without the settings page."""

from collections.abc import Collection
from datetime import timedelta
from zoneinfo import ZoneInfo

from feedback_push.auth.models import User
from feedback_push.database import db, utcnow
from feedback_push.notification_validators import NO_BURST, Burst, QuietHours
from feedback_push.push import preferences
from feedback_push.push.models import PreviewLevel


def set_preferences(
    user: User,
    *,
    shows: PreviewLevel = PreviewLevel.ALL,
    quiet_hours: QuietHours | None = None,
    burst: Burst = NO_BURST,
    muted: Collection[str] = (),
) -> None:
    """Store a preference, committed."""
    preferences.save(user, shows=shows, quiet_hours=quiet_hours, burst=burst, muted=muted)
    db.session.commit()


def quiet_now(zone: str = "UTC", hours: int = 3) -> QuietHours:
    """Return quiet hours in this zone that began an hour ago and last this many more hours."""
    clock = utcnow().astimezone(ZoneInfo(zone)).replace(second=0, microsecond=0)
    return QuietHours((clock - timedelta(hours=1)).time(), (clock + timedelta(hours=hours)).time())


def quiet_later() -> QuietHours:
    """Return quiet hours in UTC that begin in three hours."""
    clock = utcnow().replace(second=0, microsecond=0)
    return QuietHours((clock + timedelta(hours=3)).time(), (clock + timedelta(hours=5)).time())

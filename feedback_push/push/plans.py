"""Plans: how a notification reaches administrators, by what each wants and how much has just arrived."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Subquery, func, select

from feedback_push.auth.models import User
from feedback_push.database import db
from feedback_push.notification_rules import Burst
from feedback_push.push import kinds, preferences
from feedback_push.push.models import MutedKind, OutboxEntry, Preference, Shows
from feedback_push.push.preferences import Wishes


class Owner(NamedTuple):
    """An administrator with some of the devices that a notification is for."""

    user_id: int
    devices: int
    last: int  # the highest id among them
    preference: Preference | None
    time_zone: str | None
    muted: bool


class Plan(NamedTuple):
    """How much a notification shows, and until when it is held, if at all."""

    shows: Shows
    held_until: datetime | None


def owners(devices: Subquery, kind: str) -> list[Owner]:
    """Whose devices these are (rows of id and user_id), with what each of them wants of this kind."""
    each = select(devices.c.user_id, func.count().label("devices"), func.max(devices.c.id).label("last"))
    each_owner = each.group_by(devices.c.user_id).subquery()
    query = select(*each_owner.c, Preference, User.time_zone, MutedKind.kind.is_not(None))
    query = query.join_from(each_owner, User, User.id == each_owner.c.user_id)
    query = query.outerjoin(Preference, Preference.user_id == User.id)
    query = query.outerjoin(MutedKind, (MutedKind.user_id == User.id) & (MutedKind.kind == kind))
    return [Owner._make(row) for row in db.session.execute(query)]


def make(entry: OutboxEntry, owners: Iterable[Owner], now: datetime) -> dict[Plan, list[int]]:
    """The users that each plan is for; those who do not want the entry are left out."""
    if entry.kind not in kinds.CHOOSABLE:  # a test or a summary, which nobody may hold back and which name nobody
        return {Plan(Shows.ALL, None): [owner.user_id for owner in owners]}
    listening = [(owner.user_id, _wishes(owner)) for owner in owners if not owner.muted]
    newest = _newest(entry, max((wishes.burst.count for _, wishes in listening), default=0))
    return _grouped([(user_id, _plan(entry, wishes, newest, now)) for user_id, wishes in listening])


def _wishes(owner: Owner) -> Wishes:
    return preferences.wishes(owner.preference, owner.time_zone)


def _newest(entry: OutboxEntry, most: int) -> Sequence[datetime]:
    """When the entry and so many before it arrived, the newest first."""
    if not most:
        return []
    for_all = (OutboxEntry.user_id.is_(None), OutboxEntry.subscription_id.is_(None))
    until_now = (OutboxEntry.id <= entry.id, OutboxEntry.kind.in_(kinds.CHOOSABLE), *for_all)
    times = select(OutboxEntry.created_at).where(*until_now).order_by(OutboxEntry.id.desc()).limit(most + 1)
    return db.session.scalars(times).all()


def _plan(entry: OutboxEntry, wishes: Wishes, newest: Sequence[datetime], now: datetime) -> Plan:
    held_until = None
    if _in_burst(entry, wishes.burst, newest):
        arrived = min(entry.created_at, now)  # what is later was written by a clock that ran ahead
        held_until = arrived + timedelta(seconds=wishes.burst.seconds)
    return Plan(wishes.shows, wishes.quiet_until(held_until or now) or held_until)


def _in_burst(entry: OutboxEntry, burst: Burst, newest: Sequence[datetime]) -> bool:
    if not 0 < burst.count < len(newest):
        return False
    return entry.created_at - newest[burst.count] <= timedelta(seconds=burst.seconds)


def _grouped(plans: Iterable[tuple[int, Plan]]) -> dict[Plan, list[int]]:
    users: dict[Plan, list[int]] = {}
    for user_id, plan in plans:
        users.setdefault(plan, []).append(user_id)
    return users

"""Incidents: open one for each problem, tell the targets once, and tell them when it is over."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from flask_babel import force_locale, gettext
from sqlalchemy import CursorResult, func, select, text, update

from feedback_push.alarms import texts
from feedback_push.alarms.models import OPEN, Alarm, Incident
from feedback_push.config import current_settings
from feedback_push.database import db, delete_batch, insert
from feedback_push.site_path import absolute_url
from feedback_push.webhooks import deliveries, targets
from feedback_push.webhooks.models import Event

_MOST_REMOVED = 500
_IS_OPEN = text(OPEN)


def open_now(alarm: Alarm | None = None) -> Sequence[Incident]:
    """Return the open incidents, of one kind if given, the oldest first."""
    found = select(Incident).where(_IS_OPEN).order_by(Incident.id)
    if alarm is not None:
        found = found.where(Incident.alarm == alarm)
    return db.session.scalars(found.execution_options(populate_existing=True)).all()


def count_open() -> dict[Alarm, int]:
    """Return the number of open incidents of each kind."""
    counted = select(Incident.alarm, func.count().label("number")).where(_IS_OPEN).group_by(Incident.alarm)
    found = {row.alarm: row.number for row in db.session.execute(counted)}
    return {alarm: found.get(alarm, 0) for alarm in Alarm}


def update_all(alarm: Alarm, problems: Mapping[str, dict[str, Any]], now: datetime) -> None:
    """Open an incident for each new problem of a kind, by its subject, and close those that are over.

    However many workers call this, each incident is told once, and its end once. The caller commits.
    """
    known = {incident.subject: incident for incident in open_now(alarm)}
    for subject, detail in problems.items():
        if subject not in known:
            _open(alarm, subject, detail, now)
        elif known[subject].detail != detail:
            known[subject].detail = detail
    for subject, incident in known.items():
        if subject not in problems:
            _close(incident, now)


def remove_old(now: datetime) -> None:
    """Remove some of the incidents that ended more than RETAIN_DELIVERIES_DAYS ago. The caller commits."""
    days = current_settings().retain_deliveries_days
    if days:
        delete_batch(Incident, Incident.closed_at < now - timedelta(days=days), most=_MOST_REMOVED)


def _open(alarm: Alarm, subject: str, detail: dict[str, Any], now: datetime) -> None:
    row = insert(Incident).values(alarm=alarm, subject=subject, detail=detail, opened_at=now)
    incident_id = db.session.scalar(row.on_conflict_do_nothing().returning(Incident.id))
    if incident_id is not None:  # otherwise another worker has just opened it
        _tell(db.session.get_one(Incident, incident_id), Event.ALARM)


def _close(incident: Incident, now: datetime) -> None:
    this = update(Incident).where(Incident.id == incident.id, _IS_OPEN).values(closed_at=now)
    closed = db.session.execute(this, execution_options={"synchronize_session": False})
    if cast("CursorResult[Any]", closed).rowcount:
        _tell(incident, Event.OVER)


def _tell(incident: Incident, event: Event) -> None:
    alarm = Alarm(incident.alarm)
    for target in targets.takers_of_alarms():
        with force_locale(target.language):
            title = texts.title(alarm)
            if event == Event.OVER:
                title, body = gettext("Over: %(alarm)s", alarm=title), texts.over(alarm, incident.detail)
            else:
                body = texts.text(alarm, incident.detail)
        about = {"incident": incident.id, "alarm": alarm.value, "since": incident.opened_at.isoformat("T", "seconds")}
        said = {"title": f"{current_settings().site_name}: {title}", "text": body}
        deliveries.add(target, event, {**about, **said, "url": absolute_url("admin.alarms")})

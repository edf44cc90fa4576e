"""The origins whose pages have loaded a form: the dashboard tells the owner of a page if it works there.

A row names a form, a day and an origin, and nothing about the visitor. A form has at most MOST_REFUSED rows a day for
origins that may not use it, which anybody can make up.
"""

import logging
from datetime import date, datetime, timedelta

from flask import current_app
from sqlalchemy import delete, func, select

from feedback_push import csrf, maintenance
from feedback_push.database import DATABASE_ERRORS, db, insert, utcnow
from feedback_push.feedback import origins
from feedback_push.feedback.form_models import LONGEST_ORIGIN, Form, FormLoad

MOST_REFUSED = 20
KEPT = timedelta(days=30)
_MOST_REMEMBERED = 5_000  # in a process, so that a busy page causes one write a day and not one a visit
_log = logging.getLogger(__name__)


def record(form: Form, origin: str | None) -> None:
    """Store that a page of this origin has loaded the form today, and commit; log a failure.

    Pages of this site do not count, nor does an origin that no browser sends.
    """
    if not origin or origin in csrf.own_origins() or not _is_origin(origin):
        return
    row = (form.key, utcnow().date(), origin)
    remembered: set[tuple[str, date, str]] = current_app.extensions.setdefault("form_loads", set())
    if row in remembered:
        return
    try:
        if origins.allows(form, origin) or _refused(form, row[1]) < MOST_REFUSED:
            values = dict(zip(("form_key", "day", "origin"), row, strict=True))
            db.session.execute(insert(FormLoad).values(values).on_conflict_do_nothing())
        db.session.commit()
    except DATABASE_ERRORS:
        db.session.rollback()
        _log.warning("the origin of a page with a form could not be stored", exc_info=True)
        return
    if len(remembered) >= _MOST_REMEMBERED:
        remembered.clear()
    remembered.add(row)


def recent(form: Form) -> list[tuple[str, date]]:
    """Return the origins that have loaded a form, each with the last day, the latest first."""
    last = func.max(FormLoad.day)
    rows = select(FormLoad.origin, last).where(FormLoad.form_key == form.key).group_by(FormLoad.origin)
    return [(origin, day) for origin, day in db.session.execute(rows.order_by(last.desc(), FormLoad.origin))]


@maintenance.each_minute
def remove_old(now: datetime) -> None:
    """Remove the rows that are too old. The caller commits."""
    db.session.execute(delete(FormLoad).where(FormLoad.day < now.date() - KEPT))


def _refused(form: Form, day: date) -> int:
    rows = select(func.count()).select_from(FormLoad).where(FormLoad.form_key == form.key, FormLoad.day == day)
    return db.session.scalar(rows.where(FormLoad.origin.not_in(form.origins))) or 0


def _is_origin(origin: str) -> bool:
    if len(origin) > LONGEST_ORIGIN:
        return False
    try:
        return origins.read(origin) == [origin]
    except ValueError:
        return False

"""Alarms: the open incidents, and drills, which prove that notifications reach every administrator."""

from typing import Any

from flask import abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, ngettext
from flask_babel import lazy_gettext as _
from flask_login import current_user
from wtforms import SelectField

from feedback_push.admin import labels
from feedback_push.admin.pages import ID, blueprint, page
from feedback_push.alarms import checks, drills, incidents, schedule, texts
from feedback_push.alarms.drills import Outcome
from feedback_push.alarms.models import Alarm
from feedback_push.auth import audit
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.auth.roles import owners_only
from feedback_push.config import current_settings
from feedback_push.database import db, utcnow
from feedback_push.push import keys
from feedback_push.typed_text import TypedForm
from feedback_push.webhooks import targets

_SAID = "alarms"
_INTERVALS = (0, 1, 7, 14, 30, 90, 180, 365)  # days


class IntervalForm(TypedForm):
    """The days between two drills; empty for the operator's setting."""

    days = SelectField(_("A drill runs"))

    def __init__(self, **more: Any) -> None:
        chosen = schedule.choice()
        super().__init__(data={"days": "" if chosen is None else str(chosen)}, **more)
        offered = sorted({*_INTERVALS, *([] if chosen is None else [chosen])})
        usual = gettext("As DRILL_INTERVAL_DAYS says: %(interval)s", interval=_interval(schedule.setting()))
        self.days.choices = [("", usual), *((str(days), _interval(days)) for days in offered)]


@blueprint.get("/alarms", endpoint="alarms")
def show_alarms() -> ResponseReturnValue:
    """Show the open incidents and the newest drill."""
    return _page(IntervalForm())


@blueprint.post("/alarms/interval")
@owners_only
def choose_drill_interval() -> ResponseReturnValue:
    """Choose how often a drill runs."""
    if "days" not in request.form:  # what a form leaves out keeps its value, but this is no form
        abort(400)
    form = IntervalForm()
    if not form.validate():
        return _page(form), 422
    before = schedule.days()
    schedule.choose(int(form.days.data) if form.days.data else None)
    after = schedule.days()
    if after != before:
        audit.record(AuditEvent.DRILL_INTERVAL_CHANGED, current_user, before=before, after=after)
    db.session.commit()
    flash(gettext("A drill runs: %(interval)s", interval=_interval(after)), _SAID)
    return redirect(url_for("admin.alarms", _anchor="drill"), 303)


def _page(form: IntervalForm) -> str:
    drill = drills.newest()
    shown: dict[str, Any] = {
        "incidents": [(each, *_texts(Alarm(each.alarm), each.detail)) for each in incidents.open_now()],
        "drill": drill,
        "rows": [(each, _why(each)) for each in drills.outcomes(drill)] if drill else [],
        "minutes": current_settings().alarm_after_minutes,
        "form": form,
        "interval": _interval(schedule.days()),
        "next_drill": schedule.next_at(utcnow()),
        "is_told": bool(targets.takers_of_alarms()),
    }
    return page("admin/alarms.html", **shown)


@blueprint.post("/alarms/drill")
@owners_only
def start_drill() -> ResponseReturnValue:
    """Start a drill now, unless one is in progress."""
    now = utcnow()
    if drills.start(current_user.email, now):
        audit.record(AuditEvent.DRILL_STARTED, current_user)
        db.session.commit()
        checks.run_drills(now)
        flash(gettext("The drill has begun."), _SAID)
    else:
        flash(gettext("A drill is in progress."), _SAID)
    return redirect(url_for("admin.alarms", _anchor="drill"), 303)


@blueprint.get(f"/alarms/drills/<{ID}:drill_id>", endpoint="drill")
def open_drill(drill_id: int) -> ResponseReturnValue:
    """Note that the administrator has opened the notification of a drill, which leads here."""
    drill = drills.find(drill_id) or abort(404)
    drills.note_opened(drill, current_user)
    db.session.commit()
    return redirect(url_for("admin.alarms", _anchor="drill"), 303)


def _interval(days: int) -> str:
    return str(ngettext("every day", "every %(num)d days", days) if days else gettext("never by itself"))


def _texts(alarm: Alarm, detail: dict[str, Any]) -> tuple[str, str]:
    return texts.title(alarm), texts.text(alarm, detail)


def _why(outcome: Outcome) -> list[str]:
    """Return why a drill has not reached an administrator: a sentence, or one for each of their devices."""
    entry = outcome.recipient.entry
    if outcome.reached or outcome.recipient.sent_at is None:
        return []
    if not keys.cached().live:
        return [gettext("Push notifications are off: this site has no VAPID keys.")]
    if entry is not None and entry.fanned_out_at is None and not outcome.deliveries:
        return [gettext("A worker has not picked it up yet.")]
    if not outcome.deliveries:
        return [gettext("No device gets notifications. They must be turned on under Devices.")]
    return [
        gettext(
            "%(device)s: %(reason)s",
            device=labels.device(each),
            reason=labels.reason(each) or labels.next_step(each) or gettext("It is on its way."),
        )
        for each in outcome.deliveries
    ]

"""Commands for operators: drills."""

import time

import click
from flask.cli import with_appcontext

from feedback_push.alarms import checks, drills
from feedback_push.alarms.models import Drill
from feedback_push.auth import audit
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.database import db, utcnow
from feedback_push.feedback import reach

_BETWEEN = 1.0  # seconds


@click.command("drill")
@with_appcontext
@click.option("--wait", is_flag=True, help="Wait until everybody is reached or the time is over; exit with 1 if not.")
def drill(wait: bool) -> None:
    """Send every administrator a real notification, after their quiet hours."""
    started = drills.start("", utcnow())
    if started is None:
        raise click.ClickException("A drill is in progress. The dashboard shows it.")
    audit.record(AuditEvent.DRILL_STARTED)
    db.session.commit()
    checks.run_drills(utcnow())
    outcomes = drills.outcomes(started)
    for outcome in outcomes:
        later = "" if outcome.recipient.sent_at else f" after quiet hours, at {outcome.recipient.send_at:%H:%M} UTC"
        click.echo(f"{outcome.recipient.user.email}: sent{later}")
    if not outcomes:
        click.echo("There is no administrator.")
    if wait:
        _wait(started)


def _wait(started: Drill) -> None:
    """Wait for those who were sent it; raise if it has not reached all of them in the set time."""
    ends_at = time.monotonic() + reach.within().total_seconds()
    while (missing := _missing(started)) and time.monotonic() < ends_at:
        time.sleep(_BETWEEN)
    if missing:
        raise click.ClickException(f"Not reached: {', '.join(missing)}. The dashboard shows why.")
    click.echo("It has reached everybody who has no quiet hours now.")


def _missing(started: Drill) -> list[str]:
    found = drills.outcomes(started)
    db.session.rollback()  # keep no transaction open while waiting
    return [each.recipient.user.email for each in found if each.recipient.sent_at and not each.reached]

"""Check the workers, the waiting notifications, the push services' answers and the devices, by the database."""

from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from typing import NamedTuple

from flask_babel import gettext
from sqlalchemy import func, select

from feedback_push import language, site_path
from feedback_push.auth.models import User
from feedback_push.database import db, utcnow
from feedback_push.doctor.results import WORKER_COMMAND, Result, ok, start, wrong
from feedback_push.installation import VERSION
from feedback_push.push import circuit_breaker, heartbeats, keys
from feedback_push.push.models import Delivery, DeviceState, OutboxEntry, Priority, Subscription, Worker
from feedback_push.push.subscriptions import FAILING
from feedback_push.webpush import endpoints
from feedback_push.webpush.responses import Misconfigured, ProxyFailed, Throttled, Unavailable

_LATE = timedelta(minutes=2)  # a sweep comes every 5 seconds, and a dead worker's claim ends after a minute
_NEWEST_DEVICES = 1000
_NEWEST_DELIVERIES = 1000
_JUDGED = 20  # deliveries of a push service; if all of them failed, the service or the way to it does
_MOST_SERVICES = 20
_MOST_NAMED = 20  # administrators without a working device
_SERVICE_ERRORS = {kind.code for kind in (Misconfigured, ProxyFailed, Throttled, Unavailable)}


class _Answered(NamedTuple):
    endpoint: str
    error: str | None
    status: int | None
    detail: str | None
    accepted_at: object


def workers() -> list[Result]:
    """Check that a worker is alive, that none is silent, and that all run this version."""
    alive_after = utcnow() - heartbeats.SILENT
    known = heartbeats.workers()
    found = [_worker(worker, is_alive=worker.seen_at > alive_after) for worker in known]
    if not any(worker.seen_at > alive_after for worker in known):
        fix = start(gettext("Start one: %(command)s", command=WORKER_COMMAND))
        found.append(wrong("workers", gettext("No worker is alive, so no notification is sent."), fix))
    return found


def _worker(worker: Worker, *, is_alive: bool) -> Result:
    subject = f"{worker.name} ({worker.pid})"
    if not is_alive:
        return wrong(
            "workers",
            gettext("Last seen %(when)s on %(host)s.", when=language.ago(worker.seen_at), host=worker.host),
            gettext("Start it again. If it is gone for good, this line leaves an hour after its last sign of life."),
            subject,
        )
    if worker.version != VERSION:
        return wrong(
            "workers",
            gettext(
                "Runs version %(old)s on %(host)s, but this is version %(new)s.",
                old=worker.version,
                host=worker.host,
                new=VERSION,
            ),
            gettext("Restart it with the installed version."),
            subject,
        )
    text = gettext("Alive on %(host)s, version %(version)s.", host=worker.host, version=worker.version)
    return ok("workers", text, subject)


def waiting() -> Result:
    """Check that nothing that is due has waited for minutes."""
    due = db.session.scalar(select(func.min(Delivery.due_at)).where(Delivery.due_at.is_not(None)))
    open_entries = (OutboxEntry.fanned_out_at.is_(None), OutboxEntry.paused_at.is_(None))
    alarms = (OutboxEntry.priority == Priority.ALARM, OutboxEntry.expires_at > utcnow())
    stored = db.session.scalar(select(func.min(OutboxEntry.created_at)).where(*open_entries, *alarms))
    oldest = min(filter(None, (due, stored)), default=None)
    if oldest is None or oldest > utcnow() - _LATE:
        return ok("waiting", gettext("No notification is late."))
    return wrong(
        "waiting",
        gettext("The oldest waiting notification should have been sent %(when)s.", when=language.ago(oldest)),
        gettext("Start a worker, or mend what the lines about workers, VAPID keys and the database name."),
    )


def circuits() -> Result | list[Result]:
    """Check that no push service refuses our signature."""
    held = circuit_breaker.open_circuits()
    fix = gettext("Check VAPID_SUBJECT, the VAPID keys and the clock. Then notifications go on by themselves.")
    return [wrong("circuits", f"{place.status} {place.detail}".strip(), fix, place.origin) for place in held] or ok(
        "circuits", gettext("No push service refuses this site's signature.")
    )


def answers() -> Result | list[Result]:
    """Check the last answers of each push service in use."""
    columns = (Subscription.endpoint, Delivery.error, Delivery.status, Delivery.detail, Delivery.accepted_at)
    newest = select(Delivery.id).order_by(Delivery.id.desc()).limit(_NEWEST_DELIVERIES).subquery()
    tried = select(*columns).join(Delivery.subscription).where(Delivery.id.in_(select(newest.c.id)))
    tried = tried.where(Delivery.attempts > 0)
    by_origin: dict[str, list[_Answered]] = {}
    for row in db.session.execute(tried.order_by(Delivery.id.desc())):
        by_origin.setdefault(endpoints.origin(row.endpoint), []).append(_Answered(*row))
    judged = [_answer(origin, found[:_JUDGED]) for origin, found in sorted(by_origin.items())[:_MOST_SERVICES]]
    return judged or ok("answers", gettext("Nothing has been sent yet."))


def _answer(origin: str, found: list[_Answered]) -> Result:
    accepted = [each for each in found if each.accepted_at]
    last = found[0]
    failed = f"{last.error or ''} {last.status or ''} {last.detail or ''}".strip()
    text = (
        gettext("The last push was accepted.")
        if last.accepted_at
        else gettext("The last push failed: %(reason)s", reason=failed)
    )
    if accepted or not all(each.error in _SERVICE_ERRORS for each in found):
        return ok("answers", text, origin)
    fix = gettext("See the lines about this host. Failed notifications are sent again until their time runs out.")
    return wrong("answers", text, fix, origin)


def devices() -> list[Result]:
    """Check that each administrator who has turned notifications on has a device that works."""
    live = keys.cached().live.keys()
    rows = select(User.email, Subscription).join(Subscription, Subscription.user_id == User.id)
    health: dict[str, Counter[str]] = {}
    for email, device in db.session.execute(rows.order_by(User.id).limit(_NEWEST_DEVICES)):
        health.setdefault(email, Counter())[_health(device, live)] += 1
    total = sum(health.values(), Counter[str]())
    page = site_path.absolute_url("admin.devices")
    fix = gettext("Open %(page)s on the device, and turn notifications on.", page=page)
    if not total["works"]:
        return [wrong("devices", gettext("No administrator has a device that gets notifications."), fix)]
    lost = [email for email, found in health.items() if not found["works"] and not found["paused"]][:_MOST_NAMED]
    text = gettext(
        "Working: %(works)d, paused: %(paused)d, not reached: %(failing)d, to be connected again: %(stale)d, "
        "unsubscribed: %(gone)d.",
        **{name: total[name] for name in ("works", "paused", "failing", "stale", "gone")},
    )
    return [
        ok("devices", text),
        *(wrong("devices", gettext("None of their devices gets notifications."), fix, email) for email in lost),
    ]


def _health(device: Subscription, live: Iterable[str]) -> str:
    if device.state == DeviceState.GONE:
        return "gone"
    if device.state == DeviceState.STALE or device.vapid_public_key not in live or device.suspended_at:
        return "stale"
    if device.paused_at:
        return "paused"
    return "failing" if device.failures >= FAILING else "works"


def visitors() -> Result:
    """Count the newest devices of visitors by their state."""
    newest = select(Subscription.state).where(Subscription.user_id.is_(None)).order_by(Subscription.id.desc())
    states = newest.limit(_NEWEST_DEVICES).subquery()
    counted = db.session.execute(select(states.c.state, func.count()).group_by(states.c.state))
    count: dict[str, int] = {state: number for state, number in counted}  # noqa: C416 - rows are no pairs to the types
    works, gone = count.get(DeviceState.LIVE, 0), count.get(DeviceState.GONE, 0)
    text = gettext(
        "Working: %(works)d, unsubscribed: %(gone)d (of the newest %(number)d).",
        works=works,
        gone=gone,
        number=sum(count.values()),
    )
    return ok("visitors", text if count else gettext("No visitor has a device here."))


def origins() -> list[str]:
    """Return the push services in use: those of the administrators' and of the newest other devices."""
    live = select(Subscription.endpoint).where(Subscription.state == DeviceState.LIVE)
    stored = [
        *db.session.scalars(live.where(Subscription.user_id.is_not(None)).limit(_NEWEST_DEVICES)),
        *db.session.scalars(live.order_by(Subscription.id.desc()).limit(_NEWEST_DEVICES)),
    ]
    return list(dict.fromkeys(map(endpoints.origin, stored)))[:_MOST_SERVICES]

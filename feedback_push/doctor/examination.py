"""Run the checks: each that cannot run says so, and none stops another."""

from collections.abc import Callable
from threading import Lock

from flask import current_app
from flask_babel import gettext

from feedback_push.config import Examined
from feedback_push.database import DATABASE_ERRORS, db
from feedback_push.doctor import delivery_checks, network, network_checks, settings_checks, storage_checks
from feedback_push.doctor.network import Facts
from feedback_push.doctor.results import Result, State, skipped

_Found = Result | list[Result]
_Check = Callable[[], _Found]
# Each with the settings that it needs: while one of them is invalid, the check has nothing to look at.
OF_SETTINGS: dict[str, tuple[_Check, tuple[str, ...]]] = {
    "settings": (settings_checks.settings, ()),
    "files": (settings_checks.files, ()),
    "secret": (settings_checks.secret, ("SECRET_KEY",)),
    "vapid_subject": (settings_checks.vapid_subject, ("VAPID_SUBJECT", "SITE_URL")),
    "secure_context": (settings_checks.secure_context, ("SITE_URL",)),
    "disk": (storage_checks.disk_space, ("DATABASE_URL", "MIN_FREE_DISK_MB")),
}
OF_DATABASE: dict[str, tuple[_Check, tuple[str, ...]]] = {
    "vapid_keys": (storage_checks.vapid_keys, ("SECRET_KEY", "VAPID_PRIVATE_KEY", "VAPID_PUBLIC_KEY")),
    "passkeys": (storage_checks.passkeys, ("SITE_URL",)),
    "workers": (delivery_checks.workers, ()),
    "waiting": (delivery_checks.waiting, ()),
    "circuits": (delivery_checks.circuits, ()),
    "answers": (delivery_checks.answers, ()),
    "devices": (delivery_checks.devices, ("SECRET_KEY", "VAPID_PRIVATE_KEY", "VAPID_PUBLIC_KEY")),
    "visitors": (delivery_checks.visitors, ()),
    "backup": (storage_checks.backup, ("BACKUP_MAX_AGE_DAYS",)),
}
OF_NETWORK: dict[str, tuple[Callable[[Facts], _Found], tuple[str, ...]]] = {
    "broker": (network_checks.broker, ("REDIS_URL",)),
    "site": (network_checks.site, ("SITE_URL",)),
    "certificate": (network_checks.certificate, ("SITE_URL",)),
    "service_worker": (network_checks.service_workers, ("SITE_URL", "ADMIN_URL")),
    "push_service": (network_checks.push_services, ("PUSH_PROXY", "PUSH_ALLOWED_HOSTS")),
    "clock": (network_checks.clock, ("PUSH_PROXY",)),
}
_asking = Lock()


def inside() -> list[Result]:
    """Check the settings, the files and the database; this takes milliseconds and asks no other machine."""
    found = [line for name, (check, needs) in OF_SETTINGS.items() for line in _run(name, check, needs)]
    found += _run("database", storage_checks.is_there, ("DATABASE_URL",))
    works = found[-1].state == State.OK
    found += _run("migrations", storage_checks.migrations, ("DATABASE_URL",)) if works else [_not_without("migrations")]
    works = found[-1].state == State.OK
    for name, (check, needs) in OF_DATABASE.items():
        found += _run(name, check, needs) if works else [_not_without(name)]
    return found


def outside() -> list[Result]:
    """Ask the broker, the site and the push services, for a few seconds altogether.

    Only one caller at a time may ask in a process, so that nobody can occupy all threads of a web server.
    """
    if not _asking.acquire(blocking=False):
        return [skipped(name, gettext("A check is in progress. Try again in a few seconds.")) for name in OF_NETWORK]
    try:
        facts = network.collect(_origins())
    finally:
        _asking.release()
    return [
        line
        for name, (judge, needs) in OF_NETWORK.items()
        for line in _run(name, lambda judge=judge: judge(facts), needs)  # type: ignore[misc]
    ]


def _run(name: str, check: _Check, needs: tuple[str, ...]) -> list[Result]:
    examined: Examined | None = current_app.extensions["examined"]
    if examined and (missing := sorted(examined.invalid.intersection(needs))):
        return [skipped(name, gettext("Not checked, because of the setting %(name)s.", name=", ".join(missing)))]
    try:
        found = check()
    except DATABASE_ERRORS:
        return [skipped(name, gettext("Not checked, because the database does not answer."))]
    finally:
        db.session.rollback()  # keep no transaction open during the next check
    return found if isinstance(found, list) else [found]


def _not_without(name: str) -> Result:
    return skipped(name, gettext("Not checked, because the database does not answer or needs its migrations."))


def _origins() -> list[str]:
    """Return the push services in use; none if the database cannot say."""
    try:
        return delivery_checks.origins()
    except DATABASE_ERRORS:
        return []
    finally:
        db.session.rollback()

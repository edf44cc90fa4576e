"""Write the results of the checks as text for a terminal, and as JSON for programs."""

from typing import Any

from flask_babel import gettext

from feedback_push.doctor.results import Result, State

_MARKS = {State.OK: "ok     ", State.WRONG: "WRONG  ", State.SKIPPED: "-      "}


def title(check: str) -> str:
    """Return the name of a check for people."""
    titles = {
        "settings": gettext("Settings"),
        "files": gettext("Private files"),
        "secret": gettext("Secret key"),
        "vapid_subject": gettext("Contact for push services"),
        "secure_context": gettext("Secure context"),
        "disk": gettext("Disk space"),
        "database": gettext("Database"),
        "migrations": gettext("Migrations"),
        "vapid_keys": gettext("VAPID keys"),
        "passkeys": gettext("Passkeys"),
        "workers": gettext("Workers"),
        "waiting": gettext("Waiting notifications"),
        "circuits": gettext("Signature"),
        "answers": gettext("Answers of push services"),
        "devices": gettext("Devices"),
        "visitors": gettext("Devices of visitors"),
        "backup": gettext("Backup"),
        "broker": gettext("Broker"),
        "site": gettext("Address of the site"),
        "certificate": gettext("Certificate"),
        "service_worker": gettext("Service worker"),
        "push_service": gettext("Push service"),
        "clock": gettext("Clock"),
    }
    return str(titles[check])


def is_well(results: list[Result]) -> bool:
    """Return whether nothing is wrong; a check that was skipped is not a fault."""
    return all(result.state != State.WRONG for result in results)


def lines(results: list[Result]) -> list[str]:
    """Return the lines for a terminal: a fault is followed by the step that mends it."""
    written = []
    for result in results:
        subject = f" {result.subject}" if result.subject else ""
        written.append(f"{_MARKS[result.state]}{title(result.check)}{subject}: {result.text}")
        if result.fix:
            written.append(f"         → {result.fix}")
    return written


def document(results: list[Result]) -> dict[str, Any]:
    """Return the results for programs; the keys stay as they are."""
    keys = ("check", "subject", "state", "text", "fix")
    return {"ok": is_well(results), "checks": [{key: str(getattr(result, key)) for key in keys} for result in results]}

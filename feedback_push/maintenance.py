"""Run the periodic clean-up that features register."""

import logging
import time
from collections.abc import Callable
from datetime import datetime

from flask import current_app

from feedback_push.database import db, utcnow

_log = logging.getLogger(__name__)
Cleanup = Callable[[datetime], bool | None]
_registered: dict[Cleanup, float] = {}  # with the seconds between two runs


def register(cleanup: Cleanup) -> Cleanup:
    """Register a function to call with the current time at every sweep.

    It must do a small batch of work, and be safe to run twice or in two processes at once.
    """
    _registered[cleanup] = 0
    return cleanup


def each_minute(cleanup: Cleanup) -> Cleanup:
    """Register a function like `register`, but call it once a minute, because nobody waits for its work.

    If it returns True, because more work is left, the next sweep calls it again.
    """
    _registered[cleanup] = 60
    return cleanup


def run_due() -> None:
    """Run every clean-up that is due in this process."""
    due_at: dict[Cleanup, float] = current_app.extensions.setdefault("maintenance", {})
    for cleanup, pause in _registered.items():
        if time.monotonic() >= due_at.get(cleanup, 0):
            due_at[cleanup] = 0 if _run(cleanup) else time.monotonic() + pause


def run_all() -> None:
    """Run every clean-up."""
    for cleanup in _registered:
        _run(cleanup)


def _run(cleanup: Cleanup) -> bool:
    """Run a clean-up in its own transaction, and return whether work is left; a failure does not stop the others."""
    try:
        more = bool(cleanup(utcnow()))
        db.session.commit()
    except Exception:  # noqa: BLE001 - after any error, the others must still run
        db.session.rollback()
        _log.exception("a clean-up failed; the next sweep will try again")
        return True
    return more

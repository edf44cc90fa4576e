"""Run the periodic clean-up that features register."""

import logging
from collections.abc import Callable
from datetime import datetime

from feedback_push.database import db, utcnow

_log = logging.getLogger(__name__)
Cleanup = Callable[[datetime], None]
_registered: list[Cleanup] = []


def register(cleanup: Cleanup) -> Cleanup:
    """Register a function to call with the current time at every sweep.

    It must do a small batch of work, and be safe to run twice or in two processes at once.
    """
    _registered.append(cleanup)
    return cleanup


def run_all() -> None:
    """Run every clean-up in its own transaction; a failure does not stop the others."""
    for cleanup in _registered:
        try:
            cleanup(utcnow())
            db.session.commit()
        except Exception:  # noqa: BLE001 - after any error, the others must still run
            db.session.rollback()
            _log.exception("a clean-up failed; the next sweep will try again")

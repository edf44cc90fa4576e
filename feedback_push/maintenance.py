"""Run the periodic clean-up that features register."""

import logging
from collections.abc import Callable
from datetime import datetime

from feedback_push.database import db, utcnow

_log = logging.getLogger(__name__)
Cleanup = Callable[[datetime], None]
_registered: list[Cleanup] = []


def register(cleanup: Cleanup) -> Cleanup:
    """Call this with the current time at every sweep: a small batch of work, harmless if it runs twice or at once."""
    _registered.append(cleanup)
    return cleanup


def run_all() -> None:
    """Run every clean-up in a transaction of its own; one that fails does not stop the others."""
    for cleanup in _registered:
        try:
            cleanup(utcnow())
            db.session.commit()
        except Exception:  # noqa: BLE001 - whatever went wrong, the others must run
            db.session.rollback()
            _log.exception("a clean-up failed; the next sweep tries it again")

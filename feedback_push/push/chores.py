"""Chores: what every sweep does beside knocking, for whichever feature has something to tidy up."""

import logging
from collections.abc import Callable
from datetime import datetime

from feedback_push.database import db, utcnow

_log = logging.getLogger(__name__)
Chore = Callable[[datetime], None]
_chores: list[Chore] = []


def every_sweep(chore: Chore) -> Chore:
    """Have the sweeps call this with the time: a small batch of work, harmless when done twice or at the same time."""
    _chores.append(chore)
    return chore


def do_all() -> None:
    """Do them one after the other, each in a transaction of its own; one that fails keeps no other from its work."""
    for chore in _chores:
        try:
            chore(utcnow())
            db.session.commit()
        except Exception:  # noqa: BLE001 - whatever went wrong, the other chores must be done
            db.session.rollback()
            _log.exception("a chore failed, and is tried again with the next sweep")

"""Check the free disk space where the messages are stored."""

import os
from enum import IntEnum
from pathlib import Path

from sqlalchemy import make_url

from feedback_push.config import Settings, current_settings

_MB = 1024 * 1024


class Space(IntEnum):
    """The free space: plenty, little (the operator should act), or so little that large messages are refused."""

    PLENTY = 0
    LITTLE = 1
    TOO_LITTLE = 2


def space() -> Space:
    """Compare the free space with MIN_FREE_DISK_MB; 0 turns the check off."""
    settings = current_settings()
    free = free_mb()
    if free is None or free >= 2 * settings.min_free_disk_mb:
        return Space.PLENTY
    return Space.LITTLE if free >= settings.min_free_disk_mb else Space.TOO_LITTLE


def free_mb() -> int | None:
    """Return the free space in MB on the disk of the SQLite file, else of INSTANCE_DIR; None if it is unknown."""
    try:
        found = os.statvfs(_folder(current_settings()))
    except OSError:
        return None
    return found.f_bavail * found.f_frsize // _MB


def _folder(settings: Settings) -> Path:
    url = make_url(settings.database_url)
    if url.get_backend_name() == "sqlite" and url.database:
        return Path(url.database).parent
    return settings.instance_dir

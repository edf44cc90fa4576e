"""Counts of large tables, kept in this process: counting takes at most a twentieth of the time, whoever asks."""

import time
from collections.abc import Callable, Hashable
from threading import Lock
from typing import NamedTuple, TypeVar

from flask import current_app

from feedback_push.push import followers
from feedback_push.topics.models import Topic

_TIMES_AS_LONG = 20  # a count that takes a second is kept for 20
_MOST = 1000  # counts
_Count = TypeVar("_Count")


class Kept(NamedTuple):
    """A count, and when it is made again, by the monotonic clock."""

    value: object
    until: float


class _Counts(dict[Hashable, Kept]):
    def __init__(self) -> None:
        super().__init__()
        self.lock = Lock()


def kept(key: Hashable, count: Callable[[], _Count]) -> tuple[_Count, float]:
    """Return what `count` returns, or returned a short time ago, and the seconds until it is called again."""
    counts: _Counts = current_app.extensions.setdefault("topics.counts", _Counts())
    with counts.lock:
        found, now = counts.get(key), time.monotonic()
        if found is None or found.until <= now:
            value = count()
            took = time.monotonic() - now
            if len(counts) >= _MOST:
                counts.clear()
            found = counts[key] = Kept(value, now + took + took * _TIMES_AS_LONG)
        return found.value, max(0.0, found.until - time.monotonic())  # type: ignore[return-value] # of this key


def of_followers(topic: Topic) -> int:
    """Return the number of devices that a broadcast on a topic would be sent to."""
    return kept(("followers", topic.audience_id), lambda: followers.count(topic.audience_id))[0]

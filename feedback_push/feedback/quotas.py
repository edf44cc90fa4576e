"""Quotas: how much one network and the whole site may post, counted apart for what is proven and what is not.

All windows slide. A message counts with the kB of its text and two more. Large messages have a pool of their own
inside the whole, so that short ones still arrive when it is empty.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from flask import current_app
from limits import RateLimitItem, RateLimitItemPerDay, RateLimitItemPerHour, RateLimitItemPerMinute

from feedback_push import counters, disk, network_address
from feedback_push.disk import Space

LARGE = 8 * 1024  # bytes; 2,000 characters are less in every script
_KB = 1024
_MB_IN_KB = 1024
_KB_OF_A_ROW = 2  # what a message takes beside its text: its row, the indexes, the notification


class Verdict(Enum):
    """What a quota says to a message."""

    TAKEN = "taken"
    ONLY_SHORT = "only-short"  # it is large, and the pool of large ones is empty
    DISK_LOW = "disk-low"  # it is large, and the disk is nearly full
    FULL = "full"


@dataclass(frozen=True)
class Quota:
    """So much for a single connection and for the site; a wider network has its share times as much as the former."""

    name: str
    for_network: int
    for_site: int
    window: type[RateLimitItem] = RateLimitItemPerHour
    windows: int = 1

    def take(self, cost: int = 1) -> bool:
        """Count `cost` for every network of the request and for the site; return whether all have room.

        The smallest network comes first: once it is full, it takes nothing from its neighbours and the site.
        """
        if not _are_on():
            return True
        return all(counters.hit(limit, key, cost) for limit, key in self._limits())

    def used(self) -> float:
        """Return the part that is used of the quota that is nearest to its end, from 0 to 1."""
        if not _are_on():
            return 0.0
        return max(1 - counters.left(limit, key) / limit.amount for limit, key in self._limits())

    def _limits(self) -> Iterator[tuple[RateLimitItem, str]]:
        if self.for_network:
            for network in network_address.networks_of_request():
                yield self.window(self.for_network * network.share, self.windows), f"{self.name}:{network.key}"
        if self.for_site:
            yield self.window(self.for_site, self.windows), f"{self.name}:site"


@dataclass(frozen=True)
class _Room:
    """The kB of text for large messages, and for all of them."""

    large: Quota
    whole: Quota

    def verdict(self, size: int) -> Verdict:
        cost = _KB_OF_A_ROW + size // _KB
        if size > LARGE and not self.large.take(cost):
            return Verdict.ONLY_SHORT
        return Verdict.TAKEN if self.whole.take(cost) else Verdict.FULL


REJECTED = Quota("rejected", 120, 0, RateLimitItemPerMinute, 10)
# How many messages without a proof are offered to be confirmed.
CONFIRMABLE = Quota("confirmable", 10, 300)
_PROVEN = _Room(
    Quota("proven-large", 16 * _MB_IN_KB, 96 * _MB_IN_KB),
    # More short messages than anybody can prove, or this site could take, in an hour: the end of all ends.
    Quota("proven", 256 * _MB_IN_KB, 1024 * _MB_IN_KB),
)
_UNPROVEN = _Room(
    Quota("unproven-large", 1 * _MB_IN_KB, 32 * _MB_IN_KB),
    Quota("unproven", 2 * _MB_IN_KB, 48 * _MB_IN_KB),
)
# Without the form's defence nobody can be asked for a proof, so counting is all there is.
_UNDEFENDED = (
    Quota("undefended-minute", 20, 300, RateLimitItemPerMinute),
    Quota("undefended-hour", 200, 0, RateLimitItemPerHour),
)


def verdict(size: int, *, proven: bool) -> Verdict:
    """Decide whether a message of this size, in bytes, may be stored, and count it if so."""
    settings = current_app.extensions["settings"]
    if size > LARGE and disk.space() == Space.TOO_LITTLE:
        return Verdict.DISK_LOW
    if not settings.form_defence and not all(quota.take() for quota in _UNDEFENDED):
        return Verdict.FULL
    return (_PROVEN if proven else _UNPROVEN).verdict(size)


def may_notify() -> bool:
    """Count a notification against what the network of this request may cause in a day; return whether it may."""
    settings = current_app.extensions["settings"]
    return Quota("notifications", settings.notification_daily_limit, 0, RateLimitItemPerDay).take()


def _are_on() -> bool:
    return bool(current_app.config["RATELIMIT_ENABLED"])

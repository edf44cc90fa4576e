"""Limit how much a network and the whole site may post, separately with and without a proof of work.

All windows slide. A message costs the kB of its text plus two. Large messages have their own pool inside the whole, so
short messages still arrive when that pool is empty.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from flask import current_app
from limits import RateLimitItem, RateLimitItemPerDay, RateLimitItemPerHour, RateLimitItemPerMinute

from feedback_push import counters, disk, network_address
from feedback_push.config import current_settings
from feedback_push.disk import Space

LARGE = 8 * 1024  # bytes; 2,000 characters take less in every script
_KB = 1024
_MB_IN_KB = 1024
_KB_OF_A_ROW = 2  # the size of a message without its text: its row, the indexes, the notification


class Verdict(Enum):
    """The decision of the quotas about a message."""

    TAKEN = "taken"
    ONLY_SHORT = "only-short"  # it is large, and the pool for large messages is empty
    DISK_LOW = "disk-low"  # it is large, and the disk is nearly full
    FULL = "full"


@dataclass(frozen=True)
class Quota:
    """A limit per connection and a limit for the site. A wider network gets `share` times the limit of a connection."""

    name: str
    for_network: int
    for_site: int
    window: type[RateLimitItem] = RateLimitItemPerHour
    windows: int = 1

    def take(self, cost: int = 1) -> bool:
        """Count `cost` for every network of the request and for the site; return whether all have room.

        The smallest network is counted first: once it is full, it takes nothing from its neighbours or the site.
        """
        if not _are_on():
            return True
        return all(counters.hit(limit, key, cost) for limit, key in self._limits())

    def used(self) -> float:
        """Return the used fraction of the limit that is closest to full, from 0 to 1."""
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
    """The quotas in kB for large messages, and for all messages."""

    large: Quota
    whole: Quota

    def verdict(self, size: int) -> Verdict:
        cost = _KB_OF_A_ROW + size // _KB
        if size > LARGE and not self.large.take(cost):
            return Verdict.ONLY_SHORT
        return Verdict.TAKEN if self.whole.take(cost) else Verdict.FULL


REJECTED = Quota("rejected", 120, 0, RateLimitItemPerMinute, 10)
# The number of messages without a proof that visitors are asked to confirm.
CONFIRMABLE = Quota("confirmable", 10, 300)
_PROVEN = _Room(
    Quota("proven-large", 16 * _MB_IN_KB, 96 * _MB_IN_KB),
    # A last resort: more short messages in an hour than anybody can prove, or than this site can take.
    Quota("proven", 256 * _MB_IN_KB, 1024 * _MB_IN_KB),
)
_UNPROVEN = _Room(
    Quota("unproven-large", 1 * _MB_IN_KB, 32 * _MB_IN_KB),
    Quota("unproven", 2 * _MB_IN_KB, 48 * _MB_IN_KB),
)
# Without the form's spam traps nobody can be asked for a proof, so counting is the only limit.
_UNDEFENDED = (
    Quota("undefended-minute", 20, 300, RateLimitItemPerMinute),
    Quota("undefended-hour", 200, 0, RateLimitItemPerHour),
)


def verdict(size: int, *, proven: bool) -> Verdict:
    """Decide whether a message of `size` bytes may be stored, and count it if so."""
    settings = current_settings()
    if size > LARGE and disk.space() == Space.TOO_LITTLE:
        return Verdict.DISK_LOW
    if not settings.form_defence and not all(quota.take() for quota in _UNDEFENDED):
        return Verdict.FULL
    return (_PROVEN if proven else _UNPROVEN).verdict(size)


def may_notify() -> bool:
    """Count a notification against the daily limit of this request's network; return whether it may be sent."""
    settings = current_settings()
    return Quota("notifications", settings.notification_daily_limit, 0, RateLimitItemPerDay).take()


def _are_on() -> bool:
    return bool(current_app.config["RATELIMIT_ENABLED"])

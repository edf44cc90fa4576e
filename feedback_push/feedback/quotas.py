"""Limit how much a network and the whole site may post, separately with and without a proof of work.

All windows slide. A message costs the kB of its text plus two. Large messages have their own pool inside the whole, so
short messages still arrive when that pool is empty.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum

from flask import current_app
from limits import RateLimitItem, RateLimitItemPerDay, RateLimitItemPerHour, RateLimitItemPerMinute

from feedback_push import counters, disk, network_address
from feedback_push.config import current_settings
from feedback_push.disk import Space
from feedback_push.feedback.form_models import USUAL_LIMITS, Form, Limits

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
    FORM_FULL = "form-full"  # the form has received as many messages as its owner wants in an hour


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
_PROVEN = _Room(
    Quota("proven-large", 16 * _MB_IN_KB, 96 * _MB_IN_KB),
    # A last resort: more short messages in an hour than anybody can prove, or than this site can take.
    Quota("proven", 256 * _MB_IN_KB, 1024 * _MB_IN_KB),
)
_UNPROVEN = _Room(
    Quota("unproven-large", 1 * _MB_IN_KB, 32 * _MB_IN_KB),
    Quota("unproven", 2 * _MB_IN_KB, 48 * _MB_IN_KB),
)
_KB_OF_A_MESSAGE = 4  # for forms whose owners expect many messages without a proof


def verdict(size: int, *, proven: bool, form: Form | None = None) -> Verdict:
    """Decide whether a message of `size` bytes may be stored, and count it if so; without a form for a reply."""
    limits = form.limits if form else USUAL_LIMITS
    if size > LARGE and disk.space() == Space.TOO_LITTLE:
        return Verdict.DISK_LOW
    if not current_settings().form_defence and not all(quota.take() for quota in _undefended(limits)):
        return Verdict.FULL
    if form and limits.form_hourly is not None and not Quota(f"form:{form.key}", 0, limits.form_hourly).take():
        return Verdict.FORM_FULL
    return (_PROVEN if proven else _unproven(limits)).verdict(size)


def may_confirm(form: Form) -> bool:
    """Count a message without a proof, and return whether its visitor may be asked to confirm it."""
    own = form.network_hourly is not None or form.form_hourly is not None
    name = f"confirmable:{form.key}" if own else "confirmable"
    return Quota(name, form.limits.network_hourly, form.limits.total_hourly).take()


def may_notify(form: Form | None = None) -> bool:
    """Count a notification against the daily limit of this request's network; return whether it may be sent."""
    own = form is not None and form.notify_daily is not None
    limit = form.limits.notify_daily if form else current_settings().notification_daily_limit
    name = f"notifications:{form.key}" if form and own else "notifications"
    return Quota(name, limit, 0, RateLimitItemPerDay).take()


def _undefended(limits: Limits) -> tuple[Quota, ...]:
    # Without the form's spam traps nobody can be asked for a proof, so counting is the only limit.
    network, total = limits.network_hourly, limits.total_hourly
    return (
        Quota("undefended-minute", max(20, network // 10), max(300, total // 10), RateLimitItemPerMinute),
        Quota("undefended-hour", max(200, network), 0, RateLimitItemPerHour),
    )


def _unproven(limits: Limits) -> _Room:
    """Return the room for messages without a proof: more of it if an owner expects many."""
    most = _UNPROVEN.whole
    network = most.for_network + _KB_OF_A_MESSAGE * max(0, limits.network_hourly - USUAL_LIMITS.network_hourly)
    site = most.for_site + _KB_OF_A_MESSAGE * max(0, limits.total_hourly - USUAL_LIMITS.total_hourly)
    return replace(_UNPROVEN, whole=replace(most, for_network=network, for_site=site))


def _are_on() -> bool:
    return bool(current_app.config["RATELIMIT_ENABLED"])

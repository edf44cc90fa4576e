"""Limit the wrong passwords of an account over all networks, without letting strangers keep its owner out.

The first few of an hour are free. Then a browser has to wait once, and each network gets a small share of the rest.
Guesses that do not wait get nowhere, and many networks that do wait use up only their own shares.
"""

import math
import time
from dataclasses import dataclass

from flask import session
from limits import RateLimitItem, RateLimitItemPerHour
from limits.strategies import MovingWindowRateLimiter

from feedback_push import network_address, security
from feedback_push.counters import Storage

# OWASP ASVS 4.0.3 (2.2.1) allows 100 an hour. The window moves, so no 60 minutes have more.
_FOR_ACCOUNT = RateLimitItemPerHour(100)
_FREE = 10  # before a browser has to wait; all networks together
_FOR_NETWORK = RateLimitItemPerHour(2)  # after that; so it takes 45 patient networks to keep another one out
WAIT = 20  # seconds
_WAITED_FOR = 1200  # seconds, within which a browser that has waited may try
_KEPT_IN = "sign_in_wait"  # the session's key


@dataclass(frozen=True)
class AccountLimit:
    """The wrong passwords of one account, and the share of one network in them."""

    account: str
    network: str

    def wait(self, storage: Storage) -> int:
        """Return the seconds until this browser may try; 0 if it may now."""
        failures, seconds = _used(storage, _FOR_ACCOUNT, self._account_key)
        if failures < _FREE:
            return 0
        if failures >= _FOR_ACCOUNT.amount:
            return seconds
        of_network, seconds = _used(storage, _FOR_NETWORK, self._network_key)
        if of_network >= _FOR_NETWORK.amount:
            return seconds
        return 0 if self._has_waited() else WAIT

    def needs_wait(self, storage: Storage) -> bool:
        """Return whether this browser may try as soon as it has waited once."""
        return self.wait(storage) == WAIT and not self._has_waited()

    def count_failure(self, storage: Storage) -> None:
        """Count a wrong password; whoever has waited for it has to wait again."""
        window = MovingWindowRateLimiter(storage)
        failures, _seconds = _used(storage, _FOR_ACCOUNT, self._account_key)
        if failures >= _FREE:
            window.hit(_FOR_NETWORK, self._network_key)
        window.hit(_FOR_ACCOUNT, self._account_key)

    def begin_wait(self) -> None:
        """Let this browser's wait begin now, also if it has begun before: a flood never gets to its end."""
        session[_KEPT_IN] = [self.account, int(time.time()) + WAIT]

    def end_wait(self) -> None:
        """Use the wait up."""
        session.pop(_KEPT_IN, None)

    def _has_waited(self) -> bool:
        match session.get(_KEPT_IN):
            case [self.account, int(until)]:
                return 0 <= time.time() - until <= _WAITED_FOR
        return False

    @property
    def _account_key(self) -> str:
        return f"password:account:{self.account}"

    @property
    def _network_key(self) -> str:
        return f"password:account:{self.account}:{self.network}"


def of(email: str) -> AccountLimit:
    """Return the limit of an account for this request, even if no such account exists."""
    # Four hexadecimal digits limit the number of keys when a flood makes up accounts: keys share the broker's memory.
    account = security.keyed_hash("accounts", email.strip().lower())[:4]
    # The widest network that one customer of a provider is likely to have: a /24 or a /48.
    return AccountLimit(account, network_address.networks_of_request()[-1].key)


def _used(storage: Storage, limit: RateLimitItem, key: str) -> tuple[int, int]:
    """Return how much of the limit is used, and the seconds until the oldest use is forgotten."""
    now = MovingWindowRateLimiter(storage).get_window_stats(limit, key)
    return limit.amount - now.remaining, max(1, math.ceil(now.reset_time - time.time()))

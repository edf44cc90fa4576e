"""How often somebody may try a password: waits that grow with every failure, counted for all web processes together."""

import math
import time
from dataclasses import dataclass

from flask import current_app
from flask_babel import ngettext

from feedback_push import counters, network_address, security
from feedback_push.auth import known_browser
from feedback_push.auth.models import User
from feedback_push.counters import Storage

_FREE = 5  # tries before the first wait
_FORGOTTEN_AFTER = 3600  # seconds after the first of them
# A stranger can make an account wait for as long as they go on, so that wait stays short.
_LONGEST_FOR_ACCOUNT = 60
_LONGEST = 900


@dataclass(frozen=True)
class _Counter:
    """The tries under one key, and the wait that they have led to."""

    key: str
    longest: int

    def wait(self, storage: Storage) -> int:
        """Seconds until the next try, 0 when it may be now."""
        if not storage.get(self._wait):
            return 0
        return max(1, math.ceil(storage.get_expiry(self._wait) - time.time()))

    def take(self, storage: Storage) -> int:
        """Count a try before its outcome is known, so that many at once are not all free; seconds to wait, else 0."""
        tries = storage.incr(self._tries, _FORGOTTEN_AFTER)
        if tries < _FREE:
            return 0
        wait = min(self.longest, 2 ** (tries - _FREE))
        # The first one who counts takes this turn; whoever asked at the same time has to wait.
        return 0 if storage.incr(self._wait, wait) == 1 else self.wait(storage)

    def clear(self, storage: Storage) -> None:
        storage.clear(self._tries)
        storage.clear(self._wait)

    @property
    def _tries(self) -> str:
        return f"password:{self.key}:tries"

    @property
    def _wait(self) -> str:
        return f"password:{self.key}:wait"


@dataclass(frozen=True)
class Try:
    """One try of a password, counted under all of its keys."""

    counters: tuple[_Counter, ...]

    def start(self) -> int:
        """Seconds to wait before the password may be looked at; 0 when it may be now, and then this try counts."""
        return counters.ask(self._start)

    def next_wait(self) -> int:
        """Seconds to wait before the next try."""
        return counters.ask(self._wait)

    def succeed(self) -> None:
        """Forget the failures before this success."""
        counters.ask(self._clear)

    def _start(self, storage: Storage) -> int:
        # All are asked before any counts: whoever waits for one of them is not charged by the others.
        return self._wait(storage) or max((counter.take(storage) for counter in self.counters), default=0)

    def _clear(self, storage: Storage) -> None:
        for counter in self.counters:
            counter.clear(storage)

    def _wait(self, storage: Storage) -> int:
        return max((counter.wait(storage) for counter in self.counters), default=0)


def of_sign_in(email: str) -> Try:
    """A try to sign in, counted for the address it comes from and for the account, whether there is one or not.

    In a browser that has signed in to this account before it counts for that browser alone: nothing that strangers do
    keeps its owner out.
    """
    if browser := known_browser.of(email):
        return _try(_Counter(f"browser:{browser}", _LONGEST))
    # No more keys than this, however many accounts a flood makes up: they share the broker's memory.
    account = security.keyed_hash("accounts", email.strip().lower())[:4]
    address = network_address.of_request()
    return _try(_Counter(f"address:{address}", _LONGEST), _Counter(f"account:{account}", _LONGEST_FOR_ACCOUNT))


def of_user(user: User) -> Try:
    """A try of the password by somebody who is signed in."""
    return _try(_Counter(f"user:{user.id}", _LONGEST))


def message(seconds: int) -> str:
    """How long to wait, for the person who has to."""
    text: str = (
        ngettext(
            "Too many tries. Please wait a second, then try again.",
            "Too many tries. Please wait %(num)d seconds, then try again.",
            seconds,
        )
        if seconds < 60
        else ngettext(
            "Too many tries. Please wait a minute, then try again.",
            "Too many tries. Please wait %(num)d minutes, then try again.",
            math.ceil(seconds / 60),
        )
    )
    return text


def _try(*counters: _Counter) -> Try:
    return Try(counters if current_app.config["RATELIMIT_ENABLED"] else ())

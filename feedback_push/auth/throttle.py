"""Limit attempts to sign in by waits that grow with every failure; all web processes share the counts."""

import math
import time
from dataclasses import dataclass

from flask import current_app
from flask_babel import ngettext

from feedback_push import counters, network_address
from feedback_push.auth import account_limit, known_browser
from feedback_push.auth.account_limit import AccountLimit
from feedback_push.auth.models import User
from feedback_push.counters import Storage

_FREE = 5  # attempts before the first wait
_FORGOTTEN_AFTER = 3600  # seconds after the first attempt
_LONGEST = 900


@dataclass(frozen=True)
class _Counter:
    """The attempts under one key, and the wait that they caused."""

    key: str

    def wait(self, storage: Storage) -> int:
        """Return the seconds until the next attempt is allowed; 0 if it is allowed now."""
        if not storage.get(self._wait):
            return 0
        return max(1, math.ceil(storage.get_expiry(self._wait) - time.time()))

    def take(self, storage: Storage) -> int:
        """Count an attempt and return the seconds to wait, or 0.

        It counts before the outcome is known, so that many simultaneous attempts are not all free.
        """
        tries = storage.incr(self._tries, _FORGOTTEN_AFTER)
        if tries < _FREE:
            return 0
        wait = min(_LONGEST, 2 ** (tries - _FREE))
        # Only the first of several simultaneous attempts may go on; the others have to wait.
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
class Attempt:
    """One attempt with a password or a sign-in link, counted under all of its keys, and for an account if it fails."""

    counters: tuple[_Counter, ...]
    account: AccountLimit | None = None

    def start(self) -> int:
        """Return the seconds to wait before it may be checked; if it is 0, this attempt is counted."""
        return counters.ask(self._start)

    def next_wait(self) -> int:
        """Return the seconds to wait before the next attempt."""
        return counters.ask(self._wait)

    def delay(self) -> bool:
        """Let the wait of an attempt that is refused begin; return whether another one begins it again."""
        account = self.account
        if account is None or not counters.ask(account.needs_wait):
            return False
        account.begin_wait()
        return True

    def fail(self) -> None:
        """Count a wrong password for its account."""
        if self.account:
            counters.ask(self.account.count_failure)
            self.account.end_wait()

    def succeed(self) -> None:
        """Clear the earlier failures after a success; those of an account stay, because others may have caused them."""
        counters.ask(self._clear)

    def _start(self, storage: Storage) -> int:
        # Check all counters before any counts, so that an attempt that must wait for one is not counted by the others.
        return self._wait(storage) or max((counter.take(storage) for counter in self.counters), default=0)

    def _clear(self, storage: Storage) -> None:
        for counter in self.counters:
            counter.clear(storage)

    def _wait(self, storage: Storage) -> int:
        of_account = self.account.wait(storage) if self.account else 0
        return max((of_account, *(counter.wait(storage) for counter in self.counters)))


def of_sign_in(email: str) -> Attempt:
    """Return a sign-in attempt, counted for its network address and for the account, even if no such account exists.

    In a browser that has signed in to this account before, it counts only for that browser, so that strangers cannot
    lock out the owner.
    """
    if browser := known_browser.of(email):
        return _try(_Counter(f"browser:{browser}"))
    return _try(_Counter(f"address:{network_address.of_request()}"), account=account_limit.of(email))


def of_link() -> Attempt:
    """Return an attempt with a sign-in link, counted for its network address.

    Its count is its own, so that nobody who guesses passwords from the same network can keep a link from working.
    """
    return _try(_Counter(f"link:{network_address.of_request()}"))


def of_passkey() -> Attempt:
    """Return an attempt with a passkey or a recovery code, which nobody can guess, counted for its network address."""
    return _try(_Counter(f"passkey:{network_address.of_request()}"))


def of_second_factor(user: User) -> Attempt:
    """Return an attempt with the code of an app, after a correct password: for this browser if it is known.

    Only somebody who has the password can use up an account's attempts. A known browser, a passkey and a recovery code
    have counts of their own, so even they do not lock the owner out.
    """
    if browser := known_browser.of(user.email):
        return _try(_Counter(f"factor-browser:{browser}"))
    return _try(_Counter(f"factor:{user.id}"))


def of_user(user: User) -> Attempt:
    """Return a password attempt by a user who is signed in."""
    return _try(_Counter(f"user:{user.id}"))


def message(seconds: int) -> str:
    """Return a message that tells the user how long to wait."""
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


def _try(*counters: _Counter, account: AccountLimit | None = None) -> Attempt:
    return Attempt(counters, account) if current_app.config["RATELIMIT_ENABLED"] else Attempt(())

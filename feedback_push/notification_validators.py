"""Validate the notification settings: time to live, preview level, bursts and quiet hours."""

import re
from dataclasses import dataclass
from datetime import time

from environs import ValidationError

LONGEST_TTL = 28 * 86400  # FCM refuses more
SHOWS = ("all", "name", "nothing")
LARGEST_BURST = 1000
LONGEST_BURST = 3600  # seconds; notifications in a burst are delayed for that long
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"


@dataclass(frozen=True)
class Burst:
    """More than `count` notifications within `seconds` are sent as one summary; a count of 0 turns this off."""

    count: int
    seconds: int

    def __str__(self) -> str:
        return f"{self.count}/{self.seconds}" if self.count else "0"


@dataclass(frozen=True)
class QuietHours:
    """The time of day from `begin` to `end`; if `end` is earlier, it is on the next day."""

    begin: time
    end: time

    def __str__(self) -> str:
        return f"{self.begin:%H:%M}-{self.end:%H:%M}"


NO_BURST = Burst(0, 60)
USUAL_BURST = Burst(10, 60)


def burst(value: str) -> Burst:
    """Return a burst from two numbers like 10/60 (notifications/seconds), or `NO_BURST` for 0."""
    if value == "0":
        return NO_BURST
    match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", value)
    if not match or not 1 <= int(match[1]) <= LARGEST_BURST or not 1 <= int(match[2]) <= LONGEST_BURST:
        raise ValidationError(f"must be 0 or two numbers such as 10/60, up to {LARGEST_BURST}/{LONGEST_BURST}.")
    return Burst(int(match[1]), int(match[2]))


def quiet_hours(value: str) -> QuietHours | None:
    """Return quiet hours from two different times of day like 22:00-07:00, or None if the value is empty."""
    if not value:
        return None
    match = re.fullmatch(rf"({_TIME})-({_TIME})", value)
    if not match or match[1] == match[2]:
        raise ValidationError("must be two different times such as 22:00-07:00.")
    return QuietHours(time.fromisoformat(match[1]), time.fromisoformat(match[2]))

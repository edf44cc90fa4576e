"""Handle stop signals from the launcher's terminal, and print messages to it."""

import signal
import sys
from contextlib import suppress

STOPS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
_received: list[int] = []


def listen() -> None:
    """Record stop signals from now on instead of exiting."""
    numbers = set(STOPS)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # under nohup
        numbers.remove(signal.SIGHUP)
    for number in numbers:
        signal.signal(number, lambda received, _frame: _received.append(received))


def asked_to_stop() -> bool:
    """Return whether a stop signal was received."""
    return bool(_received)


def say(text: object, *, error: bool = False) -> None:
    """Print immediately; ignore a closed terminal, so that the children can still be stopped."""
    with suppress(OSError):
        print(text, file=sys.stderr if error else sys.stdout, flush=True)

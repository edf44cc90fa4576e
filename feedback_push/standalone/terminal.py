"""The terminal that the launcher runs in: what it is asked there, and what it says."""

import signal
import sys
from contextlib import suppress

_received: list[int] = []


def listen() -> None:
    """Remember stop signals from now on instead of dying of them."""
    numbers = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # under nohup
        numbers.remove(signal.SIGHUP)
    for number in numbers:
        signal.signal(number, lambda received, _frame: _received.append(received))


def asked_to_stop() -> bool:
    """Whether a stop signal has come."""
    return bool(_received)


def say(text: object, *, error: bool = False) -> None:
    """Print at once; a terminal that has gone must not keep us from stopping the children."""
    with suppress(OSError):
        print(text, file=sys.stderr if error else sys.stdout, flush=True)

"""The result of a check: it is well, or wrong with the step that mends it, or was not checked for a reason."""

from dataclasses import dataclass
from enum import StrEnum

from flask_babel import gettext

from feedback_push.config import current_settings
from feedback_push.installation import COMMAND, INSTALLED

_RUN_COMMAND = f"{COMMAND} run" if INSTALLED else "make run"
WORKER_COMMAND = f"{COMMAND} worker" if INSTALLED else "celery -A celery_worker worker"


class State(StrEnum):
    """The outcome of a check."""

    OK = "ok"
    WRONG = "wrong"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Result:
    """One line of the doctor. `subject` is the host, device owner or worker, if a check looks at several."""

    check: str  # the same in every release, because programs read it
    state: State
    text: str
    fix: str = ""
    subject: str = ""


def ok(check: str, text: str, subject: str = "") -> Result:
    """Return a line for a part that works."""
    return Result(check, State.OK, str(text), subject=subject)


def wrong(check: str, text: str, fix: str, subject: str = "") -> Result:
    """Return a line for a fault, with the command or the click that mends it."""
    return Result(check, State.WRONG, str(text), str(fix), subject)


def skipped(check: str, text: str, subject: str = "") -> Result:
    """Return a line for a part that could not be checked."""
    return Result(check, State.SKIPPED, str(text), subject=subject)


def command(words: str) -> str:
    """Return a command of this program as the operator types it."""
    return f"{COMMAND} {words}"


def start(part: str) -> str:
    """Return how to start a part of the site; the embedded broker runs only together with all the others."""
    if current_settings().redis_url:
        return part
    return str(gettext("Start the site again: %(command)s", command=_RUN_COMMAND))

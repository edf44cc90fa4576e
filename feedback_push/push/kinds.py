"""Kinds of notification: what an administrator can choose, and the two that nobody chooses."""

from collections.abc import Callable
from dataclasses import dataclass

from flask_babel import format_decimal, lazy_gettext, ngettext

TEST = "test"  # asked for by the administrator for one device
_SUMMARY = "summary:"  # what the code of a summary starts with; the kind that it tells of follows


@dataclass(frozen=True)
class Kind:
    """A kind that can be chosen; its code has at most 12 characters."""

    code: str
    name: str
    one: str  # what a notification says that may not say more
    several: Callable[[int], str]  # what a summary says
    leads_to: str = ""  # where a summary leads, below the dashboard's address


def _new_messages(count: int) -> str:
    return str(ngettext("%(count)s new message", "%(count)s new messages", count, count=format_decimal(count)))


FEEDBACK = Kind("feedback", lazy_gettext("New feedback"), lazy_gettext("New message"), _new_messages)
CHOOSABLE = {kind.code: kind for kind in (FEEDBACK,)}


def summary_of(kind: Kind) -> str:
    """The code of a summary of this kind."""
    return _SUMMARY + kind.code


def summarised(code: str) -> Kind | None:
    """The kind that an entry with this code sums up, if it is a summary."""
    return CHOOSABLE.get(code.removeprefix(_SUMMARY)) if code.startswith(_SUMMARY) else None

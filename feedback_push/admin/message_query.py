"""Which messages an address asks for: its list, words and dates; a made-up value counts as none."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from flask import request, url_for

from feedback_push import language, typed_text
from feedback_push.feedback.lists import Filter
from feedback_push.feedback.models import LISTS

LONGEST_SEARCH = 200
_LONGEST_TYPED = 1_000  # with spaces around it
_YEARS = range(1970, 9000)  # which every time zone can convert


@dataclass(frozen=True)
class MessageQuery:
    """A filter, the cursor within it, and the query that stands for the filter in an address."""

    filter: Filter
    query: Mapping[str, str]
    before: int | None

    @property
    def is_narrowed(self) -> bool:
        """Whether it is less than a whole list."""
        return bool(self.query.keys() - {"list"})

    def at(self, endpoint: str = "admin.inbox", **more: object) -> str:
        """The address of a page with this filter; without an endpoint that of the list from its beginning."""
        values: dict[str, object] = {**self.query, **more}
        return url_for(endpoint, **values)  # type: ignore[arg-type]

    @property
    def here(self) -> str:
        """The address of this very page of the list."""
        return self.at() if self.before is None else self.at(before=self.before)


def from_request() -> MessageQuery:
    """What the address of this request asks for; days are those of the reader's time zone."""
    name = request.args.get("list", "")
    words = (typed_text.storable(request.args.get("q", "")[:_LONGEST_TYPED]) or "").strip()[:LONGEST_SEARCH]
    first, last = (request.args.get(key, type=_day) for key in ("from", "until"))
    chosen = Filter(
        list=name if name in LISTS else "inbox",
        words=words,
        since=_midnight(first) if first else None,
        until=_midnight(last + timedelta(days=1)) if last else None,
    )
    query = {
        "list": chosen.list if chosen.list != "inbox" else "",
        "q": words,
        "from": first.isoformat() if first else "",
        "until": last.isoformat() if last else "",
    }
    kept = {key: value for key, value in query.items() if value}
    return MessageQuery(chosen, kept, request.args.get("before", type=message_id))


def message_id(value: str) -> int:
    """What can be a message's id, or a cursor; anything else is a ValueError."""
    number = int(value)
    if not 0 <= number < 2**63:
        raise ValueError
    return number


def _day(value: str) -> date:
    day = date.fromisoformat(value)
    if day.year not in _YEARS:
        raise ValueError
    return day


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), language.time_zone())

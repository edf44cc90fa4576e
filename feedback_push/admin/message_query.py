"""Read the filter and the cursor of a query from an address. An invalid value counts as missing."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from flask import request, url_for
from flask_login import current_user
from werkzeug.datastructures import MultiDict

from feedback_push import email_address, ids, language, typed_text
from feedback_push.feedback import form_words, lists, site_forms, tags
from feedback_push.feedback.form_models import DEFAULT_KEY, LONGEST_LABEL, LONGEST_URL, RATINGS
from feedback_push.feedback.lists import Filter

LONGEST_SEARCH = 200
_LONGEST_TYPED = 1_000  # including the spaces around it
_YEARS = range(1970, 9000)  # every time zone can convert these


@dataclass(frozen=True)
class MessageQuery:
    """A filter, the cursor within it, and the query parameters that represent the filter in an address."""

    filter: Filter
    query: Mapping[str, str]
    before: int | None

    @property
    def days(self) -> tuple[date | None, date | None]:
        """The first and the last day of the filter."""
        first, last = (self.query.get(key) for key in ("from", "until"))
        return date.fromisoformat(first) if first else None, date.fromisoformat(last) if last else None

    @property
    def form_name(self) -> str:
        """The name of the filter's form; its key if it is deleted."""
        return site_forms.names().get(self.filter.form, self.filter.form)

    @property
    def rating(self) -> str:
        """The rating of the filter as a text."""
        return form_words.rating(self.filter.rating)

    @property
    def is_narrowed(self) -> bool:
        """Return whether the filter selects less than a whole list."""
        return bool(self.query.keys() - {"list"})

    def at(self, endpoint: str = "admin.inbox", **more: object) -> str:
        """Return the address of a page with this filter; by default, the first page of the list."""
        values: dict[str, object] = {**self.query, **more}
        return url_for(endpoint, **values)  # type: ignore[arg-type]

    @property
    def here(self) -> str:
        """The address of the current page of the list."""
        return self.at() if self.before is None else self.at(before=self.before)


def from_request() -> MessageQuery:
    """Return the query of this request. Days are in the reader's time zone."""
    return read(request.args)


def read(args: MultiDict[str, str]) -> MessageQuery:
    """Return the query with these parameters of an address."""
    name, form, rating = (args.get(key, "") for key in ("list", "form", "rating"))
    words = _typed(args, "q", LONGEST_SEARCH)
    first, last = (args.get(key, type=_day) for key in ("from", "until"))
    chosen = Filter(
        list=name if name in lists.NAMES else "inbox",
        words=words,
        since=_midnight(first) if first else None,
        until=_midnight(last + timedelta(days=1)) if last else None,
        tag=_typed(args, "tag", tags.LONGEST),
        person=_typed(args, "person", email_address.LONGEST),
        assignee=current_user.id if args.get("assigned") == "me" else None,
        form=form if site_forms.is_key(form) or form == DEFAULT_KEY else "",
        category=_typed(args, "category", LONGEST_LABEL),
        rating=rating if rating in RATINGS else "",
        page=_typed(args, "page", LONGEST_URL),
    )
    query = {
        "list": chosen.list if chosen.list != "inbox" else "",
        "q": words,
        "from": first.isoformat() if first else "",
        "until": last.isoformat() if last else "",
        "tag": chosen.tag,
        "person": chosen.person,
        "form": chosen.form,
        "category": chosen.category,
        "rating": chosen.rating,
        "page": chosen.page,
        "assigned": "" if chosen.assignee is None else "me",
    }
    kept = {key: value for key, value in query.items() if value}
    return MessageQuery(chosen, kept, args.get("before", type=ids.parse))


def _typed(args: MultiDict[str, str], name: str, most: int) -> str:
    return (typed_text.storable(args.get(name, "")[:_LONGEST_TYPED]) or "").strip()[:most]


def _day(value: str) -> date:
    day = date.fromisoformat(value)
    if day.year not in _YEARS:
        raise ValueError
    return day


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), language.time_zone())

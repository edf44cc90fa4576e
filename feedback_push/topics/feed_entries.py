"""Tell the new entries of a feed from those seen before, also if the feed renews its ids or edits its entries."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import NamedTuple

from sqlalchemy import delete, select

from feedback_push.database import db, utcnow
from feedback_push.ids import id_in
from feedback_push.topics.feed_document import Entry
from feedback_push.topics.feed_models import LONGEST_KEYS, Feed, FeedEntry

KEPT = 1000  # entries that are no longer in the feed
_HASH = 16  # hexadecimal digits


class Seen(NamedTuple):
    """An entry of the feed and its row."""

    entry: Entry
    row: FeedEntry


def remember(feed: Feed, entries: Sequence[Entry]) -> list[Seen]:
    """Store the entries of a feed that are not stored yet, and return those that are news, the oldest first.

    The first reading has no news, nor has an entry dated before `feed.news_since`. The caller holds the feed's lock
    and commits.
    """
    rows = list(db.session.scalars(select(FeedEntry).where(FeedEntry.feed_id == feed.id).order_by(FeedEntry.id)))
    by_key = {key: row for row in rows for key in row.keys.split()}
    now, added, current = utcnow(), [], set()
    for entry in entries:
        keys = keys_of(entry)
        row = next((by_key[key] for key in keys if key in by_key), None)
        if row is None:
            row = FeedEntry(feed_id=feed.id, keys="")
            added.append(Seen(entry, row))
        row.keys, row.seen_at = _joined(keys, row.keys), now
        by_key |= dict.fromkeys(keys, row)
        current.add(row)
    db.session.add_all(seen.row for seen in added)
    _forget([row for row in rows if row not in current])
    db.session.flush()
    if feed.first_read_at is None:
        feed.first_read_at, feed.news_since = now, _news_since(entries, now)
        return []
    return _oldest_first([seen for seen in added if not _is_old(seen.entry, feed)])


def keys_of(entry: Entry) -> list[str]:
    """Return hashes of which one is enough to know the entry again.

    An id is one. A feed may renew its ids, so two equal parts of link, title and date are another. A link alone is one
    if there is no id, and a title alone if there is neither link nor date.
    """
    link = entry.link.partition("://")[2].removeprefix("www.").rstrip("/")  # a site moves to https as a whole
    title, date = entry.title or entry.text, "" if entry.published is None else str(entry.published)
    parts = [("id", entry.id, entry.id), ("link", link, title), ("dated", link, date), ("named", title, date)]
    if not entry.id:
        parts.append(("link alone", link, link))
    if not link and not date:
        parts.append(("title alone", title, title))
    return [_hashed(*part) for part in parts if all(part)]


def _hashed(*parts: str) -> str:
    return sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:_HASH]


def _joined(keys: Iterable[str], before: str) -> str:
    """Return the keys of an entry as it is now, and as many of those before as there is room for."""
    kept = list(dict.fromkeys([*keys, *before.split()]))
    return " ".join(kept[: LONGEST_KEYS // (_HASH + 1)])


def _forget(gone: list[FeedEntry]) -> None:
    """Delete the entries that left the feed longest ago, if there are more than KEPT."""
    gone.sort(key=lambda row: (row.seen_at, row.id), reverse=True)
    db.session.execute(delete(FeedEntry).where(id_in(FeedEntry.id, [row.id for row in gone[KEPT:]])))


def _news_since(entries: Sequence[Entry], now: datetime) -> datetime:
    """Return the date of the oldest entry; without dates, a day ago, because some feeds have local times."""
    dates = [_date(entry) for entry in entries if entry.published is not None]
    return min([now - timedelta(days=1), *filter(None, dates)])


def _is_old(entry: Entry, feed: Feed) -> bool:
    date = _date(entry)
    return date is not None and feed.news_since is not None and date < feed.news_since


def _date(entry: Entry) -> datetime | None:
    try:
        return None if entry.published is None else datetime.fromtimestamp(entry.published, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _oldest_first(news: list[Seen]) -> list[Seen]:
    news.reverse()  # most feeds begin with the newest
    if all(seen.entry.published is not None for seen in news):
        news.sort(key=lambda seen: seen.entry.published or 0)
    return news

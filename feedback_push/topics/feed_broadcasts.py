"""Make broadcasts of a feed's new entries: a few by themselves, the others as one digest."""

from flask_babel import force_locale, format_decimal, ngettext
from sqlalchemy import func, select

from feedback_push.database import db
from feedback_push.language import LANGUAGES
from feedback_push.push import notification
from feedback_push.topics import broadcasts
from feedback_push.topics.broadcasts import Draft
from feedback_push.topics.feed_document import Document, Entry
from feedback_push.topics.feed_entries import Seen
from feedback_push.topics.feed_models import Feed, FeedEntry
from feedback_push.topics.models import LONGEST_BODY, LONGEST_TITLE, Broadcast, BroadcastState

MOST_A_READING = 3  # entries that become a broadcast of their own
MOST_DRAFTS = 20  # of one feed that wait for somebody to release them
_LONGEST_TEXT = 300  # characters of an entry
_DOTS = 3


def make(feed: Feed, news: list[Seen], document: Document) -> list[int]:
    """Make broadcasts of news, the oldest first; return the outbox entries that the caller wakes after its commit.

    One that the topic's cap puts off is held: it takes in all further entries until it is sent, so only one waits. A
    feed with MOST_DRAFTS drafts holds a further one in the same way.
    """
    started: list[int] = []
    room = min(MOST_A_READING, _room(feed))
    alone, rest = (news[-room:], news[:-room]) if room else ([], news)
    for seen in alone:
        if feed.is_automatic and _held(feed):
            rest.append(seen)
        else:
            started += _begin(feed, _draft(seen.entry, feed), [seen])
    if rest and (held := _held(feed)):
        _add_to(held, feed, rest, document)
    elif rest:
        started += _begin(feed, _digest(feed, len(rest), _titles(rest), document), rest, hold=not room)
    db.session.flush()
    return started


def _room(feed: Feed) -> int:
    """Return how many more broadcasts of their own the entries may become."""
    if feed.is_automatic:
        return MOST_A_READING
    drafts = select(func.count(Broadcast.id.distinct())).join(FeedEntry, FeedEntry.broadcast_id == Broadcast.id)
    waiting = (Broadcast.started_at.is_(None), Broadcast.ended_at.is_(None), Broadcast.send_at.is_(None))
    others = (FeedEntry.feed_id == feed.id, Broadcast.id.is_distinct_from(feed.held_id), *waiting)
    return max(0, MOST_DRAFTS - (db.session.scalar(drafts.where(*others)) or 0))


def _held(feed: Feed) -> Broadcast | None:
    """Return the broadcast that takes in further entries, locked; None if there is none, or if it is sent."""
    if feed.held_id is None:
        return None
    locked = select(Broadcast).where(Broadcast.id == feed.held_id).with_for_update()
    held: Broadcast | None = db.session.scalar(locked.execution_options(populate_existing=True))
    state = BroadcastState.SCHEDULED if feed.is_automatic else BroadcastState.DRAFT
    return held if held is not None and held.state == state else None


def _begin(feed: Feed, draft: Draft, entries: list[Seen], *, hold: bool = False) -> list[int]:
    """Add a broadcast, and start it if the feed is automatic; hold it if the cap puts it off."""
    broadcast = broadcasts.add(feed.topic, draft)
    for seen in entries:
        seen.row.broadcast_id = broadcast.id
    entry_id = broadcasts.start(broadcast) if feed.is_automatic else None
    if hold or (feed.is_automatic and entry_id is None):
        feed.held_id, feed.held_count = broadcast.id, len(entries)
    db.session.flush()
    return [] if entry_id is None else [entry_id]


def _add_to(held: Broadcast, feed: Feed, rest: list[Seen], document: Document) -> None:
    before = held.body if feed.held_count > 1 else held.title
    feed.held_count += len(rest)
    digest = _digest(feed, feed.held_count, f"{_titles(rest)}\n{before}", document)
    held.title, held.body, held.url = digest.title, digest.body, digest.url
    for seen in rest:
        seen.row.broadcast_id = held.id


def _draft(entry: Entry, feed: Feed) -> Draft:
    title = entry.title or entry.text or feed.topic.name
    text = "" if title == entry.text else notification.excerpt(entry.text, _LONGEST_TEXT)
    return Draft(title=notification.excerpt(title, LONGEST_TITLE - _DOTS), body=text, url=entry.link)


def _digest(feed: Feed, count: int, titles: str, document: Document) -> Draft:
    """Return a broadcast that counts entries in the feed's language, lists their titles and leads to its page."""
    topic = notification.excerpt(feed.topic.name, LONGEST_TITLE // 2)
    with force_locale(document.language if document.language in LANGUAGES else "en"):
        title = ngettext(
            "%(count)s more in %(topic)s",
            "%(count)s more in %(topic)s",
            count,
            count=format_decimal(count),
            topic=topic,
        )
    return Draft(title=title, body=notification.excerpt(titles, LONGEST_BODY - _DOTS), url=document.link)


def _titles(news: list[Seen]) -> str:
    """Return a line for each entry, the newest first."""
    lines = (notification.excerpt(seen.entry.title or seen.entry.text, LONGEST_TITLE - _DOTS) for seen in news)
    return "\n".join(filter(None, reversed(list(lines))))

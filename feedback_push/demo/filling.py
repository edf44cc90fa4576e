"""Add the demonstration data: messages with their conversations, a form, a saved search and a topic."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy import select

from feedback_push.auth.models import Role, User
from feedback_push.database import db, insert, utcnow
from feedback_push.demo import broadcasts
from feedback_push.demo.english import ENGLISH
from feedback_push.demo.german import GERMAN
from feedback_push.demo.lithuanian import LITHUANIAN
from feedback_push.demo.models import DemoData
from feedback_push.demo.sample import IDEA, PRAISE, PROBLEM, QUESTION, SPAM, Sample
from feedback_push.feedback import conversations, form_words, saved_searches, site_forms, tags
from feedback_push.feedback.form_models import Form, Presence, RatingScale
from feedback_push.feedback.models import Answered, Message, MessageState, Reply, SavedSearch
from feedback_push.topics import topics

LANGUAGES = {"en": ENGLISH, "de": GERMAN, "lt": LITHUANIAN}
FULL = (tags.TooMany, tags.TooManyOnMessage, topics.TooManyTopics, saved_searches.TooMany)
CATEGORIES = {
    PRAISE: {"en": "Praise", "de": "Lob", "lt": "Pagyrimas"},
    IDEA: {"en": "Idea", "de": "Idee", "lt": "Idėja"},
    PROBLEM: {"en": "Problem", "de": "Problem", "lt": "Problema"},
    QUESTION: {"en": "Question", "de": "Frage", "lt": "Klausimas"},
}
_KEY, _NAME = "demo", "Bicycle workshop (demonstration)"
_WORDS = {
    "en": {"title": "How is our workshop?"},
    "de": {"title": "Wie ist unsere Werkstatt?"},
    "lt": {"title": "Kaip vertinate mūsų dirbtuves?"},
}
SEARCH, _QUERY = "Website (demonstration)", {"tag": "Website"}
_DAYS = 89
_NEWEST = timedelta(minutes=40)  # the age of the newest message
_VIEWPORTS = ("390x844", "1440x900", "412x915")


def add() -> DemoData:
    """Add the demonstration data and return its record; no listener hears of it, and nobody is notified.

    The caller commits. Raise one of FULL if the site has no room, and IntegrityError if another command adds it.
    """
    record = DemoData(rows={})
    db.session.add(record)
    db.session.flush()
    now, user = utcnow(), _owner()
    form = _form()
    messages = [_message(sample, language, at, form, user) for at, language, sample in _in_order(now)]
    topic, sent = broadcasts.add(user, now)
    record.rows = {
        "messages": messages,
        "forms": [form.id],
        "topics": [topic.id],
        "broadcasts": [broadcast.id for broadcast in sent],
        "saved_searches": _saved_search(user),
    }
    return record


def _owner() -> User | None:
    return db.session.scalar(select(User).where(User.role == Role.OWNER).order_by(User.id).limit(1))


def _form() -> Form:
    form = Form(
        key=site_forms.new_key() if site_forms.stored(_KEY) else _KEY,
        name=_NAME,
        words=_WORDS,
        name_field=Presence.OPTIONAL,
        rating=RatingScale.STARS,
        categories=list(CATEGORIES.values()),
    )
    db.session.add(form)
    db.session.flush()
    return form


def _in_order(now: datetime) -> Iterator[tuple[datetime, str, Sample]]:
    """Yield the messages with their times and languages, the oldest first, more and more of them towards today."""
    mixed = [each for row in zip(*_by_language(), strict=True) for each in row]
    aged = []
    for place, (language, sample) in enumerate(mixed):
        age = timedelta(days=_DAYS) * (1 - place / (len(mixed) - 1)) ** 1.3
        # Younger, because workers remove spam after 30 days.
        aged.append((now - _NEWEST - (age / 4 if sample.state == SPAM else age), language, sample))
    yield from sorted(aged, key=lambda each: each[0])


def _by_language() -> Iterator[list[tuple[str, Sample]]]:
    for language, samples in LANGUAGES.items():
        yield [(language, sample) for sample in samples]


def _message(sample: Sample, language: str, at: datetime, form: Form, user: User | None) -> int:
    is_opened = sample.state not in (MessageState.NEW, MessageState.SPAM)
    message = Message(
        content=sample.content,
        submitter_name=sample.name,
        submitter_email=sample.email,
        created_at=at,
        state=sample.state,
        spam_reason=sample.spam_reason,
        read_at=at + _NEWEST / 2 if is_opened else None,
        form_key=form.key if sample.category else None,
        category=form_words.stored(CATEGORIES[sample.category]) if sample.category else None,
        rating=sample.rating or None,
        page_url=f"https://example.org/{sample.page}" if sample.page else None,
        page_title=sample.page.capitalize() or None,
        viewport=_VIEWPORTS[len(sample.content) % len(_VIEWPORTS)],
        language=language,
    )
    db.session.add(message)
    db.session.flush()
    conversations.begin(message)
    tags.add(message.id, sample.tags)
    _replies(message, sample, user)
    return message.id


def _replies(message: Message, sample: Sample, user: User | None) -> None:
    at = message.created_at
    step = min(timedelta(hours=5), (utcnow() - at) / (len(sample.replies) + 1))
    for place, content in enumerate(sample.replies):
        is_answer = place % 2 == 0
        user_id = user.id if user and is_answer else None
        at += step
        db.session.add(
            Reply(message_id=message.id, is_answer=is_answer, user_id=user_id, content=content, created_at=at)
        )
        db.session.flush()
        conversations.add_words([message.id], content)
    if sample.replies:
        db.session.add(Answered(message_id=message.id, user_id=user.id if user else None, at=at))


def _saved_search(user: User | None) -> list[int]:
    """Save a search for the owner, unless they have one with this name, and return its id in a list."""
    if user is None:
        return []
    if len(saved_searches.of(user)) >= saved_searches.MOST:
        raise saved_searches.TooMany
    row = insert(SavedSearch).values(user_id=user.id, name=SEARCH, query=_QUERY, created_at=utcnow())
    return list(db.session.scalars(row.on_conflict_do_nothing().returning(SavedSearch.id)))

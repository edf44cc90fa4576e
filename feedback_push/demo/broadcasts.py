"""Add the topic of the demonstration, with a history of broadcasts that were never sent."""

from datetime import datetime, timedelta
from typing import Any

from feedback_push.auth.models import User
from feedback_push.database import db
from feedback_push.topics import topics
from feedback_push.topics.broadcasts import Draft
from feedback_push.topics.models import Broadcast, Topic
from feedback_push.topics.results import MARKS, OUTCOMES

_SLUG, _NAME = "demo", "Workshop news (demonstration)"
_SENT = (
    (84, 148, "Spring is here", "Book your check-up before everybody else does."),
    (70, 163, "New: repairs while you wait", "Punctures, brakes and lights, every weekday from 8 to 10."),
    (56, 171, "Open again after the holidays", "We are back, and the coffee is hot."),
    (41, 189, "Course: mend your own puncture", "Saturday at 11. Bring your bike. It costs nothing."),
    (27, 204, "Cargo bikes to try", "Three models stand in front of the shop this week."),
    (13, 226, "Lights for dark mornings", "We test yours for free, and have spare bulbs."),
    (3, 241, "Studded tyres are in", "In 26, 28 and 29 inches, as long as they last."),
)
_SERVICES = {"fcm.googleapis.com": 0.6, "updates.push.services.mozilla.com": 0.25, "web.push.apple.com": 0.15}
# The shares that were sent, shown and opened by each of MARKS, of those at its end.
_TIMELINE = (
    (1.0,) * len(MARKS),
    (0.55, 0.66, 0.72, 0.80, 0.86, 0.92, 0.95, 0.97, 0.99, 1.0),
    (0.02, 0.08, 0.14, 0.30, 0.42, 0.62, 0.75, 0.84, 0.93, 1.0),
)


def add(user: User | None, now: datetime) -> tuple[Topic, list[Broadcast]]:
    """Add the topic and its broadcasts, which are over. The caller commits. Raise TooManyTopics.

    The topic is not public, so that no visitor of a real site finds it.
    """
    slug = next(slug for slug in _slugs() if topics.find(slug) is None)
    topic = topics.add(slug=slug, name=_NAME, description="What is new in our workshop.", is_public=False)
    sent = [
        _broadcast(topic, user, now - timedelta(days=days), followers, Draft(title, body, "https://example.org/news"))
        for days, followers, title, body in _SENT
    ]
    topic.created_at = now - timedelta(days=_SENT[0][0] + 3)
    db.session.add_all(sent)
    db.session.flush()
    return topic, sent


def _slugs() -> list[str]:
    return [_SLUG, *(f"{_SLUG}-{number}" for number in range(2, topics.MOST_TOPICS + 2))]


def _broadcast(topic: Topic, user: User | None, at: datetime, followers: int, draft: Draft) -> Broadcast:
    return Broadcast(
        topic=topic,
        user_id=user.id if user else None,
        **draft._asdict(),
        created_at=at - timedelta(hours=1),
        started_at=at,
        finished_at=at + timedelta(seconds=4),
        followers=followers,
        results=_results(followers, at + timedelta(days=2)),
    )


def _results(followers: int, counted_at: datetime) -> dict[str, Any]:
    """Return results in the form of `topics.results.count`."""
    services = {host: _outcomes(round(followers * share)) for host, share in _SERVICES.items()}
    ends = [sum(outcomes[name] for outcomes in services.values()) for name in ("sent", "shown", "opened")]
    timeline = [
        [mark, *(round(end * shares[place]) for end, shares in zip(ends, _TIMELINE, strict=True))]
        for place, mark in enumerate(MARKS)
    ]
    return {"counted_at": counted_at.isoformat(timespec="seconds"), "services": services, "timeline": timeline}


def _outcomes(devices: int) -> dict[str, int]:
    gone = devices // 40
    sent = devices - gone
    shown = round(sent * 0.87)
    return {**dict.fromkeys(OUTCOMES, 0), "sent": sent, "shown": shown, "opened": round(shown * 0.31), "gone": gone}

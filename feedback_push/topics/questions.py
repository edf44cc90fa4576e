"""Questions: ask each device once whether it still wants a topic of which it opened nothing for too long."""

from collections.abc import Sequence
from datetime import datetime

from flask_babel import force_locale, gettext
from sqlalchemy import select, text, tuple_, update

from feedback_push import maintenance
from feedback_push.database import db
from feedback_push.ids import id_in
from feedback_push.language import LANGUAGES
from feedback_push.push import notification, outbox, subscriptions
from feedback_push.push.models import TO_ASK, DeviceState, Follower, Priority, Subscription
from feedback_push.push.notification import Notification
from feedback_push.site_path import absolute_url
from feedback_push.topics.models import Topic, Urgency

KIND = "question"  # of its outbox entries
_BATCH = 100  # followers in one sweep


@maintenance.each_minute
def ask_paused(now: datetime) -> bool:
    """Ask followers who were paused, each once; the question is for the device and leads to the page of the topics.

    A click on it is a receipt, which lets the follower go on, as ticking the topic again does. A device that cannot be
    sent to gets no question: its page says that the topic is paused. Return whether there may be more.
    """
    taken = _take(now)
    for follower in taken:
        device = db.session.get(Subscription, follower.subscription_id)
        topic = db.session.scalar(select(Topic).where(Topic.audience_id == follower.audience_id))
        if device is None or topic is None or device.state != DeviceState.LIVE or device.paused_at is not None:
            continue
        outbox.enqueue(
            _question(topic, device.language),
            kind=KIND,
            subscription_id=device.id,
            audience_id=topic.audience_id,  # whose follower a click lets go on
            priority=Priority.BROADCAST,
        )
    return len(taken) == _BATCH


def _take(now: datetime) -> Sequence[Follower]:
    """Return the next followers to ask, marked as asked, so that no other worker takes them."""
    keys = (Follower.audience_id, Follower.subscription_id)
    some = db.session.execute(select(*keys).where(text(TO_ASK)).order_by(*keys).limit(_BATCH)).all()
    subscriptions.lock(id_in(Subscription.id, [device_id for _, device_id in some]))
    these = (tuple_(*keys).in_([tuple(row) for row in some]), text(TO_ASK))
    marked = update(Follower).where(*these).values(asked_at=now).returning(Follower)
    return db.session.scalars(marked, execution_options={"synchronize_session": False}).all()


def _question(topic: Topic, language: str) -> Notification:
    with force_locale(language if language in LANGUAGES else "en"):
        title = gettext("Do you still want “%(topic)s”?", topic=topic.name)
        body = gettext("You have opened none of it for a while, so nothing more is sent. Open this to go on.")
    return Notification(
        title=notification.name(title),
        body=body,
        navigate=absolute_url("follow.show", slug=topic.slug),
        tag=f"question-{topic.id}",
        urgency=Urgency.LOW,
    )

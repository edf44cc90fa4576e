"""The Celery task of topics; it may run twice or in parallel."""

from celery import shared_task

from feedback_push.database import db, utcnow
from feedback_push.topics import feeds


@shared_task(name="topics.read_feeds")
def read_feeds() -> None:
    """Start to read the feeds that are due."""
    feeds.start_reading(utcnow())
    db.session.rollback()

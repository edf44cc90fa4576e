"""The Celery task of webhooks; it may run twice or in parallel."""

from celery import shared_task

from feedback_push.database import db, utcnow
from feedback_push.webhooks import sending


@shared_task(name="webhooks.send")
def send() -> None:
    """Start to send the events that are due."""
    sending.start_sending(utcnow())
    db.session.rollback()

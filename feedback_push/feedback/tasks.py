"""The Celery task of feedback; it may run twice or in parallel."""

from celery import shared_task

from feedback_push import dispatch
from feedback_push.feedback import note_sending


@shared_task(name="feedback.send_notes")
def send_notes() -> None:
    """Send the notes that administrators have written to many messages at once."""
    if note_sending.run():
        dispatch.publish("feedback.send_notes")

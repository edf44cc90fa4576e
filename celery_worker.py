"""The Celery application for `celery -A celery_worker worker`."""

from feedback_push.worker import celery_app

__all__ = ["celery_app"]

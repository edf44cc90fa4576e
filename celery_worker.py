"""The Celery application for `celery -A celery_worker worker`."""

from feedback_push import celery, create_app
from feedback_push.push import sweeper

celery_app = sweeper.install(celery.for_worker(create_app()))

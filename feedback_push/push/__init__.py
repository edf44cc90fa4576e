"""Web Push: subscriptions, the outbox, and delivery."""

from feedback_push.push import suspension
from feedback_push.push.views import blueprint

__all__ = ["blueprint", "suspension"]

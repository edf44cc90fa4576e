"""Web Push: subscriptions, the outbox, and delivery."""

from feedback_push.push import security_notices, suspension
from feedback_push.push.views import blueprint

__all__ = ["blueprint", "security_notices", "suspension"]

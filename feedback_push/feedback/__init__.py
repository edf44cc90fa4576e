"""The feedback that visitors leave."""

from feedback_push.feedback import purge
from feedback_push.feedback.views import blueprint

__all__ = ["blueprint", "purge"]

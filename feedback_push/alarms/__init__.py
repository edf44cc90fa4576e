"""Alarms: notice that notifications reach nobody, and tell it another way; prove by drills that they do."""

from feedback_push.alarms import checks  # it registers a clean-up

__all__ = ["checks"]

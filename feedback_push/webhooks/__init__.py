"""Webhooks: tell other programs and services of messages, replies, notifications of programs, and alarms."""

from feedback_push.webhooks import deliveries, sending, tasks  # they register listeners, clean-ups and tasks

__all__ = ["deliveries", "sending", "tasks"]

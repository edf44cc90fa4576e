"""The dashboard: inbox, messages, devices, and the scripts that subscribe a browser."""

from feedback_push.admin.views import blueprint

__all__ = ["blueprint"]

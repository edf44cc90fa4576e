"""The dashboard: inbox, messages, devices, and the scripts that subscribe a browser."""

from feedback_push.admin import devices, installable, messages
from feedback_push.admin.pages import blueprint

__all__ = ["blueprint", "devices", "installable", "messages"]

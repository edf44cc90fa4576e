"""The dashboard: inbox, messages, devices, settings, and the scripts that subscribe a browser."""

from feedback_push.admin import devices, installable, ledger, messages, settings
from feedback_push.admin.pages import blueprint

__all__ = ["blueprint", "devices", "installable", "ledger", "messages", "settings"]

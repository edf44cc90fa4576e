"""The dashboard: lists, messages, devices, settings, account, and the scripts that subscribe a browser."""

from feedback_push.admin import (
    account,
    audit_log,
    bulk_actions,
    devices,
    export,
    history,
    messages,
    pwa,
    resume,
    settings,
)
from feedback_push.admin.pages import blueprint

__all__ = [
    "account",
    "audit_log",
    "blueprint",
    "bulk_actions",
    "devices",
    "export",
    "history",
    "messages",
    "pwa",
    "resume",
    "settings",
]

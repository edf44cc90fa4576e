"""The dashboard: lists, messages, devices, settings, account, and the scripts that subscribe a browser."""

from feedback_push.admin import (
    account,
    assignments,
    audit_log,
    bulk_actions,
    devices,
    export,
    history,
    messages,
    pwa,
    replies,
    resume,
    saved_searches,
    settings,
    tags,
)
from feedback_push.admin.pages import blueprint

__all__ = [
    "account",
    "assignments",
    "audit_log",
    "blueprint",
    "bulk_actions",
    "devices",
    "export",
    "history",
    "messages",
    "pwa",
    "replies",
    "resume",
    "saved_searches",
    "settings",
    "tags",
]

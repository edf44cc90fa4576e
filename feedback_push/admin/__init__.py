"""The dashboard: lists, messages, devices, settings, account, and the scripts that subscribe a browser."""

from feedback_push.admin import (
    account,
    audit_log,
    devices,
    export,
    installable,
    ledger,
    messages,
    moves,
    settings,
)
from feedback_push.admin.pages import blueprint

__all__ = [
    "account",
    "audit_log",
    "blueprint",
    "devices",
    "export",
    "installable",
    "ledger",
    "messages",
    "moves",
    "settings",
]
